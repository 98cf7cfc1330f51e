"""A search along an axis: the requested number of trials, with values of the sampler."""

import keras
import optuna
import pytest

from keras_euler.studies import Search, queue
from keras_euler.studies.points import search_space
from tests.studies.test_worker import opened, work

# Nothing here depends on Keras' backend.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="runs without a backend; tried once"
)


@pytest.fixture
def study(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'study.db'}") as storage:
        yield queue.open_study(storage, "study", {"epochs": 2})


def test_search_proposes_other_values_in_every_start_and_ends(study):
    domains = search_space(Search("h", 0.01, 10.0, fixed={"depth": 20, "norm": "none"}))
    for num_trials in (4, 8):
        study.sampler = optuna.samplers.TPESampler()
        assert queue.propose(study, num_trials) == 4
        work(study, lambda point: point["h"], domains=domains)
    assert len({trial.params["h"] for trial in study.trials}) == len(study.trials) == 8
    assert {trial.params["depth"] for trial in study.trials} == {20}


def test_failed_trials_of_a_search_are_proposed_anew_at_the_next_start(study):
    domains = search_space(Search("h", 0.01, 10.0))

    def train(point):
        raise RuntimeError("no memory")

    assert queue.propose(study, 3) == 3 and work(study, train, domains=domains) == 3
    assert queue.propose(study, 3) == 3
