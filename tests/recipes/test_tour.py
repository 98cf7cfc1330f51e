"""The tour: its outputs are stored, and it runs."""

from pathlib import Path

import keras
import nbclient
import nbformat
import pytest

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Jupyter's own clients
]
TOUR = Path(__file__).parents[2] / "recipes" / "tour.ipynb"
SMALL = "DEPTH, NUM_IMAGES, EPOCHS = 14, 64, 1"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_outputs_are_stored_whole_and_small():
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    assert TOUR.stat().st_size < 400_000
    assert [cell.execution_count for cell in code_cells(notebook)] == [
        *range(1, len(code_cells(notebook)) + 1)
    ]
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert all(
        output.output_type != "error" and output.get("name") != "stderr" for output in outputs
    )
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    texts = "".join(output.get("text", "") for output in outputs)
    for text in ("test accuracy", "scaled 16 branches", "Suggested: h = "):
        assert text in texts
    assert not any(word in TOUR.read_text() for word in ("/home/", "/root/", "/tmp/", "C:\\\\"))


def test_it_runs(tmp_path, monkeypatch):
    """With a smaller network and fewer images."""
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    monkeypatch.setenv("PYTHONPATH", str(TOUR.parents[1]))
    notebook = nbformat.read(TOUR, as_version=4)
    (parameters,) = (
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    )
    parameters.source = SMALL
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    texts = "".join(
        output.get("text", "") for cell in code_cells(notebook) for output in cell.outputs
    )
    assert "(64, 16, 16, 3)" in texts and "blocks 2 to 2 of stage 1: 0." in texts
