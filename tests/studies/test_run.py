"""`studies.run` from the outside: a grid, a search, the table, processes, files of trials."""

import math
import os
import signal

import keras
import pytest

from keras_euler import studies

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="runs without a backend; tried once"
)


def square(point):
    return {"value": -((point["x"] - 2) ** 2), "kind": point["kind"], "pid": os.getpid()}


def dies(point):
    os.kill(os.getpid(), signal.SIGKILL)


def test_table_has_a_row_per_point_and_what_the_objective_returned(tmp_path):
    points = studies.grid(x=[1, 2.5], kind=["a", "b"])
    table = studies.run(square, points, tmp_path / "study.db", verbose=False)
    assert table[["x", "kind", "state", "value"]].values.tolist() == [
        [x, kind, "complete", -((x - 2) ** 2)] for x in (1.0, 2.5) for kind in ("a", "b")
    ]
    again = studies.run(
        lambda point: pytest.fail("trained twice"), points, tmp_path / "study.db", verbose=False
    )
    assert again.equals(table) and studies.results(tmp_path / "study.db").equals(table)


def test_grid_grows_and_knows_1_and_1_0_as_one_value(tmp_path):
    trained = []
    for values in ([1, 0.5], [1, 0.5, 2], [1.0, 3.0]):
        studies.run(
            lambda p: trained.append(p["x"]) or 0.0,
            studies.grid(x=values),
            tmp_path / "a.db",
            verbose=False,
        )
        if values == [1, 0.5, 2]:
            assert trained == [1.0, 0.5, 2.0]
    assert trained == [1.0, 0.5, 2.0, 3.0]


def test_text_values_grow_within_the_choices(tmp_path):
    for kinds in (["a"], ["a", "b"]):
        table = studies.run(
            lambda p: 0.0,
            studies.grid(kind=kinds),
            tmp_path / "a.db",
            choices={"kind": ["a", "b"]},
            verbose=False,
        )
    assert table.kind.tolist() == ["a", "b"]


def test_search_finds_the_best_and_stops_hopeless_trials(tmp_path):
    def objective(point, report):
        accuracy = 1 - 0.2 * abs(math.log10(point["h"] / 0.1))
        for step in range(1, 4):
            report(accuracy, step)
        return accuracy

    search = studies.Search("h", 0.001, 20.0, num_trials=25, fixed={"depth": 20})
    table = studies.run(objective, search, tmp_path / "study.db", verbose=False)
    done = table[table.state == "complete"]
    assert 0.03 < done.loc[done.value.idxmax()].h < 0.3 and set(table.depth) == {20}
    assert (table.state == "pruned").any() and len(table) == 25


def test_processes_share_the_points(tmp_path):
    table = studies.run(
        square, studies.grid(x=range(6), kind=["a"]), tmp_path / "study.db", workers=2
    )
    assert (table.state == "complete").all() and os.getpid() not in set(table.pid)


def test_worker_that_is_killed_is_one_sentence(tmp_path):
    with pytest.raises(
        RuntimeError,
        match="2 of 2 workers ended by SIGKILL, SIGKILL. Run the same command again to resume",
    ):
        studies.run(dies, studies.grid(x=[1, 2]), tmp_path / "study.db", workers=2, verbose=False)


def test_failure_stands_in_the_table_and_is_tried_again(tmp_path):
    def fails(point):
        raise RuntimeError("no memory")

    points = studies.grid(x=[1])
    table = studies.run(fails, points, tmp_path / "study.db", verbose=False)
    assert table[["state", "error"]].values.tolist() == [["failed", "RuntimeError: no memory"]]
    assert studies.run(
        lambda p: 0.5, points, tmp_path / "study.db", verbose=False
    ).state.tolist() == ["complete"]


def test_finished_trials_go_on_in_another_storage(tmp_path):
    points = studies.grid(x=[1, 2], kind=["a"])
    shared = dict(definition={"epochs": 2}, verbose=False)
    table = studies.run(square, points, tmp_path / "here.db", name="depth", **shared)
    assert studies.export_trials(tmp_path / "here.db", tmp_path / "trials.json") == 2
    more = studies.grid(x=[1, 2, 3], kind=["a"])
    grown = studies.run(
        square, more, tmp_path / "there.db", reuse=tmp_path / "trials.json", **shared
    )
    assert grown[:2].equals(table) and grown.x.tolist() == [1, 2, 3]
    again = studies.run(
        square, more, tmp_path / "there.db", reuse=tmp_path / "trials.json", **shared
    )
    assert again.equals(grown)


