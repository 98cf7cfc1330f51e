"""Figures and their errors for wrong logs. Their examples run with the docstrings, and the recipes'
tests draw them."""

import dataclasses
import math

import pytest

import keras_euler
from keras_euler import plots

pytestmark = pytest.mark.once

SUGGESTION = keras_euler.analysis.Suggestion(
    1 / 3, 1 / 3, {0.1: 2.0, 1 / 3: 5.0, 1.0: 50.0}, 10.0, 9
)
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


def test_gradients_alone_or_weights_alone():
    figure = plots.gradient_dynamics({"h = 1": [(None, WEIGHTS)]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["gradient norm"]
    figure = plots.gradient_dynamics({"h = 1": [(WEIGHTS, None)]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["weight norm"]


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


def test_norm_of_zero_leaves_a_gap():
    zero = {"iteration": [1, 2, 3], "conv1": [1.0, 0.0, 0.5], "total": [1.0, 0.0, 0.5]}
    line = plots.gradient_dynamics({"h = 1": [(zero, zero)]}).axes[0].get_lines()[0]
    assert str(line.get_ydata().tolist()) == "[1.0, nan, 0.5]"


@pytest.mark.parametrize(
    "runs", ["runs", {"h": [WEIGHTS]}, {"h": ("weights.csv", "gradients.csv")}, [(None, None)]]
)
def test_runs_of_another_form_are_an_error(runs):
    with pytest.raises(TypeError, match=r"`runs` must be a dict of label -> list of pairs"):
        plots.gradient_dynamics(runs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("iteration,a,total\n", "no rows"),
        ("a,b\n1\n", "last line is incomplete"),
    ],
)
def test_logs_that_are_none_are_named(text, message, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"log\.csv.*{message}"):
        plots.gradient_dynamics({"h": [(None, tmp_path / "log.csv")]})


@pytest.mark.parametrize(
    ("histories", "message"), [({}, "`histories` must be"), ({"a": {}}, "A history must be a list")]
)
def test_histories_of_another_form_are_an_error(histories, message):
    with pytest.raises(ValueError, match=message):
        plots.training_curves(histories)


@pytest.mark.parametrize("runs", [{}, {"h = 1": []}])
def test_no_runs_are_an_error(runs):
    with pytest.raises(ValueError, match="must hold at least one run"):
        plots.gradient_dynamics(runs)


def test_one_layer_by_name_and_logs_of_epochs_and_of_the_total_alone():
    per_epoch = {"epoch": [0, 1], "total": [1.0, 2.0]}
    figure = plots.gradient_dynamics({"h = 1": [(per_epoch, per_epoch)]})
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "epoch"]
    assert len(plots.gradient_dynamics({"h = 1": [(WEIGHTS, WEIGHTS)]}, "conv1").axes) == 2


def test_norms_that_are_no_positive_numbers_are_drawn_without_a_warning():
    nothing = {"iteration": [1, 2], "conv1": [math.nan, 0.0], "total": [math.nan, 0.0]}
    plots.gradient_dynamics({"h = 1": [(nothing, nothing)]})


def test_missing_layer_is_named():
    with pytest.raises(ValueError, match="has no column 'conv2'. It has iteration, conv1, total"):
        plots.gradient_dynamics({"h = 1": [(WEIGHTS, WEIGHTS)]}, ["conv2"])


def test_a_label_has_one_colour_in_all_plots_and_pinned_ones_theirs():
    points = {1.0: [(0.5, False), (0.6, True)]}
    panels = {
        "a": {"h = 0.1": points},
        "b": {"h = 0.5": points, "h = 1": points, "h = 0.1": points},
    }
    figure = plots.accuracies(panels, "depth", pinned={"h = 1": 0, "h = 0.1": 1})
    colours = [
        {bar.get_label(): bar.lines[0].get_color() for bar in axes.containers}
        for axes in figure.axes
    ]
    assert (
        colours[0]["h = 0.1"] == colours[1]["h = 0.1"] == "#0072B2"
        and colours[1]["h = 1"] == "#D55E00"
    )
    assert len(set(colours[1].values())) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"h = 0.1", "h = 0.5", "h = 1"} <= set(legend)


def test_curve_of_a_training_that_diverged_stays_where_it_ended():
    figure = plots.accuracy_curves({"": {"rate 1": [[0.1], [0.2, 0.4], [0.3, 0.6]]}})
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [0.2, 0.4]
    many = {f"rate {i}": [[0.1, 0.2]] for i in range(8)}
    lines = plots.accuracy_curves({"": many}).axes[0].get_lines()
    assert len({line.get_color() for line in lines}) == 8


@pytest.mark.parametrize(
    ("draw", "kind"),
    [(lambda runs: plots.growths(runs, "norm"), "Growth"), (plots.suggestions, "Sugg")],
)
def test_one_result_without_a_label_is_an_error(draw, kind):
    with pytest.raises(TypeError, match=f"`runs` must be a dict of label -> {kind}"):
        draw(SUGGESTION)
    with pytest.raises(ValueError, match="at least one run"):
        draw({})


def test_suggestion_and_limit_are_in_the_legend_and_the_rule_where_it_is_another():
    def legend(runs):
        return [
            text.get_text() for text in plots.suggestions(runs).axes[0].get_legend().get_texts()
        ]

    assert legend({"a": SUGGESTION, "b": SUGGESTION}) == [
        "a: h = 0.33",
        "b: h = 0.33",
        "suggestion",
        "limit: 10",
    ]
    smaller = dataclasses.replace(SUGGESTION, h=0.1, limit=3.0)
    assert legend({"a": SUGGESTION, "b": smaller})[2:] == [
        "suggestion",
        "1/sqrt(L)",
        "limit: 3",
        "limit: 10",
    ]
    lines = plots.suggestions({"b": smaller}).axes[0].get_lines()
    marked = {line.get_marker(): float(line.get_xdata()[0]) for line in lines[1:3]}
    assert marked == {"o": 0.1, "x": 1 / 3}


def test_bars_of_two_labels_stand_side_by_side_and_the_legend_outside():
    points = {20: [(0.5, False), (0.6, True)], 56: [(0.4, False), (0.2, False)]}
    figure = plots.accuracies({"": {"h = 1": points, "h = 0.1": points}}, "depth")
    title = figure.suptitle(
        "a study with a long name: test accuracy of the last epoch", fontsize="medium"
    )
    figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    places = [bar.lines[0].get_transform().transform((20, 0.5))[0] for bar in axes.containers]
    assert places[1] - places[0] == pytest.approx(0.06 * figure.dpi)
    crosses = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert [text.get_text() for text in axes.texts] == ["1 of 2", "1 of 2"]
    assert [cross.get_transform().transform((20, 0.5))[0] for cross in crosses] == pytest.approx(
        places
    )
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
    assert not legend.get_window_extent().overlaps(title.get_window_extent())
    assert axes.get_xlim()[0] < 20 and axes.get_xlim()[1] > 56


def test_epochs_are_counted_from_one_and_ticks_are_whole():
    rows = [{"epoch": epoch, "train_loss": 1.0, "test_accuracy": 0.5} for epoch in range(2)]
    figure = plots.training_curves({"": rows}, title="depth 8, h = 0.1")
    figure.draw_without_rendering()
    assert figure.get_suptitle() == "depth 8, h = 0.1" and figure.axes[0].get_xlabel() == "epoch"
    for axes in figure.axes:
        assert [line.get_xdata().tolist() for line in axes.get_lines()] == [[1, 2]]
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1, 2]
    assert plots.accuracy_curves({"": {"a": [[0.1, 0.2]]}}).axes[0].get_lines()[
        0
    ].get_xdata().tolist() == [1, 2]
    per_epoch = {"epoch": [0, 1], "conv": [1.0, 2.0], "total": [1.0, 2.0]}
    assert plots.gradient_dynamics({"a": [(None, per_epoch)]}).axes[0].get_lines()[
        0
    ].get_xdata().tolist() == [1, 2]


