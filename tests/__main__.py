"""`python -m tests`: ruff, then pytest once per backend, each in a process of its own. Further arguments go to pytest."""

import os
import subprocess
import sys
import time

BACKENDS = ("tensorflow", "jax", "torch")


def main(arguments):
    """Run everything; return the exit status."""
    lines, failed = [], False
    for name, command in (
        ("ruff check", [sys.executable, "-m", "ruff", "check", "."]),
        ("ruff format", [sys.executable, "-m", "ruff", "format", "--check", "."]),
        *((backend, [sys.executable, "-m", "pytest", "-q", *arguments]) for backend in BACKENDS),
    ):
        print(f"=== {name}", flush=True)
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        if name in BACKENDS:
            environment.update(KERAS_BACKEND=name, KERAS_EULER_EXPECTED_BACKEND=name)
        start = time.monotonic()
        status = subprocess.run(command, env=environment, check=False).returncode
        failed |= status != 0
        lines.append(
            f"{name:12} {'passed' if status == 0 else f'FAILED (status {status})'} {time.monotonic() - start:6.0f} s"
        )
    print("\n".join(["===", *lines]), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