def test_trial_of_another_study_with_equal_settings_is_not_run_again(tmp_path, capsys):
    one = dict(definition={"rate": 0.1, "epochs": 2, "widths": (1, 2)}, verbose=False)
    studies.run(
        lambda point: {"value": 0.5, "run": "one"},
        studies.grid(depth=[20, 56]),
        tmp_path / "one.db",
        **one,
    )
    assert studies.export_trials(tmp_path / "one.db", tmp_path / "trials.json") == 2
    ran = []

    def objective(point):
        ran.append(point)
        return 0.25

    other = dict(
        definition={"depth": 56, "epochs": 2, "widths": (1, 2)}, reuse=tmp_path / "trials.json"
    )
    table = studies.run(objective, studies.grid(rate=[0.1, 0.2]), tmp_path / "other.db", **other)
    assert (
        table[["rate", "value"]].values.tolist() == [[0.1, 0.5], [0.2, 0.25]]
        and table.run[0] == "one"
    )
    assert (
        ran == [{"rate": 0.2}] and "1 finished trial taken from the file" in capsys.readouterr().out
    )
    other["definition"] = {"depth": 56, "epochs": 3, "widths": (1, 2)}
    studies.run(objective, studies.grid(rate=[0.1]), tmp_path / "third.db", **other)
    assert len(ran) == 2


def test_defaults_stand_for_settings_that_a_file_or_a_study_lacks(tmp_path):
    file, ran = tmp_path / "trials.json", []

    def objective(point):
        ran.append(point)
        return 0.25

    studies.run(
        lambda point: 0.5,
        studies.grid(depth=[20]),
        tmp_path / "old.db",
        definition={"epochs": 2},
        verbose=False,
    )
    studies.export_trials(tmp_path / "old.db", file)
    newer = dict(definition={"depth": 20, "epochs": 2}, reuse=file, verbose=False)
    for defaults, value, num_ran in (
        ({"skip": 1.0}, 0.5, 0),
        ({"skip": 0.5}, 0.25, 1),
        (None, 0.25, 2),
    ):
        table = studies.run(
            objective,
            studies.grid(skip=[1.0]),
            tmp_path / f"{num_ran}.db",
            defaults=defaults,
            **newer,
        )
        assert table.value.tolist() == [value] and len(ran) == num_ran
    search = studies.Search("skip", 0.8, 1.2, num_trials=1)
    assert studies.run(
        objective, search, tmp_path / "search.db", defaults={"skip": 1.0}, **newer
    ).value.tolist() == [0.5]
    wide = dict(
        definition={"epochs": 2, "widths": (1, 2)},
        reuse=file,
        verbose=False,
        defaults={"widths": (1, 2)},
    )
    assert studies.run(
        objective, studies.grid(depth=[20]), tmp_path / "wide.db", **wide
    ).value.tolist() == [0.5]
    studies.export_trials(tmp_path / "0.db", tmp_path / "newer.json")
    older = dict(
        definition={"epochs": 2},
        reuse=tmp_path / "newer.json",
        verbose=False,
        defaults={"skip": 1.0},
    )
    assert (
        studies.run(
            objective, studies.grid(depth=[20]), tmp_path / "back.db", **older
        ).value.tolist()
        == [0.5]
        and len(ran) == 2
    )


def test_search_takes_finished_trials_within_its_bounds(tmp_path):
    studies.run(
        lambda point: point["h"],
        studies.grid(h=[0.1, 0.5, 2.0], depth=[20]),
        tmp_path / "grid.db",
        verbose=False,
    )
    studies.export_trials(tmp_path / "grid.db", tmp_path / "trials.json")
    search = studies.Search("h", 0.2, 1.0, num_trials=3, fixed={"depth": 20})
    table = studies.run(
        lambda point: 0.0,
        search,
        tmp_path / "search.db",
        reuse=tmp_path / "trials.json",
        verbose=False,
    )
    assert len(table) == 3 and table.value.tolist() == [0.5, 0.0, 0.0]


def test_result_of_another_objective_or_type_is_not_taken(tmp_path):
    for name, points, definition in [
        ("loss", [1, 2], {}),
        ("flags", [True], {}),
        ("rule", [1, 2], {"h": "1/L"}),
    ]:
        arguments = dict(name=name, definition=definition, verbose=False)
        studies.run(
            lambda point: -100.0, studies.grid(x=points), tmp_path / "there.db", **arguments
        )
    studies.export_trials(tmp_path / "there.db", tmp_path / "trials.json")
    here = dict(storage=tmp_path / "here.db", reuse=tmp_path / "trials.json", verbose=False)
    assert studies.run(
        lambda point: 1.0, studies.grid(x=[1, 2]), name="accuracy", **here
    ).value.tolist() == [1.0, 1.0]
    assert studies.run(
        lambda point: 1.0, studies.grid(x=[1]), name="flags", **here
    ).value.tolist() == [1.0]
    search = studies.Search("h", 0.1, 1.0, num_trials=2, fixed={"x": 1})
    assert studies.run(
        lambda point: 1.0, search, name="search", definition={"depth": 8}, **here
    ).value.tolist() == [1.0, 1.0]


