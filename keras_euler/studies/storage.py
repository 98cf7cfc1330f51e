"""The storage of trials: any database of SQLAlchemy, opened by Optuna, with errors in one
sentence."""

import contextlib
import os
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from keras_euler._types import PathLike
from keras_euler.studies.optional import JournalFileOpenLock, optuna, sqlalchemy
from keras_euler.studies.processes import PROCESS

STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
LOCKS = {  # statements that lock a number and release it
    "postgresql": ("select pg_advisory_lock(:key)", "select pg_advisory_unlock(:key)"),
    "mysql": ("select get_lock(:key, 600)", "select release_lock(:key)"),
}
LOCKS["mariadb"] = LOCKS["mysql"]
DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "mysqlclient", "mariadb": "mysqlclient"}
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}

Result = TypeVar("Result")


@contextlib.contextmanager
def no_experimental_warnings() -> Iterator[None]:
    """Suppress the warning that heartbeats are experimental, which Optuna gives at every use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def requeue_trial(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
    """Put the point of a trial that has ended back into the queue."""
    trial.user_attrs.pop(PROCESS, None)  # another process will run it
    with no_experimental_warnings():
        optuna.storages.RetryHeartbeatStaleTrialCallback()(study, trial)


def storage_url(storage: PathLike) -> str:
    """Return the database URL of a storage: a URL unchanged, a path as that of a SQLite file.

    Example:

    >>> storage_url("runs/study.db")
    'sqlite:///runs/study.db'
    """
    storage = os.fspath(storage)
    return storage if "://" in storage else f"sqlite:///{storage}"


def open_storage(url: str, heartbeat: int = 60) -> "optuna.storages.RDBStorage":
    """Open the storage at a database URL.

    Args:
        url: A URL such as `sqlite:///study.db` or `postgresql://user:password@host/database`.
        heartbeat: Seconds between two heartbeats of a worker; after three missed ones another
            worker takes over its trial.

    Raises:
        ValueError: The storage cannot be used; the message names host and port, but no password.
    """
    try:
        address = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise ValueError(
            "The storage must be a database URL such as sqlite:///study.db or "
            "postgresql://host:5432/database."
        ) from error
    kind = address.get_backend_name()
    if kind == "sqlite" and address.database in (None, "", ":memory:"):
        raise ValueError(
            f"The storage must be a file, such as sqlite:///study.db. Received: {url}, which "
            f"keeps trials in memory and loses them."
        )
    try:
        return _opened(url, heartbeat, kind == "sqlite")
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        hint = f"pip install '{DRIVERS[kind]}'" if kind in DRIVERS else str(error).rstrip(".")
        raise ValueError(f"The storage {describe_storage(url)} needs a driver: {hint}.") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ValueError(
            f"The storage {describe_storage(url)} cannot be used: {_reason(error)}"
        ) from error
    except RuntimeError as error:  # from another version of Optuna
        raise ValueError(
            f"The storage {describe_storage(url)} was created by another version of Optuna than "
            f"{optuna.__version__}: {error}"
        ) from error


def check_exists(url: str) -> None:
    """Raise a ValueError if a SQLite file is missing: opening it would create it."""
    address = sqlalchemy.make_url(url)
    file = address.database or ""
    if (
        address.get_backend_name() == "sqlite"
        and not file.startswith("file:")
        and not os.path.isfile(file)
    ):
        raise ValueError(
            f"There is no storage at {file}. Pass the folder of a study, or its storage URL."
        )


def describe_storage(url: str) -> str:
    """Describe a storage by its kind, host and port, or by its file, without a password.

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
    """Return a database URL with its password hidden.

    Example:

    >>> hide_password("postgresql://me:secret@host/studies")
    'postgresql://me:***@host/studies'
    """
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


def _opened(
    url: str, heartbeat: int, is_sqlite: bool, attempts: int = 10
) -> "optuna.storages.RDBStorage":
    try:
        with no_experimental_warnings():
            storage = optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": {"timeout": 100}}
                if is_sqlite
                else {"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                grace_period=3 * heartbeat,
                heartbeat_stale_trial_callback=requeue_trial,
            )
        return _serialized(storage) if is_sqlite else storage
    except (
        sqlalchemy.exc.SQLAlchemyError
    ) as error:  # several workers that start at once all create the tables
        has_raced = isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(
            error
        )
        if not has_raced or attempts == 1:
            raise
    time.sleep(0.5)
    return _opened(url, heartbeat, is_sqlite, attempts - 1)


def _serialized(storage: "optuna.storages.RDBStorage") -> "optuna.storages.RDBStorage":
    """Let each transaction of SQLite lock the file before it reads.

    Optuna reads the state of a trial before it writes it. Other databases lock the row; without a
    lock two workers claim one trial.
    """
    storage.engine.dispose()
    sqlalchemy.event.listen(storage.engine, "connect", _leave_begin_to_us)
    sqlalchemy.event.listen(storage.engine, "begin", _begin_immediately)
    return storage


def _leave_begin_to_us(connection: Any, record: object) -> None:
    connection.isolation_level = None


def _begin_immediately(connection: "sqlalchemy.Connection") -> None:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except sqlalchemy.exc.OperationalError as error:
        if "readonly" not in str(error):
            raise
        connection.exec_driver_sql("BEGIN")  # to read a file that cannot be written


@contextlib.contextmanager
def exclusive_lock(storage: "optuna.storages.RDBStorage", url: str, name: str) -> Iterator[None]:
    """Let only one process at a time run the block for a study: several that start at once would
    all fill its queue."""
    address = sqlalchemy.make_url(url)
    if (
        address.get_backend_name() == "sqlite"
        and address.database
        and os.path.isfile(address.database)
    ):
        lock = JournalFileOpenLock(address.database)
        lock.acquire()
        try:
            yield
        finally:
            with contextlib.suppress(
                RuntimeError
            ):  # after 30 seconds Optuna releases the lock, as if the process were dead
                lock.release()
        return
    lock_statement, release_statement = LOCKS.get(
        address.get_backend_name(), ("select 1", "select 1")
    )
    with storage.engine.connect() as connection:
        lock_key = {"key": zlib.crc32(name.encode())}
        connection.execute(sqlalchemy.text(lock_statement), lock_key)
        try:
            yield
        finally:
            connection.execute(sqlalchemy.text(release_statement), lock_key)


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Convert an error of a database in use (full, read-only, unreachable) to one sentence."""
    try:
        yield
    except STORAGE_ERRORS as error:
        reason = _reason(error)
        is_permanent = any(
            word in reason for word in ("readonly", "read-only", "no such table", "permission")
        )
        hint = "" if is_permanent else " Run the same command again to resume."
        raise ValueError(f"The storage {describe_storage(url)} failed: {reason}.{hint}") from error


def with_retries(call: Callable[[], Result], attempts: int = 5) -> Result:
    """Call a function that writes to a storage; if it fails, retry for about 15 seconds."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except STORAGE_ERRORS:
            time.sleep(2**attempt)
    return call()


def _reason(error: BaseException) -> str:
    """Return the message of the database itself, without those of Optuna and SQLAlchemy."""
    while not getattr(error, "orig", None) and (cause := error.__cause__ or error.__context__):
        error = cause
    return str(getattr(error, "orig", None) or error).splitlines()[0].rstrip(".")
