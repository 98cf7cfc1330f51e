"""Figures and their errors for wrong logs. Their examples run with the docstrings, and the recipes'
tests draw them."""

import math

import pytest

from keras_euler import plots

pytestmark = pytest.mark.once

WEIGHTS = {"iteration": [0, 1, 2], "conv1": [2.0, math.nan, 3.0], "total": [3.0, 3.0, 3.0]}


def test_a_colour_for_each_label_and_a_line_style_for_each_seed():
    figure = plots.gradient_dynamics(
        {"h = 1": [(WEIGHTS, WEIGHTS)] * 2, "h = 0.1": [(WEIGHTS, WEIGHTS)]}
    )
    lines = figure.axes[0].get_lines()
    assert [(line.get_color(), line.get_linestyle()) for line in lines] == [
        ("#D55E00", "-"),
        ("#D55E00", "--"),
        ("#0072B2", "-"),
    ]
    (legend,) = figure.legends
    labels = ["h = 1, first seed", "h = 1, second seed", "h = 0.1"]
    assert [text.get_text() for text in legend.get_texts()] == labels
    assert len(figure.axes) == 2  # one layer, as the total is none


def test_a_few_of_many_layers_or_those_of_a_pattern():
    many = {"iteration": [1], **{f"block{i}/conv": [1.0] for i in range(200)}, "total": [1.0]}
    figure = plots.gradient_dynamics({"h = 1": [(many, many)]})
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        f"block{i}/conv" for i in (0, 66, 133, 199)
    ]
    figure = plots.gradient_dynamics({"h = 1": [(many, many)]}, ["block10/conv", "block1?/*"])
    assert len(figure.axes) == 20
    assert len(plots.gradient_dynamics({"h = 1": [(WEIGHTS, WEIGHTS)]}, "*").axes) == 2
    figure = plots.gradient_dynamics({"a": [(None, WEIGHTS)], "b": [(WEIGHTS, None)]}, [])
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"a", "b"}
    per_epoch = {"epoch": [0], "c": [1.0], "total": [1.0], "c_max": [2.0], "total_max": [2.0]}
    assert [
        axes.get_title() for axes in plots.gradient_dynamics({"a": [(None, per_epoch)]}).axes
    ] == ["c", "total"]


@pytest.mark.parametrize(
    "draw, runs", [(plots.gradient_dynamics, {"h = 1": []}), (plots.training_curves, {})]
)
def test_no_runs_are_an_error(draw, runs):
    with pytest.raises(ValueError, match="at least one run"):
        draw(runs)


def test_a_label_has_one_colour_in_all_plots_and_pinned_ones_theirs():
    points = {1.0: [(0.5, False), (0.6, True)]}
    panels = {
        "a": {"h = 0.1": points},
        "b": {"h = 0.5": points, "h = 1": points, "h = 0.1": points},
    }
    figure = plots.accuracies(panels, "depth")
    colours = [
        {bar.get_label(): bar.lines[0].get_color() for bar in axes.containers}
        for axes in figure.axes
    ]
    assert colours[0]["h = 0.1"] == colours[1]["h = 0.1"] == "#0072B2"
    assert colours[1]["h = 1"] == "#D55E00"
    assert len(set(colours[1].values())) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"h = 0.1", "h = 0.5", "h = 1"} <= set(legend)


def test_accuracy_under_attack_has_a_panel_of_its_own():
    levels = {0.0: 0.8, 1.0: 0.5}
    figure = plots.evaluation([[1, 0], [0, 1]], noise={0.0: 0.9}, attacked=levels)
    assert len(figure.axes) == 3 and "attack" in figure.axes[2].get_xlabel()
    (line,) = figure.axes[2].lines
    assert dict(zip(*line.get_data(), strict=True)) == levels
