"""`studies.run` from the outside: a grid, a search, the table, folders."""

import json
import math

import numpy as np
import optuna
import pytest

from keras_euler import studies
from keras_euler.studies import point_folder, study
from keras_euler.training.run_folder import locked

pytestmark = pytest.mark.once  # nothing here depends on the backend


def run(objective, points, folder, **kwargs):
    return studies.run(objective, points, folder, verbose=False, **kwargs)


def square(point, folder):
    return {"value": -((point["x"] - 2) ** 2), "name": folder.name}


def twice(point, folder):
    pytest.fail("a finished point ran again")


def test_table_has_a_row_per_point_and_what_the_objective_returned(tmp_path):
    points = studies.grid(x=[1, 2.5], kind=["a", "b"])
    table = run(square, points, tmp_path)
    columns = ["x", "kind", "state", "value", "error", "name"]
    assert list(table) == columns and table.error.isna().all()
    assert table[columns[:4]].values.tolist() == [
        [x, kind, "complete", -((x - 2) ** 2)] for x in (1.0, 2.5) for kind in ("a", "b")
    ]
    assert run(twice, points, tmp_path).equals(table)
    assert studies.results(tmp_path).sort_values(["x", "kind"], ignore_index=True).equals(table)


def test_grid_grows_and_knows_1_and_1_0_as_one_value_and_true_as_another(tmp_path):
    trained = []
    big = [2**53, 2**53 + 1, 10**400, 0.25]
    for values in ([1, 0.5], [1, 0.5, 2], [1.0, 3.0], [True, 1], [2**32 - 1], big):
        run(lambda p, _: trained.append(p["x"]) or 0.0, studies.grid(x=values), tmp_path)
    assert trained == [1.0, 0.5, 2.0, 3.0, True, 2**32 - 1, *big]


def test_objective_gets_a_folder_that_it_finds_again(tmp_path):
    def resumes(point, folder):
        if not (folder / "checkpoint").exists():
            (folder / "checkpoint").write_text("7")
            raise KeyboardInterrupt
        return float((folder / "checkpoint").read_text())

    with pytest.raises(KeyboardInterrupt):
        run(resumes, [{"x": 1}], tmp_path)
    assert studies.results(tmp_path).state.tolist() == ["interrupted"]
    assert run(resumes, [{"x": 1}], tmp_path).value.tolist() == [7.0]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_failure_stands_in_the_table_and_is_tried_again(tmp_path, error):
    def fails(point, folder):
        raise error("no memory")

    points = studies.grid(x=[1, 2])
    table = run(fails, points, tmp_path)
    assert (
        table[["state", "error"]].values.tolist()
        == [["failed", f"{error.__name__}: no memory"]] * 2
    )
    assert run(square, points, tmp_path).state.tolist() == ["complete"] * 2


def test_points_of_other_processes_are_left_to_them_and_waited_for(tmp_path, monkeypatch, capsys):
    points, folder = studies.grid(x=[1, 2], kind=["a"]), tmp_path / "study"
    folder_of = lambda point: folder / "points" / study.folder_name(point)
    lock = locked(folder_of(points[0]))
    lock.__enter__()

    def other_finishes(seconds):
        assert studies.results(folder).state.tolist() == ["complete"]
        lock.__exit__(None, None, None)
        point_folder.run_point(lambda *_: 0.5, points[0], folder_of(points[0]))

    folder.mkdir(exist_ok=True)
    point_folder.write_json(folder / "study.json", {})
    monkeypatch.setattr(study.time, "sleep", other_finishes)
    table = studies.run(square, points, folder)
    assert table.value.tolist() == [0.5, 0.0]
    assert "x 2, kind a: 0, 0 s (1 of 2 done, 1 running" in capsys.readouterr().out


def test_known_points_are_taken_with_their_settings(tmp_path):
    shared = {"rate": 0.1, "epochs": 2, "widths": (1, 2)}
    table = run(square, studies.grid(x=[1, 2]), tmp_path / "here", settings=shared)
    known = table.assign(rate=0.1, epochs=2).assign(widths=[[1, 2], [1, 3]])
    grown = run(square, studies.grid(x=[1, 2, 3]), tmp_path / "there", settings=shared, known=known)
    assert grown.value.tolist() == [-1, 0, -1]
    assert [
        (tmp_path / "there" / "points" / study.folder_name({"x": x}) / "run").exists()
        for x in (1, 2, 3)
    ] == [False, True, True]
    with pytest.raises(ValueError, match="must have a column `value`"):
        run(square, [{"x": 1}], tmp_path / "new", known=known.drop(columns="value"))


def test_only_finished_rows_of_a_table_are_taken_and_nobody_waits_for_them(tmp_path):
    def fails(point, folder):
        if point["x"] == 2:
            raise RuntimeError("no memory")
        return 1.0

    points, folder = studies.grid(x=[1, 2, 3]), tmp_path / "new"
    known = run(fails, points, tmp_path / "old")
    ran = []
    study._own(folder, {})
    with locked(folder / "points" / study.folder_name(points[2])):  # another process is at it
        study._take(
            known, points, {}, lambda p: folder / "points" / study.folder_name(p), ran.append
        )
    assert ran == ["1 of 3 points taken from the table"]
    table = run(lambda point, folder: 7.0, points, folder, known=known)
    assert table.value.tolist() == [1.0, 7.0, 1.0]
    with pytest.raises(TypeError, match="must return a number"):
        run(fails, points, tmp_path / "text", known=known.assign(value="high", state="complete"))


