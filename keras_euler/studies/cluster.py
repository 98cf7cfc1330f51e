"""Run the points of a study on the workers of a Dask cluster, here or on many machines."""

import contextlib
import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import dask.sizeof
import distributed.utils_comm
import keras
from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, as_completed

from keras_euler.studies.point_folder import Outcome, fail
from keras_euler.studies.points import Point

THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
POLICY = {
    "distributed.scheduler.worker-saturation": 1.0,  # a point waits in the queue, not at a worker
    "distributed.scheduler.allowed-failures": 9,
}


def on_cluster(
    client: Client,
    compute: Callable[[Point, Path], Outcome],
    folder_of: Callable[[Point], Path],
    points: Iterator[Point],
    limit: Callable[[], int] | None,
) -> Iterator[tuple[Point, Outcome]]:
    """Run points on the workers of a Dask client.

    Dask hands the point of a dead worker to another one. A point whose workers died again and again
    is recorded as failed.
    """
    running: dict[str, Point] = {}
    done = as_completed()

    def submit() -> None:
        number = None if limit is None else max(0, limit() - len(running))
        for point in itertools.islice(points, number):
            # As bytes, so that the scheduler needs neither the objective nor its modules.
            task = cloudpickle.dumps((compute, point, folder_of(point)))
            future = client.submit(run_apart, task, pure=False)
            running[future.key] = point
            done.add(future)

    submit()
    for future in done:
        point = running.pop(future.key)
        try:
            outcome = future.result()
        except KilledWorker as error:
            outcome = fail(point, folder_of(point), error)
        except CancelledError as error:
            raise ConnectionError(
                "The connection to the scheduler was lost. Run the same command again to resume."
            ) from error
        yield point, outcome
        submit()


def run_apart(task: bytes) -> Outcome:
    """Run a point on a worker.

    Another thread of the worker, Dask's, draws from Python's generator. Keras seeds layers by it,
    so Dask gets a generator of its own: a point has the same numbers on every worker.
    """
    for module in (dask.sizeof, distributed.utils_comm):
        setattr(module, "random", random.Random())  # noqa: B010
    compute, point, folder = cloudpickle.loads(task)
    try:
        return compute(point, folder)
    except (SystemExit, KeyboardInterrupt) as error:  # Dask would wait for the point forever
        return fail(point, folder, error)


@contextlib.contextmanager
def dask_client(workers: int, cluster: Any) -> Iterator[Client]:
    """Connect to a Dask cluster, or start one of worker processes on this machine.

    The processes divide the cores among them, share a GPU and inherit the backend.
    """
    if cluster is not None:
        with Client(cluster) as client:
            if not client.nthreads():
                print(f"waiting for workers of {client.scheduler.address}", flush=True)
                client.wait_for_workers(1)
            yield client
        return
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    own = {**dict.fromkeys(THREADS, threads), **SHARED_GPU}
    own["KERAS_BACKEND"] = keras.backend.backend()
    own = {name: value for name, value in own.items() if name not in os.environ}
    os.environ.update(own)
    options = dict(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=None,  # Dask would kill a training that needs more than its share
        dashboard_address=None,
        silence_logs="CRITICAL",
    )
    try:
        with dask.config.set(POLICY), LocalCluster(**options) as local, Client(local) as client:
            client.register_plugin(IgnoreInterrupts())
            local.adapt(minimum=workers, maximum=workers)  # replaces one killed while it starts
            yield client
    finally:
        for name in own:
            os.environ.pop(name, None)


class IgnoreInterrupts(WorkerPlugin):
    """Leave Ctrl-C, which a terminal sends to all its processes, to the one that started them."""

    def setup(self, worker: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
