"""`python -m tests`: ruff, mypy, then pytest once per backend, with one worker per core. Further
arguments go to pytest."""

import os
import subprocess
import sys
import tempfile
import time

BACKENDS = ("tensorflow", "jax", "torch")
# One thread for each process: threads of several processes that wait for each other are slower than
# none.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def main(arguments):
    """Run the checks and tests in a temporary cache; return the exit status."""
    with tempfile.TemporaryDirectory() as cache:
        return run(arguments, cache)


def run(arguments, cache):
    """Run ruff, mypy and pytest, with a folder for their caches; return the exit status."""
    lines, failed = [], False
    pytest = [sys.executable, "-m", "pytest", "-q", "--numprocesses=auto", "--dist=loadscope"]
    for name, command in (
        ("ruff check", [sys.executable, "-m", "ruff", "check", "."]),
        ("ruff format", [sys.executable, "-m", "ruff", "format", "--check", "."]),
        ("mypy", [sys.executable, "-m", "mypy", f"--cache-dir={cache}/mypy"]),
        *((backend, [*pytest, *arguments]) for backend in BACKENDS),
    ):
        print(f"=== {name}", flush=True)
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        if name in BACKENDS:
            # Many tests compile the same networks.
            environment.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
            environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
            environment.update(ONE_THREAD, KERAS_BACKEND=name, KERAS_EULER_EXPECTED_BACKEND=name)
        start = time.monotonic()
        status = subprocess.run(command, env=environment, check=False).returncode
        failed |= status != 0
        lines.append(
            f"{name:12} {'passed' if status == 0 else f'FAILED (status {status})'} "
            f"{time.monotonic() - start:6.0f} s"
        )
    print("\n".join(["===", *lines]), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
