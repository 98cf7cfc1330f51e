"""How fast a training step is: keras_euler on each backend against the same network written in PyTorch and in JAX.

    python recipes/benchmark.py --depth 20 56 110 --out benchmark.json
    python recipes/benchmark.py --network vdcnn --depth 9 29 --sequence-length 1024
    python recipes/benchmark.py --inference --depth 20 --steps 4              # predictions, with batch norm folded away

Every contestant lives in its own process; rounds of a few steps alternate between them, so that a noisy machine slows
all of them alike. The step of keras_euler is that of `model.fit`, an epoch a round; ratios are of median step times,
above 1 where keras_euler is slower. It uses a GPU where there is one. On two CPU cores `--depth 20 --steps 4` takes about four
minutes.
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile

from _handwritten_blocks import BLOCKS

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_benchmark_worker.py")
BACKENDS = ("tensorflow", "jax", "torch")
OURS = "keras_euler"
AUGMENTED = "keras_euler + augmentation"
LOGGED = "keras_euler + logs of gradients and weights"
# Of each network the depths that are there and those measured by default, the default batch, and, written by hand in the files
# beside this one, what to compare with: (backend, contestant) and the name in tables.
NETWORKS = {
    "resnet": {
        "depths": range(8, 10**6, 6),
        "depths_in_words": "6n+2 and at least 8",
        "default_depths": [20, 56, 110],
        "batch_size": 128,
        "handwritten": {
            ("torch", "nchw"): "PyTorch NCHW",
            ("torch", "channels_last"): "PyTorch channels_last",
            ("jax", "handwritten"): "JAX",
        },
    },
    "vdcnn": {
        "depths": tuple(BLOCKS),
        "depths_in_words": "9, 17, 29, 49, 65 or 69",
        "default_depths": [9, 29],
        "batch_size": 64,
        "handwritten": {("torch", "nchw"): "PyTorch NCL", ("jax", "handwritten"): "JAX"},
    },
}


def parse_arguments(argv=None):
    """The command line; wrong arguments leave with status 2 before any framework is imported."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="resnet", help="images or texts (default: %(default)s)")
    parser.add_argument("--depth", type=positive, nargs="+", help="default: 20 56 110; of vdcnn 9 29")
    parser.add_argument("--sequence-length", type=positive, help="of vdcnn, a multiple of 64 (default: 1024)")
    parser.add_argument("--h", type=float, default=0.1, help="step factor (default: %(default)s)")
    parser.add_argument("--batch-size", type=positive, help="default: 128; of vdcnn 64")
    parser.add_argument("--steps", type=positive, default=10, help="steps per round (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="rounds per contestant (default: %(default)s)")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, help="default: those installed")
    parser.add_argument("--dtype", choices=("float32", "mixed_bfloat16", "mixed_float16"), default="float32")
    parser.add_argument("--data-format", choices=("auto", "channels_last", "channels_first"), default="auto")
    parser.add_argument("--jit-compile", choices=("auto", "true", "false"), default="auto", help="of model.compile")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--augmentation", action="store_true", help="the share of the input pipeline in the step instead")
    mode.add_argument(
        "--inference", action="store_true", help="predictions, plain and folded (keras_euler.fold), instead"
    )
    mode.add_argument("--logging", action="store_true", help="the share of GradientLogger and WeightLogger instead")
    mode.add_argument(
        "--second-start", action="store_true", help="JAX: the first step with a compilation cache instead"
    )
    parser.add_argument("--out", metavar="FILE.json", help="write settings, versions and all rounds here")
    arguments = parser.parse_args(argv)
    network = NETWORKS[arguments.network]
    arguments.depth = arguments.depth or network["default_depths"]
    arguments.batch_size = arguments.batch_size or network["batch_size"]
    for depth in arguments.depth:
        if depth not in network["depths"]:
            parser.error(
                f"--depth must be {network['depths_in_words']} with --network {arguments.network}. Received: {depth}. "
                f"Use for example {', '.join(map(str, network['default_depths']))}."
            )
    if arguments.sequence_length and arguments.network != "vdcnn":
        parser.error("--sequence-length is of --network vdcnn.")
    if arguments.network == "vdcnn":
        arguments.sequence_length = arguments.sequence_length or 1024
        if arguments.sequence_length % 64:
            parser.error(f"--sequence-length must be a multiple of 64. Received: {arguments.sequence_length}.")
    if not (math.isfinite(arguments.h) and arguments.h >= 0):
        parser.error(f"--h must be a finite number >= 0. Received: {arguments.h}.")
    if arguments.out and not os.access(os.path.dirname(os.path.abspath(arguments.out)), os.W_OK):
        parser.error(f"--out: the folder of {arguments.out} is not there or cannot be written.")
    if arguments.second_start:
        arguments.backends = ["jax"]
    missing = [name for name in arguments.backends or () if importlib.util.find_spec(name) is None]
    if missing:
        parser.error(f"The backend {missing[0]} is not installed: install it or leave it out of --backends.")
    arguments.backends = arguments.backends or [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not arguments.backends:
        parser.error(f"No backend is installed. Install one of {', '.join(BACKENDS)}.")
    return arguments


def positive(text):
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


class Worker:
    """A contestant in its process, built and past its first step; `round()` adds one time to `step_times`."""

    def __init__(self, backend, contestant, depth, arguments, **environment):
        names = ("network", "sequence_length", "h", "batch_size", "steps", "dtype", "data_format", "jit_compile")
        spec = {name: getattr(arguments, name) for name in names}
        self.spec = {"backend": backend, "contestant": contestant, "depth": depth, **spec}
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (read when the process is gone)
        self.step_times, self.cpu_times = [], []
        # Several processes share a GPU here, so none may take all of its memory.
        shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        self.process = subprocess.Popen(
            [sys.executable, WORKER, json.dumps(self.spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", **shared, **environment},
        )
        self.ready = self._answer()

    def round(self):
        """Train `steps` steps."""
        print("round", file=self.process.stdin, flush=True)
        seconds, cpu_seconds = self._answer()
        self.step_times.append(seconds / self.spec["steps"])
        self.cpu_times.append(cpu_seconds / self.spec["steps"])

    def result(self):
        """End the process; the medians as a flat dictionary."""
        self.process.stdin.close()
        memory = self._answer()
        self.process.wait()
        times = self.step_times[1:] or self.step_times  # the first round warms up
        result = {**self.spec, **self.ready, "peak_memory_mb": round(memory, 1)}
        if times:
            median = statistics.median(times)
            result |= {"examples_per_s": round(self.spec["batch_size"] / median, 1), "step_ms": round(1e3 * median, 3)}
            result |= {"step_ms_min": round(1e3 * min(times), 3), "step_ms_max": round(1e3 * max(times), 3)}
            result["cpu_ms"] = round(1e3 * statistics.median(self.cpu_times[1:] or self.cpu_times), 3)
            result["rounds_ms"] = [round(1e3 * value, 3) for value in times]
        return result

    def _answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.log.seek(0)
        sys.stderr.write("".join(self.log.readlines()[-20:]))
        sys.exit(f"{self.spec['contestant']} on {self.spec['backend']} stopped; the end of its log is above.")


def measure(contestants, depth, arguments):
    """Rounds of all contestants, alternating; every other turn backwards, so that none always follows the same one."""
    workers = []
    for backend, contestant in contestants:
        progress(f"depth {depth}: {contestant} on {backend}, first step")
        workers.append(Worker(backend, contestant, depth, arguments))
    for turn in range(arguments.rounds + 1):
        progress(f"depth {depth}: round {turn} of {arguments.rounds}")
        for worker in workers[:: -1 if turn % 2 else 1]:
            worker.round()
    progress("")
    return [worker.result() for worker in workers]


def compare(depth, arguments):
    """Table rows of keras_euler and the hand-written networks, with ratios, and the results themselves."""
    handwritten = NETWORKS[arguments.network]["handwritten"]
    references = [key for key in handwritten if key[0] in arguments.backends]
    torch_reference = ("torch", "nchw")
    if torch_reference not in references and "tensorflow" in arguments.backends and importlib.util.find_spec("torch"):
        references.append(torch_reference)
    results = measure([(backend, OURS) for backend in arguments.backends] + references, depth, arguments)
    times = {(result["backend"], result["contestant"]): result["step_ms"] for result in results}
    for result in results:
        if result["contestant"] == OURS:
            ratios = {handwritten[key]: round(result["step_ms"] / times[key], 3) for key in references}
            result["ratios"] = ratios
    header = ["depth", "network", "examples/s", "step (ms)", "min-max", "first step (s)", "memory (MB)"]
    table = [header + [f"/ {handwritten[key]}" for key in references]]
    for result in results:
        name = handwritten.get((result["backend"], result["contestant"]), f"keras_euler, {result['backend']}")
        spread = f"{result['step_ms_min']:.1f}-{result['step_ms_max']:.1f}"
        row = [depth, name, f"{result['examples_per_s']:.0f}", f"{result['step_ms']:.1f}", spread]
        row += [f"{result['first_step_s']:.1f}", f"{result['peak_memory_mb']:.0f}"]
        table.append(row + [f"{result.get('ratios', {}).get(handwritten[key], '')}" for key in references])
    return table, results


def share(depth, arguments):
    """Table rows of the bare network and the one with the input pipeline in the compiled step, or with logs."""
    contestant = AUGMENTED if arguments.augmentation else LOGGED
    results = measure([(b, c) for b in arguments.backends for c in (OURS, contestant)], depth, arguments)
    table = [["depth", "backend", "bare step (ms)", f"{contestant} (ms)", "share of the step (%)"]]
    for bare, more in zip(results[::2], results[1::2], strict=True):
        more["share_percent"] = round(100 * (1 - bare["step_ms"] / more["step_ms"]), 1)
        steps = [f"{bare['step_ms']:.1f}", f"{more['step_ms']:.1f}"]
        table.append([depth, bare["backend"], *steps, more["share_percent"]])
    return table, results


def inference(depth, arguments):
    """Table rows of predictions, plain and folded, beside the hand-written PyTorch network in eval mode, plain and fused."""
    pairs = [(backend, "predict", "predict, folded") for backend in arguments.backends]
    if importlib.util.find_spec("torch"):
        pairs.append(("torch", "eval", "eval, fused"))
    results = measure([(backend, one) for backend, *both in pairs for one in both], depth, arguments)
    table = [["depth", "network", "plain (ms)", "folded (ms)", "plain / folded"]]
    for (backend, contestant, _), plain, folded in zip(pairs, results[::2], results[1::2], strict=True):
        folded["speedup"] = round(plain["step_ms"] / folded["step_ms"], 3)
        name = f"keras_euler, {backend}" if contestant == "predict" else "hand-written PyTorch"
        table.append([depth, name, f"{plain['step_ms']:.1f}", f"{folded['step_ms']:.1f}", folded["speedup"]])
    return table, results


def second_start(depth, arguments):
    """Table rows of the first step in two new processes that share a folder of compiled programs."""
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for start in ("first", "second"):
            progress(f"depth {depth}: {start} start")
            results.append(Worker("jax", OURS, depth, arguments, JAX_COMPILATION_CACHE_DIR=folder).result())
    progress("")
    first, second = (result["first_step_s"] for result in results)
    results[1]["ratio"] = round(second / first, 3)
    table = [["depth", "first step (s)", "first step of the second start (s)", "second / first"]]
    return [*table, [depth, f"{first:.2f}", f"{second:.2f}", results[1]["ratio"]]], results


def progress(text):
    """One line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{text:<70}", end="" if text else "\r", file=sys.stderr, flush=True)


def main(argv=None):
    """Measure, print the table, write the file."""
    arguments = parse_arguments(argv)
    mode = share if arguments.augmentation or arguments.logging else compare
    mode = second_start if arguments.second_start else inference if arguments.inference else mode
    results = []
    for depth in arguments.depth:
        (header, *rows), measured = mode(depth, arguments)
        if not results:
            print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
        for row in rows:
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
        results += measured
    report = {
        "device": results[0]["device"],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for result in results for name, version in result["versions"].items()},
        "settings": {name: value for name, value in vars(arguments).items() if name != "out"},
        "results": results,
    }
    print(f"\n{report['device']}, {report['cores']} cores; Python {report['python']}, {report['versions']}")
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
