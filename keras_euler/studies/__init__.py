"""Many runs: a grid or a search over settings, in a folder that processes and machines share
(extra: studies)."""

from keras_euler.studies.points import Search, grid
from keras_euler.studies.study import results, run

__all__ = ["Search", "grid", "results", "run"]
