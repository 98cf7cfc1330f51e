"""`python -m tests`: ruff, mypy, then pytest once per backend, with one worker per core.

`python -m tests torch` tests one backend. Further arguments go to pytest.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time

BACKENDS = ("tensorflow", "jax", "torch")
PACKAGES = ("pytest", "xdist", "ruff", "mypy")
# One thread for each process: threads of several processes that wait for each other are slower than
# none.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
PYTEST = ("-m", "pytest", "-q", "--numprocesses=auto", "--dist=worksteal", "--durations=8")


def main(arguments):
    """Run the checks and tests in a temporary cache; return the exit status."""
    chosen = [name for name in arguments if name in BACKENDS] or BACKENDS
    arguments = [argument for argument in arguments if argument not in BACKENDS]
    needed = (*PACKAGES, *chosen)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f'{", ".join(missing)} missing. Install the packages: pip install -e ".[test]"')
    commands = {
        "ruff check": ("-m", "ruff", "check", "."),
        "ruff format": ("-m", "ruff", "format", "--check", "."),
        "mypy": ("-m", "mypy"),
        **dict.fromkeys(chosen, (*PYTEST, *arguments)),
    }
    with tempfile.TemporaryDirectory() as cache:
        results = {name: run(name, command, cache) for name, command in commands.items()}
    print("===")
    for name, (status, seconds) in sorted(results.items(), key=lambda item: -item[1][1]):
        passed = "FAILED" if status else "passed"
        print(f"{name:12} {passed} {seconds:6.0f} s", flush=True)
    return int(any(status for status, _ in results.values()))


def run(name, command, cache):
    """Run a Python command with a folder for its caches; return its exit status and seconds."""
    print(f"=== {name}", flush=True)
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", MYPY_CACHE_DIR=f"{cache}/mypy")
    if name in BACKENDS:
        # Many tests compile the same networks. By default JAX keeps slow compilations alone.
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
        environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        # The same programs with less optimized machine code take half the time to compile.
        environment.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        environment.update(ONE_THREAD, KERAS_BACKEND=name, KERAS_EULER_EXPECTED_BACKEND=name)
    start = time.monotonic()
    status = subprocess.run([sys.executable, *command], env=environment, check=False).returncode
    return status, time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
