"""An objective that worker processes can import, and a program that runs it."""

import os
import random
import sys
import time
from pathlib import Path


def counts(point, folder):
    """Count to five, one step per file write, and go on where a kill stopped it; draw a number."""
    with open(folder / "log", "a") as log:
        print("begin", os.getpid(), file=log, flush=True)
        done = len(list(folder.glob("step*")))
        for step in range(done, 5):
            time.sleep(0.1)
            (folder / f"step{step}").touch()
            print("step", step, file=log, flush=True)
    return {"value": point["x"] ** 2, "draw": random.random()}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from keras_euler import studies
    from tests.studies.objectives import counts

    studies.run(counts, studies.grid(x=range(6)), sys.argv[1], workers=int(sys.argv[2]))
