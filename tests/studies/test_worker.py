"""Workers of studies: every trial runs once, although workers die and restart."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import optuna
import pytest
from optuna.trial import TrialState

from keras_euler.studies import processes, queue
from keras_euler.studies import storage as storages
from keras_euler.studies.worker import Worker
from keras_euler.training import FolderInUse, Interruptible

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"depth": optuna.distributions.IntDistribution(0, 1000)}
POINTS = [{"depth": depth} for depth in range(8)]
# Nothing here depends on Keras' backend.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the engine runs without a backend; tried once"
)


def work(study, objective, points=None, domains=None):
    """Work like one worker of `studies.run`; return how many trials failed."""
    return Worker(study, objective, 1, points, domains).work()


@contextlib.contextmanager
def opened(url):
    """A storage whose connections are closed at the end."""
    storage = storages.open_storage(url, 1)
    yield storage
    storage.remove_session()
    storage.engine.dispose()


def states(url):
    with opened(url) as storage:
        study = optuna.load_study(study_name="study", storage=storage)
        return [trial.state for trial in study.get_trials(deepcopy=False)]


@pytest.fixture
def study(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'study.db'}") as storage:
        yield queue.open_study(storage, "study", {"epochs": 2})


def test_the_same_points_are_queued_once_and_finished_ones_not_trained_again(study):
    assert queue.enqueue(study, POINTS[:2], DISTRIBUTIONS) == (2, 0)
    assert queue.enqueue(study, POINTS[:3], DISTRIBUTIONS) == (1, 0)
    trained = []
    for _ in range(2):
        work(study, lambda point: trained.append(point["depth"]) or 0.1)
        assert queue.enqueue(study, POINTS[:3], DISTRIBUTIONS) == (0, 0)
    assert trained == [0, 1, 2]


def test_point_that_two_workers_queued_at_once_is_trained_once(study):
    for _ in range(2):
        study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING, params=POINTS[5], distributions=DISTRIBUTIONS
            )
        )
    trained = []
    work(study, lambda point: trained.append(point["depth"]) or 0.1)
    assert trained == [5]


@pytest.mark.parametrize("repeated", [True, False])
def test_trial_that_another_worker_took_over_before_it_was_told_is_given_up(
    study, monkeypatch, repeated, capsys
):
    def slow(claims, trial):  # as a busy disk between claiming a trial and its end
        if trial.number == 0:
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return repeated and trial.number == 0

    monkeypatch.setattr(queue.Claims, "is_repeated", slow)
    queue.enqueue(study, POINTS[:2], DISTRIBUTIONS)
    assert work(study, lambda point: 0.5) == 0
    assert "given up: depth 0" in capsys.readouterr().out
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_failure_is_recorded_and_tried_again_at_the_next_start(study):
    queue.enqueue(study, POINTS[:2], DISTRIBUTIONS)

    def train(point):
        if point["depth"] == 0:
            raise RuntimeError("out of\nmemory")
        return 0.5

    work(study, train)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[0].user_attrs["error"] == "RuntimeError: out of memory"
    assert queue.enqueue(study, POINTS[:2], DISTRIBUTIONS) == (1, 0)


def test_interrupted_trial_goes_back_into_the_queue(study):
    queue.enqueue(study, POINTS[:1], DISTRIBUTIONS)

    def interrupted(point):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(study, interrupted)
    trained = []
    work(study, lambda point: trained.append(point["depth"]) or 0.1)
    assert trained == [0]


def test_interrupt_that_was_dropped_ends_the_work_before_the_next_trial(study):
    queue.enqueue(study, POINTS[:2], DISTRIBUTIONS)
    trained = []

    def drop(point):
        trained.append(point["depth"])
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return 0.1

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell in the background ignores it
    with pytest.raises(KeyboardInterrupt), Interruptible():
        work(study, drop)
    signal.signal(signal.SIGINT, before)
    assert trained == [0]


def test_interrupted_trial_is_the_next(study):
    queue.enqueue(study, POINTS[:3], DISTRIBUTIONS)

    def interrupted(point):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(study, interrupted)
    trained = []
    work(study, lambda point: trained.append(point["depth"]) or 0.1)
    assert trained == [0, 1, 2]


def test_full_disk_of_a_run_stops_the_worker_and_fails_no_trial(study):
    queue.enqueue(study, POINTS[:3], DISTRIBUTIONS)

    def full(point):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        work(study, full)
    trained = []
    assert work(study, lambda point: trained.append(point["depth"]) or 0.1) == 0
    assert trained == [0, 1, 2]


def test_only_the_points_of_this_command_are_trained(study):
    queue.enqueue(study, POINTS, DISTRIBUTIONS)
    trained = []
    work(study, lambda point: trained.append(point["depth"]) or 0.1, POINTS[3:5])
    assert trained == [3, 4]
    assert len(study.get_trials(states=(TrialState.WAITING,))) == 6


def test_worker_that_slept_gives_its_trial_up_where_another_has_it(study, capsys):
    queue.enqueue(study, POINTS[:2], DISTRIBUTIONS)

    def train(point, report):
        (trial,) = study.get_trials(states=(TrialState.RUNNING,))
        if trial.number == 0:  # as another worker does that finds no sign of life
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        report(0.5, 1)
        return 0.5

    assert work(study, train) == 0
    assert "given up: depth 0" in capsys.readouterr().out
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_trial_whose_process_dies_again_and_again_is_never_lost_and_comes_last(study):
    queue.enqueue(study, POINTS[:1], DISTRIBUTIONS)
    for _ in range(queue.MANY_DEATHS + 2):
        trial = queue.Claims(study).next()
        assert trial.params == POINTS[0]
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        storages.requeue_trial(study, study.trials[-1])
    queue.enqueue(study, POINTS[:2], DISTRIBUTIONS)
    assert [queue.Claims(study).next().params for _ in range(2)] == [POINTS[1], POINTS[0]]


@pytest.mark.skipif(
    os.name != "posix", reason="elsewhere a process cannot be looked up without ending it"
)
def test_process_that_its_parent_has_not_reaped_is_dead():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    try:
        assert processes.is_dead([processes.this_process()[0], child])
    finally:
        os.waitpid(child, 0)


def test_equal_host_names_alone_do_not_tell_that_a_process_is_dead(monkeypatch):
    def unreadable(path):
        raise FileNotFoundError

    monkeypatch.setattr(processes.os, "readlink", unreadable)
    assert not processes.is_dead([processes.this_process()[0], 2**22 + 1])


def test_trial_of_a_dead_process_of_this_machine_is_taken_over_at_once(study):
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    queue.enqueue(study, POINTS[:3], DISTRIBUTIONS)
    claims = queue.Claims(study)
    claimed = [claims.next() for _ in range(3)]
    machine, own = processes.this_process()
    for trial, process in zip(
        claimed, ([machine, dead.pid], [machine, own], ["another", dead.pid]), strict=True
    ):
        trial.set_user_attr(processes.PROCESS, process)
    claims.take_over()
    trials = study.trials
    assert [trial.state for trial in trials] == [
        TrialState.FAIL,
        TrialState.RUNNING,
        TrialState.RUNNING,
        TrialState.WAITING,
    ]
    assert trials[-1].params == POINTS[0] and processes.PROCESS not in trials[-1].user_attrs
    assert claims.next().params == POINTS[0]
    assert study.trials[-1].user_attrs[processes.PROCESS] == [machine, own]


def test_points_that_cannot_be_queued_leave_the_queue_as_it_was(study):
    with pytest.raises(ValueError, match="depth"):
        queue.enqueue(study, [*POINTS[:2], {"depth": 5000}], DISTRIBUTIONS)
    assert not study.trials


def test_study_of_another_program_is_refused(study):
    optuna.create_study(storage=study._storage, study_name="foreign").add_trial(
        optuna.create_trial(value=1.0)
    )
    with pytest.raises(ValueError, match=r"study 'foreign' of another program. Pass another name"):
        queue.open_study(study._storage, "foreign", {})


def test_another_study_of_that_name_is_refused_with_the_difference(study, tmp_path):
    with (
        opened(f"sqlite:///{tmp_path / 'study.db'}") as storage,
        pytest.raises(
            ValueError,
            match=r"another study 'study' \(epochs: 2 stored, 3 now\). Pass another name",
        ),
    ):
        queue.open_study(storage, "study", {"epochs": 3})


def test_full_disk_is_one_sentence_and_loses_no_finished_trial(study, tmp_path):
    import resource

    queue.enqueue(study, POINTS, DISTRIBUTIONS)
    limits, done = resource.getrlimit(resource.RLIMIT_FSIZE), []
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def train(point):
        done.append(point["depth"])
        if len(done) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
        return 0.5

    try:
        with (
            pytest.raises(ValueError, match="The storage sqlite at here failed: .*(disk|full)"),
            storages.storage_errors("sqlite:///here"),
        ):
            work(study, train)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert states(f"sqlite:///{tmp_path / 'study.db'}").count(TrialState.COMPLETE) == 2


def test_trial_whose_folder_another_process_holds_is_postponed(study, capsys):
    queue.enqueue(study, POINTS[:2], DISTRIBUTIONS)
    trained = []

    def train(point):
        trained.append(point["depth"])
        if trained == [0]:
            raise FolderInUse("Another process is training in runs/0.")
        return 0.5

    assert work(study, train) == 0
    assert (
        trained == [0, 1, 0]
        and "requeued: depth 0: Another process is training" in capsys.readouterr().out
    )
    assert [trial.state.name for trial in study.trials].count("COMPLETE") == 2


@pytest.mark.parametrize("result", [None, "good", {"accuracy": 0.5}])
def test_objective_that_returns_no_number_fails(study, result):
    queue.enqueue(study, POINTS[:1], DISTRIBUTIONS)
    assert work(study, lambda point: result) == 1
    assert (
        "must return a number, or a dict with a number as 'value'"
        in study.trials[0].user_attrs["error"]
    )
