"""The benchmark's command line, and one small measurement."""

import json
import os
import subprocess
import sys

import keras
import pytest

pytestmark = pytest.mark.once


@pytest.fixture
def run(benchmark_folder):
    import run

    return run


WRONG = [
    (["--depth", "21"], "`depth` must be 6n + 2. Received: depth=21."),
    (["--network", "vdcnn", "--depth", "20"], "`depth` must be one of 9, 17, 29, 49, 65, 69"),
    (["--network", "vdcnn", "--host"], "--host needs --network resnet"),
    (["--backends", "theano"], "--backends: invalid choice"),
    (["--augmentation", "--second-start"], "--augmentation and --second-start exclude each other"),
    (["--second-start", "--backends", "torch"], "--second-start needs --backends jax"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_wrong_arguments_end_with_status_2(run, arguments, words, capsys):
    with pytest.raises(SystemExit) as exit:
        run.parse(arguments)
    assert exit.value.code == 2
    assert words in capsys.readouterr().err


def test_a_missing_backend_is_one_sentence(run, monkeypatch, capsys):
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    for arguments, name in ((["--backends", "jax"], "jax"), ([], "torch")):
        with pytest.raises(SystemExit) as exit:
            run.parse(arguments)
        assert exit.value.code == 2
        assert f"must be installed: pip install {name}" in capsys.readouterr().err


def test_every_contestant_can_be_built(run):
    import worker

    wanted = {name for _, *pair in run.MODES.values() for name in pair} | {
        "eval",
        "eval, fused",
        run.BY_LAYERS,
    }
    wanted |= {name for references in run.REFERENCES.values() for _, name in references}
    assert wanted == set(worker.CONTESTANTS)


@pytest.fixture
def times(run, monkeypatch):
    """Return fixed step times by contestant; a second start takes half the time of the first."""
    step_ms = {"torch": 20.0, "nchw": 10.0, "channels_last": 40.0, "jax": 30.0, "handwritten": 60.0}

    def measure(contestants, depth, settings):
        return [
            {
                "backend": backend,
                "contestant": contestant,
                "depth": depth,
                "device": "a device",
                "versions": {backend: "1.0"},
                "first_step_s": 8 / 2**i,
                "cpu_ms_min": 2 * step_ms.get(contestant, step_ms[backend]),
                "step_ms": step_ms.get(contestant, step_ms[backend])
                * (0.8 if "folded" in contestant else 1),
            }
            for i, (backend, contestant) in enumerate(contestants)
        ]

    monkeypatch.setattr(run, "measure", measure)


def table(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_ratios_are_to_the_handwritten_networks(run, times, tmp_path, capsys):
    run.main(
        [
            "--depth",
            "8",
            "14",
            "--backends",
            "torch",
            "jax",
            "--out",
            str(tmp_path / "benchmark.json"),
        ]
    )
    header, _, ours, *_ = rows = table(capsys.readouterr().out)
    assert header[-3:] == ["/ PyTorch NCHW", "/ PyTorch channels_last", "/ JAX"]
    assert ours == ["8", "keras_euler, torch", "20.0", "40.0", "8.00", "2.000", "0.500", "0.333"]
    assert [row[1] for row in rows[4:7]] == ["PyTorch NCHW", "PyTorch channels_last", "JAX"]
    assert [row[0] for row in rows[2:]] == ["8"] * 5 + ["14"] * 5
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert report["results"][0]["ratios"] == {
        "PyTorch NCHW": 2,
        "PyTorch channels_last": 0.5,
        "JAX": 20 / 60,
    }
    assert report["versions"] == {"torch": "1.0", "jax": "1.0"}
    assert report["settings"]["inference"] is False


def test_a_small_measurement(benchmark_folder, tmp_path):
    out, backend = tmp_path / "benchmark.json", keras.backend.backend()
    command = [
        sys.executable,
        str(benchmark_folder / "run.py"),
        "--depth",
        "8",
        "--steps",
        "1",
        "--rounds",
        "2",
    ]
    command += ["--host", "--batch-size", "4", "--backends", backend, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    ours, *references = json.loads(out.read_text())["results"]
    assert len(table(done.stdout)) == 3 + len(references) and references
    for result in (ours, *references):
        assert len(result["rounds_ms"]) == 2
        assert result["step_ms_min"] <= result["step_ms"] <= result["step_ms_max"]
        assert result["examples_per_s"] == pytest.approx(4e3 / result["step_ms"])
        assert result["peak_memory_mb"] > 50 and result["first_step_s"] > 0 and result["cpu_ms"] > 0
        assert ("keras" in result["versions"]) == result["contestant"].startswith("keras_euler")
