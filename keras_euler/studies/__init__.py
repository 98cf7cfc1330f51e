"""Many runs: a grid or a search over settings, shared by workers, in an Optuna storage (extra:
studies)."""

from keras_euler.studies.points import Search, grid
from keras_euler.studies.storage import describe_storage, hide_password, storage_url
from keras_euler.studies.study import run
from keras_euler.studies.table import read_study, results, study_names
from keras_euler.studies.transfer import export_trials

__all__ = [
    "Search",
    "describe_storage",
    "export_trials",
    "grid",
    "hide_password",
    "read_study",
    "results",
    "run",
    "storage_url",
    "study_names",
]
