"""Run recipes in the test process, which is fast, and interrupt them."""

import _cli
import _run
import keras

from keras_euler.training import epochs

BACKEND = keras.backend.backend()


def run_here(module, *arguments):
    """Run a training recipe with this backend and return its exit status."""
    try:
        _run.main(module.RECIPE, module.__doc__, ["--backend", BACKEND, "--verbose", "2", *map(str, arguments)])
    except SystemExit as end:
        return end.code
    return 0


def run_one_epoch(module, monkeypatch, *arguments):
    """Interrupt a run after its first epoch."""
    whole = epochs.Checkpoint.on_epoch_end

    def then_stop(self, epoch, logs=None):
        whole(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(epochs.Checkpoint, "on_epoch_end", then_stop)
        return run_here(module, *arguments)


def settings_of(module, *arguments):
    """Return the settings that a command line describes."""
    _, settings, _ = _cli.parse(
        _cli.command(""), [module.RECIPE.settings, _run.Execution], [*map(str, arguments)], quick=module.RECIPE.quick
    )
    return settings
