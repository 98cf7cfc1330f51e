"""Where the trials of a study are stored: any database that SQLAlchemy reaches, opened by Optuna, with errors in one sentence."""

import contextlib
import os
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from keras_euler._types import PathLike
from keras_euler.studies.optional import JournalFileOpenLock, optuna, sqlalchemy

STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
LOCKS = {  # of a number, until it is released
    "postgresql": ("select pg_advisory_lock(:key)", "select pg_advisory_unlock(:key)"),
    "mysql": ("select get_lock(:key, 600)", "select release_lock(:key)"),
}
LOCKS["mariadb"] = LOCKS["mysql"]
DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "mysqlclient", "mariadb": "mysqlclient"}
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
MAX_RETRIES = 5  # of a trial whose process died: it may be the trial that kills it

Result = TypeVar("Result")


@contextlib.contextmanager
def no_experimental_warnings() -> Iterator[None]:
    """Optuna warns at every use that heartbeats are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


with no_experimental_warnings():
    requeue = optuna.storages.RetryHeartbeatStaleTrialCallback()
    requeue_stale = optuna.storages.RetryHeartbeatStaleTrialCallback(MAX_RETRIES)


def storage_url(storage: PathLike) -> str:
    """The database URL of a storage: a URL as it is, a path as that of a SQLite file.

    Example:

    >>> storage_url("runs/study.db")
    'sqlite:///runs/study.db'
    """
    storage = os.fspath(storage)
    return storage if "://" in storage else f"sqlite:///{storage}"


def open_storage(url: str, heartbeat: int = 60) -> "optuna.storages.RDBStorage":
    """The storage at a URL of SQLAlchemy's.

    Args:
        url: Such as `sqlite:///study.db` or `postgresql://user:password@host/database`.
        heartbeat: Seconds between signs of life of a worker; after three without one its trial goes to another.

    Raises:
        ValueError: It cannot be used; the message names host and port, and no password.
    """
    try:
        address = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise ValueError(
            "The storage must be a database URL such as sqlite:///study.db or postgresql://host:5432/database."
        ) from error
    kind = address.get_backend_name()
    try:
        return _opened(url, heartbeat, kind == "sqlite")
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        how = f"pip install '{DRIVERS[kind]}'" if kind in DRIVERS else str(error).rstrip(".")
        raise ValueError(f"The storage {describe_storage(url)} needs a driver: {how}.") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ValueError(f"The storage {describe_storage(url)} cannot be used: {_reason(error)}") from error
    except RuntimeError as error:  # of another version of Optuna
        raise ValueError(
            f"The storage {describe_storage(url)} was made by another Optuna than {optuna.__version__}: {error}"
        ) from error


def check_exists(url: str) -> None:
    """Raise a ValueError where a SQLite file is missing: opening it to read would make it."""
    address = sqlalchemy.make_url(url)
    file = address.database or ""
    if address.get_backend_name() == "sqlite" and not file.startswith("file:") and not os.path.isfile(file):
        raise ValueError(f"There is no storage at {file}. Pass the folder of a study, or its storage URL.")


def describe_storage(url: str) -> str:
    """Kind, host and port of a storage, or its file, without a password.

    Example:

    >>> describe_storage("postgresql://me:secret@host/studies")
    'postgresql at host, port 5432'
    """
    address = sqlalchemy.make_url(url)
    kind = address.get_backend_name()
    if kind == "sqlite":
        return f"sqlite at {address.database}"
    return f"{kind} at {address.host}, port {address.port or PORTS.get(kind, 'default')}"


def hide_password(url: str) -> str:
    """The URL with its password hidden.

    Example:

    >>> hide_password("postgresql://me:secret@host/studies")
    'postgresql://me:***@host/studies'
    """
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


def _opened(url: str, heartbeat: int, is_sqlite: bool, attempts: int = 10) -> "optuna.storages.RDBStorage":
    try:
        with no_experimental_warnings():
            return optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": {"timeout": 100}} if is_sqlite else {"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                grace_period=3 * heartbeat,
                heartbeat_stale_trial_callback=requeue_stale,
            )
    except sqlalchemy.exc.SQLAlchemyError as error:  # several workers that start at once all create the tables
        has_raced = isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)
        if not has_raced or attempts == 1:
            raise
    time.sleep(0.5)
    return _opened(url, heartbeat, is_sqlite, attempts - 1)


@contextlib.contextmanager
def exclusive(storage: "optuna.storages.RDBStorage", url: str, name: str) -> Iterator[None]:
    """One process at a time runs this block for a study: several that start at once would all fill its queue."""
    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == "sqlite" and address.database and os.path.isfile(address.database):
        lock = JournalFileOpenLock(address.database)
        lock.acquire()
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # after 30 seconds Optuna takes a lock for a dead process's
                lock.release()
        return
    begin, end = LOCKS.get(address.get_backend_name(), ("select 1", "select 1"))
    with storage.engine.connect() as connection:
        lock_key = {"key": zlib.crc32(name.encode())}
        connection.execute(sqlalchemy.text(begin), lock_key)
        try:
            yield
        finally:
            connection.execute(sqlalchemy.text(end), lock_key)


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what a database says while it is used (full, read-only, gone) into one sentence."""
    try:
        yield
    except STORAGE_ERRORS as error:
        reason = _reason(error)
        is_lasting = any(word in reason for word in ("readonly", "read-only", "no such table", "permission"))
        again = "" if is_lasting else " The same command goes on from there."
        raise ValueError(f"The storage {describe_storage(url)} failed: {reason}.{again}") from error


def retried(call: Callable[[], Result], attempts: int = 5) -> Result:
    """Call a function that writes to a storage; where that fails, try again for some 15 seconds."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except STORAGE_ERRORS:
            time.sleep(2**attempt)
    return call()


def _reason(error: BaseException) -> str:
    """The database's own words, below what Optuna and SQLAlchemy make of them."""
    while not getattr(error, "orig", None) and (cause := error.__cause__ or error.__context__):
        error = cause
    return str(getattr(error, "orig", None) or error).splitlines()[0].rstrip(".")