def test_folder_of_other_settings_or_of_something_else_is_refused(tmp_path):
    run(lambda *_: 0.0, [{"x": 1}], tmp_path / "study", settings={"epochs": 2})
    with pytest.raises(ValueError, match="other settings .epochs: 2 stored, 3 now"):
        run(square, [{"x": 1}], tmp_path / "study", settings={"epochs": 3})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no study"):
        run(square, [{"x": 1}], tmp_path / "other")
    with pytest.raises(ValueError, match="There is no study in"):
        studies.results(tmp_path / "other")


def peak(point, folder):
    assert point["depth"] == 20
    return 1 - 0.2 * abs(math.log10(point["h"] / 0.1))


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_search_finds_the_best_and_goes_on_where_it_was(tmp_path, sampler):
    for num_trials in (6, 15):
        search = studies.Search("h", 0.001, 20.0, num_trials, sampler, {"depth": 20})
        table = run(peak, search, tmp_path)
        assert len(table) == num_trials == len(set(table.h))
    assert 0.02 < table.loc[table.value.idxmax()].h < 0.5
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(url)  # as optuna-dashboard opens it
    assert len(optuna.load_study(study_name=name, storage=url).trials) == 15


def test_each_search_in_a_folder_has_its_own_trials_and_a_folder_may_move(tmp_path):
    for fixed in ({"depth": 20}, {"depth": 56}):
        search = studies.Search("h", 0.1, 1.0, num_trials=2, fixed=fixed)
        table = run(lambda point, folder: point["h"], search, tmp_path / "a")
        assert len(table) == 2 and set(table.depth) == {fixed["depth"]}
    (tmp_path / "a").rename(tmp_path / "b")
    assert run(twice, search, tmp_path / "b").equals(table)
    other = studies.Search("rate", 0.1, 1.0, num_trials=1)
    assert list(run(lambda *_: 1.0, other, tmp_path / "b")) == ["rate", "state", "value", "error"]


def test_search_resumes_the_trial_that_was_begun_and_ends_though_all_fail(tmp_path):
    seen = []

    def interrupted(point, folder):
        seen.append(point["h"])
        raise KeyboardInterrupt if len(seen) == 1 else RuntimeError("no memory")

    search = studies.Search("h", 0.1, 1.0, num_trials=3)
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, search, tmp_path)
    table = run(interrupted, search, tmp_path)
    assert seen[0] == seen[1] and len(seen) == 4 and set(table.state) == {"failed"}


RESULTS = [
    (np.float32(0.5), {"value": 0.5}),
    ({"value": 1, "curve": np.arange(2)}, {"value": 1, "curve": [0, 1]}),
    ("high", "must return a number, or a dict with a number as 'value'. Received: 'high'"),
    ({"value": math.nan}, "returned NaN"),
    ({"value": 1, "x": 2}, "must not return 'x', which is a setting or a column"),
    ({"value": 1, "epochs": 2}, "must not return 'epochs'"),
    ({"value": 1, "model": object()}, "must return JSON-serializable values. Received: object"),
]


@pytest.mark.parametrize(("result", "expected"), RESULTS)
def test_results_are_json_or_a_failure_in_one_sentence(tmp_path, result, expected):
    row = run(lambda *_: result, [{"x": 1}], tmp_path, settings={"epochs": 2}).iloc[0]
    if isinstance(expected, str):
        assert row.state == "failed" and expected in row.error
    else:
        (file,) = tmp_path.glob("points/*/result.json")
        assert json.loads(file.read_text()) == expected


REFUSED = [
    (dict(points=[]), ValueError, r"must have at least one point. Received: points=\[\]"),
    (dict(points=3), TypeError, "`points` must be a Search or a list of dicts of setting -> value"),
    (dict(objective=3), TypeError, "`objective` must be a function of a point and a folder"),
    (dict(points=[{"a": 1}, {"b": 1}]), ValueError, "All points must have the same settings"),
    (dict(points=[{"a": [1]}]), TypeError, "`a` must have numbers, strings, booleans or None"),
    (dict(points=[{"a": math.nan}]), ValueError, "`a` must have finite values"),
    (dict(points=[{"value": 1}]), ValueError, "must not be called 'value'"),
    (dict(settings={"a": 1}), ValueError, "`settings` must not have 'a'"),
    (
        dict(points=studies.Search("h", 0.1, 1.0), known=()),
        ValueError,
        "`known` is for a grid. Received: a Search",
    ),
    (dict(workers=0), ValueError, "`workers` must be an integer >= 1"),
]


@pytest.mark.parametrize(("change", "kind", "message"), REFUSED)
def test_bad_arguments_are_one_sentence(tmp_path, change, kind, message):
    arguments = {"objective": lambda *_: 0.0, "points": [{"a": 1}], **change}
    with pytest.raises(kind, match=message):
        run(**arguments, folder=tmp_path / "study")
    assert not (tmp_path / "study").exists()
