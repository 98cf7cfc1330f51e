"""The result of a run, and the files that are written at its end."""

import math
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_euler._types import Config
from keras_euler.training.checkpoint import has_diverged
from keras_euler.training.run_folder import Row, RunFolder


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run.

    Attributes:
        folder: Path of the run folder.
        history: One dict per epoch: `epoch`, `learning_rate`, `train_loss`, `test_loss`, other
            metrics named alike, `seconds`.
        summary: Dict of `diverged`, `epochs`, `seconds`, `best_epoch`, the best value of the
            monitored metric, and the last value of every metric. A value that is not finite is
            None.
        resumed: Whether an earlier call trained a part of the run.

    Example:

    >>> TrainingResult(pathlib.Path("run"), [], {"diverged": True, "epochs": 2}).diverged
    True
    """

    folder: Path
    history: list[Row]
    summary: Config
    resumed: bool = False

    @property
    def diverged(self) -> bool:
        """Whether the training loss became infinite or NaN, which ends a run."""
        return self.summary["diverged"]


def write_result(
    model: keras.Model, run: RunFolder, rows: list[Row], monitor: str | None
) -> Config:
    """Write the files of a finished run, and return its summary."""
    run.write_history(rows)  # a kill may have come before it
    diverged = has_diverged(rows)
    if not diverged:
        try:
            run.write("model.keras", model.save)
        except OSError:
            raise
        except Exception as error:  # layers that Keras cannot serialize; the checkpoint has all
            print(f"note: no model.keras. {' '.join(str(error).split())[:300]}")
    try:
        from keras_euler.plots import training_curves

        run.write("curves.png", training_curves({"": rows}, title=run.path.name).savefig)
    except ImportError as error:
        print(f"note: no curves.png. {error}")
    last = {name: value for name, value in rows[-1].items() if name.startswith(("train_", "test_"))}
    monitor = monitor or next(
        name for name in ("test_accuracy", "test_loss", "train_loss") if name in last
    )
    if monitor not in last:
        raise ValueError(
            f"`monitor` must be a column of the history: {', '.join(last)}. Received: {monitor!r}."
        )
    sign = -1 if monitor.endswith(("loss", "error")) else 1
    best = max(
        rows, key=lambda row: sign * row[monitor] if math.isfinite(row[monitor]) else -math.inf
    )
    summary = {
        "diverged": diverged,
        "epochs": len(rows),
        f"best_{monitor}": best[monitor],
        "best_epoch": best["epoch"],
        **{f"last_{name}": value for name, value in last.items()},
        "seconds": sum(row["seconds"] for row in rows),
    }
    finite = {
        name: None if isinstance(v, float) and not math.isfinite(v) else v
        for name, v in summary.items()
    }
    run.write_json("result.json", finite)  # JSON has no NaN
    return finite
