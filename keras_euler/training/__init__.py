"""Training runs that survive kills: checkpoints, exact resume, history, one owner per folder
(extra: training)."""

from keras_euler.training.batches import fingerprint
from keras_euler.training.devices import data_parallel, device_name, num_replicas, package_versions
from keras_euler.training.fit import fit
from keras_euler.training.interrupts import Interruptible, RaiseDropped, raise_pending_interrupt
from keras_euler.training.result import TrainingResult
from keras_euler.training.run_folder import FolderInUse, RunFolder, write_atomically

__all__ = [
    "FolderInUse",
    "Interruptible",
    "RaiseDropped",
    "RunFolder",
    "TrainingResult",
    "data_parallel",
    "device_name",
    "fingerprint",
    "fit",
    "num_replicas",
    "package_versions",
    "raise_pending_interrupt",
    "write_atomically",
]