def test_note_speaks_of_a_median_only_where_there_are_several_seeds():
    one, two = [(0.5, False)], [(0.5, False), (0.6, False)]
    notes = [
        plots.accuracies({"": {"a": {1: values}}}, "depth", "Note.").get_supxlabel()
        for values in (one, two)
    ]
    assert notes == ["One seed. Note.", "Medians; bars are standard deviations over seeds. Note."]
    notes = [
        plots.accuracy_curves({"": {"a": curves}}).get_supxlabel()
        for curves in ([[0.1]], [[0.1], [0.2]])
    ]
    assert notes == ["One seed.", "Medians over seeds."]


def test_names_stand_side_by_side_without_a_line():
    points = {"torch": [(0.5, False), (0.3, False)], "he_normal": [(0.1, True)]}
    axes = plots.accuracies(
        {"": {"h = 1": points, "h = 0.1": {"torch": [(0.6, False)]}}}, "initializer"
    ).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["he_normal", "torch"]
    medians, cross, other = (line for line in axes.get_lines() if line.get_marker() in "ox")
    assert medians.get_linestyle() == "None" and medians.get_xydata().tolist() == [
        [0, 0.1],
        [1, 0.4],
    ]
    assert cross.get_xydata().tolist() == [[0, 0.1]] and other.get_xydata().tolist() == [[1, 0.6]]


def test_accuracy_under_attack_has_a_panel_of_its_own():
    levels = {0.0: 0.8, 1.0: 0.5}
    figure = plots.evaluation([[1, 0], [0, 1]], noise={0.0: 0.9}, attacked=levels)
    assert len(figure.axes) == 3 and "attack" in figure.axes[2].get_xlabel()
    (line,) = figure.axes[2].lines
    assert dict(zip(*line.get_data(), strict=True)) == levels


def test_confusion_matrix_says_which_class_is_the_true_one():
    axes = plots.evaluation([[1, 0], [0, 1]]).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