def test_point_that_is_added_while_it_waits_is_not_run_again(tmp_path):
    studies.run(lambda point: 0.5, studies.grid(x=[2]), tmp_path / "there.db", verbose=False)
    assert studies.export_trials(tmp_path / "there.db", tmp_path / "trials.json") == 1
    ran = []

    def objective(point):
        ran.append(point["x"])
        studies.run(
            objective,
            studies.grid(x=[2]),
            tmp_path / "here.db",
            reuse=tmp_path / "trials.json",
            verbose=False,
        )
        return -1.0

    table = studies.run(objective, studies.grid(x=[1, 2, 3]), tmp_path / "here.db", verbose=False)
    assert ran == [1, 3]
    assert dict(zip(table.x, table.value, strict=True)) == {1: -1.0, 2: 0.5, 3: -1.0}
    assert set(table.state) == {"complete"}


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": 1}', '{"a": {"user_attrs": {}, "trials": [{"params": {}}]}}']
)
def test_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "trials.json").write_text(text)
    with pytest.raises(ValueError, match="is not a file of export_trials"):
        studies.run(
            square, studies.grid(x=[1]), tmp_path / "study.db", reuse=tmp_path / "trials.json"
        )
    assert not (tmp_path / "study.db").exists()


def test_export_replaces_only_an_earlier_export(tmp_path):
    studies.run(square, studies.grid(x=[1], kind=["a"]), tmp_path / "here.db", verbose=False)
    studies.run(square, studies.grid(x=[1, 2], kind=["a"]), tmp_path / "there.db", verbose=False)
    file = tmp_path / "trials.json"
    assert [
        studies.export_trials(tmp_path / name, file) for name in ("here.db", "there.db", "there.db")
    ] == [1, 2, 2]
    with pytest.raises(
        ValueError, match="has 1 trials that this storage lacks, and was not replaced"
    ):
        studies.export_trials(tmp_path / "here.db", file)
    file.write_text('{"precious": 1}')
    with pytest.raises(ValueError, match="is not a file of export_trials"):
        studies.export_trials(tmp_path / "here.db", file)
    assert file.read_text() == '{"precious": 1}'


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_storage_in_memory_is_refused(url):
    with pytest.raises(
        ValueError, match="must be a file, such as sqlite:///study.db. Received: sqlite:"
    ):
        studies.run(square, studies.grid(x=[1]), url)


REFUSED = [
    (dict(points=[]), ValueError, r"must have at least one point. Received: points=\[\]"),
    (
        dict(points=3),
        TypeError,
        "`points` must be a Search or a list of dicts of setting -> value, as `grid` makes. "
        "Received: points=3.",
    ),
    (
        dict(objective=3),
        TypeError,
        "`objective` must be a function of a point. Received: objective=3.",
    ),
    (dict(points=[{"a": 1}, {"b": 1}]), ValueError, "All points must have the same settings"),
    (
        dict(points=[{"a": [1]}]),
        TypeError,
        "`a` must have numbers, strings, booleans or None as values",
    ),
    (dict(points=[{"a": math.nan}]), ValueError, "`a` must have finite values"),
    (dict(workers=0), ValueError, "`workers` must be an integer >= 1"),
    (dict(heartbeat=0), ValueError, "`heartbeat` must be an integer >= 1"),
    (dict(storage="nonsense://x"), ValueError, "needs a driver"),
    (
        dict(workers=2),
        TypeError,
        "`objective` and `cost` must be functions at the top level of a module",
    ),
]


@pytest.mark.parametrize(("change", "kind", "message"), REFUSED)
def test_bad_arguments_are_one_sentence(tmp_path, change, kind, message):
    arguments = {
        "objective": lambda point: 0.0,
        "points": [{"a": 1}],
        "storage": tmp_path / "study.db",
        **change,
    }
    with pytest.raises(kind, match=message):
        studies.run(**arguments, verbose=False)
    assert not (tmp_path / "study.db").exists() or "workers" in change


def test_bad_grids_and_searches_are_one_sentence():
    for values, message in (
        ([], "at least one value"),
        ([1, 1], "a value twice"),
        ([1, 1.0], "a value twice"),
    ):
        with pytest.raises(ValueError, match=message):
            studies.grid(h=values)
    with pytest.raises(
        TypeError, match=r"`h` must be a sequence of values. Received: h=0.1. Pass \[0.1\]."
    ):
        studies.grid(h=0.1)
    with pytest.raises(ValueError, match="`low` must be below `high`"):
        studies.Search("h", 1.0, 0.1)
    with pytest.raises(ValueError, match="`sampler` must be one of 'tpe', 'gp'"):
        studies.Search("h", 0.1, 1.0, sampler="random")


def test_missing_study_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"There is no storage at .*no\.db"):
        studies.results(tmp_path / "no.db")
    studies.run(lambda point: 0.0, [{"a": 1}], tmp_path / "study.db", name="mine", verbose=False)
    with pytest.raises(
        ValueError, match="There is no study 'other' in this storage. There are: mine"
    ):
        studies.results(tmp_path / "study.db", "other")
