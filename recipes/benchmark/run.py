"""Compare the training step of keras_euler on each backend with the same network written in PyTorch
and in JAX.

    python recipes/benchmark/run.py --depth 20 56 110 --out benchmark.json
    python recipes/benchmark/run.py --network vdcnn --depth 9 29 --sequence-length 1024
    # what Python costs: tiny images, a figure
    python recipes/benchmark/run.py --host --out host.json
    # predictions, with folded batch norm
    python recipes/benchmark/run.py --inference --depth 20 --steps 4

Each contestant has its own process. Rounds of a few steps alternate between them, so that a busy
machine slows all of them equally. A round of keras_euler is an epoch of `model.fit`. Ratios are
those of median step times, with `--host` of the least processor times, above 1 if keras_euler is
slower. A GPU is used if available. On two CPU cores `--depth 20 --steps 4` takes about four
minutes.
"""

import dataclasses
import importlib.util
import json
import multiprocessing
import os
import pathlib
import platform
import sys
import tempfile

import worker

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))
import _benchmarks
import _cli
from _settings import BACKENDS, flag, setting

BY_LAYERS = "keras_euler, KERAS_EULER_DIRECT=0"
OURS, REMAT, AUGMENTED, LOGGED = (
    "keras_euler",
    "keras_euler, remat=True",
    "keras_euler + augmentation",
    "keras_euler + logs of gradients and weights",
)
DEFAULTS = {
    "resnet": {"depth": (20, 56, 110), "batch_size": 128, "image_size": 32},
    "vdcnn": {"depth": (9, 29), "batch_size": 64, "sequence_length": 1024},
}
HOST = {"depth": (20, 56, 110, 218), "batch_size": 2, "image_size": 8}  # defaults of `--host`
REFERENCES = {  # names of the hand-written networks
    "resnet": {
        ("torch", "nchw"): "PyTorch NCHW",
        ("torch", "channels_last"): "PyTorch channels_last",
        ("jax", "handwritten"): "JAX",
    },
    "vdcnn": {("torch", "nchw"): "PyTorch NCL", ("jax", "handwritten"): "JAX"},
}
MODES = {  # measurement, and its two contestants on every backend
    "augmentation": ("the input pipeline", OURS, AUGMENTED),
    "inference": ("predictions, plain and folded (keras_euler.fold)", "predict", "predict, folded"),
    "logging": ("GradientLogger and WeightLogger", OURS, LOGGED),
    "remat": ("blocks that are computed again in the backward pass", OURS, REMAT),
    "second_start": ("the first step on JAX without and with its compilation cache", OURS, OURS),
}
COLUMNS = {  # of the table: name, key and format
    "depth": ("depth", ""),
    "network": ("name", ""),
    "examples/s": ("examples_per_s", ".0f"),
    "step (ms)": ("step_ms", ".1f"),
    "min": ("step_ms_min", ".1f"),
    "max": ("step_ms_max", ".1f"),
    "processor (ms)": ("cpu_ms", ".1f"),
    "least": ("cpu_ms_min", ".1f"),
    "first step (s)": ("first_step_s", ".2f"),
    "memory (MB)": ("peak_memory_mb", ".0f"),
    "/ row above": ("ratio", ".3f"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a measurement. Every field is a flag; None is the network's default."""

    network: str = setting("resnet", "images or texts", choices=tuple(DEFAULTS))
    depth: tuple = setting((), "depths (default: 20 56 110, for vdcnn 9 29)", int, nargs="+")
    sequence_length: int | None = setting(None, "for vdcnn (default: 1024)", int)
    image_size: int | None = setting(
        None, "pixels along a side of an image (default: 32; with --host 8)", int
    )
    h: float = setting(0.1, "step factor")
    batch_size: int | None = setting(None, "examples per step (default: 128, for vdcnn 64)", int)
    steps: int = setting(10, "steps per round")
    rounds: int = setting(5, "rounds per contestant")
    backends: tuple = setting(
        (), "backends (default: the installed ones)", choices=BACKENDS, nargs="+"
    )
    dtype: str = setting(
        "float32", "dtype policy", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )
    data_format: str = setting(
        "auto", "data format of images", choices=("auto", "channels_last", "channels_first")
    )
    jit_compile: str = setting(
        "auto", "argument of `model.compile`", choices=("auto", "true", "false")
    )
    augmentation: bool = setting(False, f"measure {MODES['augmentation'][0]} instead")
    inference: bool = setting(False, f"measure {MODES['inference'][0]} instead")
    logging: bool = setting(False, f"measure {MODES['logging'][0]} instead")
    host: bool = setting(False, "measure the processor time of steps on tiny images, on one thread")
    remat: bool = setting(False, f"measure {MODES['remat'][0]} instead")
    second_start: bool = setting(False, f"measure {MODES['second_start'][0]} instead")


def parse(argv=None):
    """Return the settings and the path of the JSON file; wrong arguments end the process with
    status 2."""
    parser = _cli.command(__doc__)
    parser.add_argument("--out", metavar="FILE.json", type=pathlib.Path)
    own, settings = _cli.parse(
        parser, [Settings], argv, host=HOST, second_start={"backends": ("jax",)}
    )
    modes = [name for name in (*MODES, "host") if getattr(settings, name)]
    if len(modes) > 1:
        parser.error(f"{flag(modes[0])} and {flag(modes[1])} exclude each other")
    if settings.host and settings.network != "resnet":
        parser.error("--host needs --network resnet")
    installed = tuple(name for name in BACKENDS if importlib.util.find_spec(name))
    defaults = DEFAULTS[settings.network] | {"backends": installed}
    missing = {n: v for n, v in defaults.items() if getattr(settings, n) in (None, ())}
    settings = dataclasses.replace(settings, **missing)
    for name in settings.backends or ("torch",):
        if name not in installed:
            parser.error(f"a backend must be installed: pip install {name}")
    if settings.second_start and settings.backends != ("jax",):
        parser.error("--second-start needs --backends jax: others have no compilation cache")
    try:
        for depth in settings.depth:
            blocks(settings, depth)
    except ValueError as error:
        parser.error(str(error))
    return settings, own.out


def measure(contestants, depth, settings):
    """Return one result per contestant. Every second turn runs in reverse, so that no contestant
    always follows the same one."""
    spec = dataclasses.asdict(settings) | {"depth": depth, "blocks": blocks(settings, depth)}
    context, running = multiprocessing.get_context("spawn"), []
    with tempfile.TemporaryDirectory() as folder:
        for backend, contestant in contestants:
            progress(f"depth {depth}: {contestant} on {backend}, first step")
            connection, other_end = context.Pipe()
            log = pathlib.Path(folder, f"{contestant} on {backend}")
            arguments = other_end, spec | {"backend": backend, "contestant": contestant}, log
            context.Process(target=worker.serve, args=arguments, daemon=True).start()
            other_end.close()
            running.append((connection, log))
            receive(*running[-1])
        for turn in range(0 if settings.second_start else settings.rounds + 1):
            progress(f"depth {depth}: round {turn} of {settings.rounds}")
            for connection, log in running[:: -1 if turn % 2 else 1]:
                connection.send("round")
                receive(connection, log)
        for connection, _ in running:
            connection.send("end")
        return [receive(*contestant) for contestant in running]


def blocks(settings, depth):
    """Return the number of blocks of each stage, or raise a ValueError that names valid depths."""
    os.environ.setdefault("KERAS_BACKEND", settings.backends[0])
    # Spawned contestants inherit the path.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
    from keras_euler.models import euler_resnet, euler_vdcnn

    if settings.network == "vdcnn":
        return euler_vdcnn.blocks_per_stage(depth)
    return (euler_resnet.blocks_per_stage(depth),) * 3


def receive(connection, log):
    """Receive a message of a contestant; if it failed, end this process with the end of its log."""
    try:
        return connection.recv()
    except EOFError:
        sys.exit(f"{log.read_text()[-3000:]}\n{log.name} failed; the end of its log is above.")
    except KeyboardInterrupt:
        sys.exit(130)


def progress(text):
    """Overwrite the last line of a terminal."""
    if sys.stderr.isatty():
        print(f"{text:<70}", end="\r", file=sys.stderr, flush=True)


def references(settings):
    """Return a dict of `(backend, contestant)` -> name of the hand-written networks; TensorFlow is
    compared with PyTorch."""
    needed = {"torch" if backend == "tensorflow" else backend for backend in settings.backends}
    left_out = "nchw" if settings.host else None
    return {
        (backend, contestant): name
        for (backend, contestant), name in REFERENCES[settings.network].items()
        if backend in needed and contestant != left_out and importlib.util.find_spec(backend)
    }


def compare(depth, settings):
    """Return results of keras_euler on each backend, with ratios to the hand-written networks, and
    the results of these."""
    known, time = references(settings), "cpu_ms_min" if settings.host else "step_ms"
    ours = [(backend, OURS) for backend in settings.backends]
    ours += [("torch", BY_LAYERS)] if settings.host and "torch" in settings.backends else []
    results = measure([*ours, *known], depth, settings)
    times = {(result["backend"], result["contestant"]): result[time] for result in results}
    for result in results[: len(ours)]:
        result["ratios"] = {name: result[time] / times[key] for key, name in known.items()}
    return results


def compare_pairs(depth, settings, first, second):
    """Return results of two contestants on each backend, the second with its ratio to the first;
    for predictions also of PyTorch."""
    contestants = [(backend, name) for backend in settings.backends for name in (first, second)]
    if settings.inference and importlib.util.find_spec("torch"):
        contestants += [("torch", "eval"), ("torch", "eval, fused")]
    results = measure(contestants, depth, settings)
    time = "first_step_s" if settings.second_start else "step_ms"
    for base, other in zip(results[::2], results[1::2], strict=True):
        other["ratio"] = other[time] / base[time]
    return results


def table(results, known):
    """Yield the header and the rows, without empty columns."""
    columns = COLUMNS | {f"/ {name}": (name, ".3f") for name in known.values()}
    rows = [columns]
    for result in results:
        backend, contestant = result["backend"], result["contestant"]
        name = known.get((backend, contestant), f"{contestant}, {backend}")
        values = {"name": name, **result, **result.get("ratios", {})}
        rows.append(
            [format(values[key], form) if key in values else "" for key, form in columns.values()]
        )
    return zip(*(column for column in zip(*rows, strict=True) if any(column[1:])), strict=True)


def main(argv=None):
    """Measure, print the table, and write the file."""
    settings, out = parse(argv)
    pair = next((pair for name, (_, *pair) in MODES.items() if getattr(settings, name)), None)
    results = []
    for depth in settings.depth:
        measured = compare_pairs(depth, settings, *pair) if pair else compare(depth, settings)
        header, *rows = table(measured, references(settings))
        if not results:
            print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
        for row in rows:
            print("| " + " | ".join(row) + " |", flush=True)
        results += measured
        report = {
            "device": results[0]["device"],
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": {
                name: version for result in results for name, version in result["versions"].items()
            },
            "settings": dataclasses.asdict(settings),
            "results": results,
        }
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(report, indent=1))
    if out and settings.host:
        _benchmarks.draw(report).savefig(out.with_suffix(".png"))
    print(
        f"\n{report['device']}, {report['cores']} cores; Python {report['python']}, "
        f"{report['versions']}"
    )


if __name__ == "__main__":
    main()
