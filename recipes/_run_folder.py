"""The folder of one training run: its configuration, its checkpoint, its results. A kill at any moment leaves whole files."""

import contextlib
import csv
import io
import json
import os
import re
from pathlib import Path

import numpy as np

LEFTOVER = re.compile(
    r"\.\d+\.((config|result|summary)\.json|checkpoint\.npz|(history|gradients|weights)\.csv|model\.keras|\w+\.png)"
)


class RunFolder:
    """A run's files: `config.json`, `checkpoint.npz`, `history.csv`, `result.json`, and what the recipe adds.

    The checkpoint holds the whole state, the history too: a run is what its last whole checkpoint says.

    Args:
        path: The folder; made on `open`.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint.npz"

    def open(self, config):
        """Make the folder for `config`, or check that it is a run of the same `settings` and `data`.

        Raises:
            ValueError: The folder holds a run with other settings, or other files; the message shows the difference.
            OSError: It cannot be written.
        """
        file = self.path / "config.json"
        for leftover in self.path.glob(".*"):
            if LEFTOVER.fullmatch(leftover.name):  # of a writer that was killed
                leftover.unlink()
        if file.exists():
            old = _read_json(file)
            difference = [
                f"{name}: {before.get(name)!r} there, {now.get(name)!r} now"
                for before, now in (
                    (old.get("settings", {}), config["settings"]),
                    (old.get("data", {}), config["data"]),
                )
                for name in sorted({*before, *now})
                if before.get(name) != now.get(name)
            ]
            if difference:
                raise ValueError(
                    f"The folder {self.path} holds a run of another configuration ({'; '.join(difference)}). "
                    "Pass another --out, or the old settings to go on with that run."
                )
            if old.get("versions") != config["versions"]:
                print(f"note: this run began with other versions: {old.get('versions')}")
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ValueError(f"{self.path} is not an empty folder and holds no config.json. Pass another --out.")
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_json("config.json", config)

    def write(self, name, save):
        """Write a file by `save(path)`, beside and renamed: it is there whole or not at all."""
        file = self.path / name
        beside = file.with_name(f".{os.getpid()}.{name}")  # keeps the suffix, which some writers go by
        try:
            save(beside)
            with open(beside, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(beside, file)
        except OSError as error:
            error.filename = str(file)
            raise
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()

    def write_json(self, name, value):
        """Write a value as JSON."""
        self.write(name, lambda path: path.write_text(json.dumps(value, indent=2) + "\n"))

    def write_history(self, rows):
        """Write `history.csv`: one row per epoch, a column per measurement."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("history.csv", lambda path: path.write_text(text.getvalue()))

    def save_checkpoint(self, rows, arrays):
        """Write the state after an epoch: the history so far and all arrays of model and optimizer."""
        named = {f"array{i}": array for i, array in enumerate(arrays)}
        self.write("checkpoint.npz", lambda path: np.savez(path, history=np.array(json.dumps(rows)), **named))
        self.write_history(rows)

    def load_checkpoint(self):
        """Return `(rows, arrays)` of the last whole checkpoint, `([], None)` without one.

        Raises:
            ValueError: The file is broken, which no kill of ours can do.
        """
        if not self.checkpoint.exists():
            return [], None
        try:
            with open(self.checkpoint, "rb") as file, np.load(file) as saved:
                rows = json.loads(str(saved["history"]))
                return rows, [saved[f"array{i}"] for i in range(len(saved.files) - 1)]
        except Exception as error:
            raise ValueError(
                f"The checkpoint {self.checkpoint} cannot be read ({error}). Delete it to start the run anew."
            ) from error

    def config(self):
        """What `open` wrote; empty where nothing is."""
        file = self.path / "config.json"
        return _read_json(file) if file.exists() else {}

    def result(self):
        """The result of a finished run, or None."""
        file = self.path / "result.json"
        return _read_json(file) if file.exists() else None


def _read_json(file):
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not a JSON file ({error}).") from error
