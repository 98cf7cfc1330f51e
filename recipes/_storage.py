"""Where the trials of a study lie: any database that SQLAlchemy reaches, opened by Optuna, with errors in one sentence."""

import contextlib
import os
import time
import warnings
import zlib

try:
    import optuna
    import sqlalchemy
except ImportError as error:
    raise ImportError('Studies need Optuna. Install it: pip install "keras-euler[studies]"') from error

optuna.logging.set_verbosity(optuna.logging.WARNING)
STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
LOCKS = {  # of a number, until it is given back
    "postgresql": ("select pg_advisory_lock(:key)", "select pg_advisory_unlock(:key)"),
    "mysql": ("select get_lock(:key, 600)", "select release_lock(:key)"),
}
LOCKS["mariadb"] = LOCKS["mysql"]
DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "mysqlclient", "mariadb": "mysqlclient"}
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
MOST_RETRIES = 5  # of a trial whose process died: it may be the trial that kills it


@contextlib.contextmanager
def experimental():
    """Optuna calls its heartbeat experimental at every use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


with experimental():
    put_back = optuna.storages.RetryHeartbeatStaleTrialCallback()
    put_back_the_dead = optuna.storages.RetryHeartbeatStaleTrialCallback(MOST_RETRIES)


def open_storage(url, heartbeat=60):
    """The storage at a URL of SQLAlchemy's, such as `sqlite:///study.db` or `postgresql://user:password@host/database`.

    Args:
        url: The URL; SQLite makes the file.
        heartbeat: Seconds between signs of life of a worker; after three without one its trial goes to another.

    Raises:
        ValueError: It cannot be used; the message names host and port, and no password.
    """
    try:
        address = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise ValueError(
            "--storage must be a database URL such as sqlite:///study.db or postgresql://host:5432/database."
        ) from error
    is_sqlite = address.get_backend_name() == "sqlite"
    try:
        return _opened(url, heartbeat, is_sqlite)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        kind = address.get_backend_name()
        how = f"pip install '{DRIVERS[kind]}'" if kind in DRIVERS else f"{str(error).rstrip('.')}"
        raise ValueError(f"The storage {where(url)} needs a driver: {how}.") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ValueError(f"The storage {where(url)} cannot be used: {_reason(error)}") from error
    except RuntimeError as error:  # of another version of Optuna
        raise ValueError(f"The storage {where(url)} is of another Optuna than {optuna.__version__}: {error}") from error


def check_exists(url):
    """Raise a ValueError where a SQLite file is not there: opening it to read would make it."""
    address = sqlalchemy.make_url(url)
    file = address.database or ""
    if address.get_backend_name() == "sqlite" and not file.startswith("file:") and not os.path.isfile(file):
        raise ValueError(f"There is no storage at {file}. Pass the folder of a study, or its --storage URL.")


def where(url):
    """Kind, host and port of a storage, or its file, without a password."""
    address = sqlalchemy.make_url(url)
    kind = address.get_backend_name()
    return f"{kind} at " + (
        f"{address.database}"
        if kind == "sqlite"
        else f"{address.host}, port {address.port or PORTS.get(kind, 'default')}"
    )


def without_password(url):
    """The URL as it may be printed."""
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


def _opened(url, heartbeat, is_sqlite, attempts=10):
    for attempt in range(attempts):
        try:
            with experimental():
                return optuna.storages.RDBStorage(
                    url,
                    engine_kwargs={"connect_args": {"timeout": 100}} if is_sqlite else {"pool_pre_ping": True},
                    heartbeat_interval=heartbeat,
                    grace_period=3 * heartbeat,
                    heartbeat_stale_trial_callback=put_back_the_dead,
                )
        except sqlalchemy.exc.SQLAlchemyError as error:  # several workers that start at once all make the tables
            raced = isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)
            if not raced or attempt == attempts - 1:
                raise
            time.sleep(0.5)


@contextlib.contextmanager
def alone(storage, url, name):
    """A block that one process at a time runs for a study of this name: several that start at once would all fill its queue."""
    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == "sqlite" and os.path.isfile(address.database or ""):
        lock = optuna.storages.journal.JournalFileOpenLock(address.database)
        lock.acquire()
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # Optuna takes a lock for a dead process's after 30 seconds
                lock.release()
        return
    begin, end = LOCKS.get(address.get_backend_name(), ("select 1", "select 1"))
    with storage.engine.connect() as connection:
        key = {"key": zlib.crc32(name.encode())}
        connection.execute(sqlalchemy.text(begin), key)
        try:
            yield
        finally:
            connection.execute(sqlalchemy.text(end), key)


@contextlib.contextmanager
def storage_errors(url):
    """Turn what a database says while it is used (full, read-only, gone) into one sentence."""
    try:
        yield
    except STORAGE_ERRORS as error:
        reason = _reason(error)
        passing = not any(word in reason for word in ("readonly", "read-only", "no such table", "permission"))
        raise ValueError(
            f"The storage {where(url)} failed: {reason}." + " The same command goes on from there." * passing
        ) from error


def again(call, attempts=5):
    """Call a function that writes to a storage; where that fails, wait for it some 15 seconds."""
    for attempt in range(attempts):
        try:
            return call()
        except STORAGE_ERRORS:
            if attempt == attempts - 1:
                raise
            time.sleep(2**attempt)


def _reason(error):
    """What the database itself says, below what Optuna and SQLAlchemy make of it."""
    while error is not None:
        if getattr(error, "orig", None):
            return str(error.orig).splitlines()[0].rstrip(".")
        last, error = error, error.__cause__ or error.__context__
    return str(last).splitlines()[0].rstrip(".")
