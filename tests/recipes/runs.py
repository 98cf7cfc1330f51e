"""Run recipes in the test process, which is fast, or as commands, and interrupt them."""

import os
import subprocess
import sys
from pathlib import Path

import _cli
import _run
import keras

from keras_euler.training.checkpoint import ResumableCallbacks

ROOT = Path(__file__).parents[2]
BACKEND = keras.backend.backend()
TINY = [
    "--depth",
    "8",
    "--batch-size",
    "16",
    "--train-size",
    "40",
    "--test-size",
    "20",
    "--milestones",
    "2",
]


def command(*arguments, backend=BACKEND):
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # as a new user has it
    environment.pop("KERAS_BACKEND", None)
    backend = ["--backend", backend] if backend else []
    line = [sys.executable, str(ROOT / "recipes" / "cifar10.py"), *backend, *map(str, arguments)]
    return {
        "args": line,
        "env": environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def run(*arguments, **kwargs):
    return subprocess.run(**command(*arguments, **kwargs), check=False, timeout=600)


def run_here(module, *arguments):
    """Run a training recipe with this backend and return its exit status."""
    try:
        _run.main(
            module.RECIPE,
            module.__doc__,
            ["--backend", BACKEND, "--verbose", "2", *map(str, arguments)],
        )
    except SystemExit as end:
        return end.code
    return 0


def run_one_epoch(module, monkeypatch, *arguments):
    """Interrupt a run after its first epoch."""
    whole = ResumableCallbacks.on_epoch_end

    def then_stop(self, epoch, logs=None):
        whole(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableCallbacks, "on_epoch_end", then_stop)
        return run_here(module, *arguments)


def settings_of(module, *arguments):
    """Return the settings that a command line describes."""
    _, settings, _ = _cli.parse(
        _cli.command(""),
        [module.RECIPE.settings, _run.Execution],
        [*map(str, arguments)],
        quick=module.RECIPE.quick,
    )
    return settings
