"""Recipes run by the tests: in this process, which is fast, and cut short as a kill would."""

import _callbacks
import _harness
import keras

BACKEND = keras.backend.backend()


def run_here(recipe, *arguments):
    """Run a recipe with this backend and return its exit status."""
    try:
        _harness.main(recipe, ["--backend", BACKEND, "--verbose", "0", *map(str, arguments)])
    except SystemExit as end:
        return end.code
    return 0


def run_one_epoch(recipe, monkeypatch, *arguments):
    """Interrupt a run after its first epoch."""
    whole = _callbacks.Checkpoint.on_epoch_end

    def then_stop(self, epoch, logs=None):
        whole(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_callbacks.Checkpoint, "on_epoch_end", then_stop)
        return run_here(recipe, *arguments)
