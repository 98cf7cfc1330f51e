"""Fixtures for the benchmark's modules, which lie beside its script."""

import pathlib

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "recipes" / "benchmark"


@pytest.fixture(autouse=True)
def benchmark_folder(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return FOLDER
