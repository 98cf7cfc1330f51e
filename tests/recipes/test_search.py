"""A search along an axis: as many trials as were asked for, with values of the sampler's."""

import _trials
import keras
import optuna
import pytest

from tests.recipes.test_trials import opened

# Nothing here depends on Keras' backend.
pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="runs without a backend; tried once")


@pytest.fixture
def study(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'study.db'}") as storage:
        yield _trials.open_study(storage, "study", {"epochs": 2})


def test_search_proposes_other_values_in_every_start_and_ends(study):
    space = _trials.point_space("h", 0.01, 10.0, {"depth": 20, "norm": "none"})
    for num_trials in (4, 8):
        study.sampler = optuna.samplers.TPESampler()
        assert _trials.propose(study, num_trials) == 4
        _trials.work(study, lambda trial: trial.params["h"], 1, space=space)
    assert len({trial.params["h"] for trial in study.trials}) == len(study.trials) == 8
    assert {trial.params["depth"] for trial in study.trials} == {20}


def test_failed_trials_of_a_search_are_proposed_anew_at_the_next_start(study):
    space = _trials.point_space("h", 0.01, 10.0, {})

    def train(trial):
        raise RuntimeError("no memory")

    assert _trials.propose(study, 3) == 3 and _trials.work(study, train, 1, space=space) == 3
    assert _trials.propose(study, 3) == 3
