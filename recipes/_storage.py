"""Where the trials of a study lie: any database that SQLAlchemy reaches, opened by Optuna, with errors in one sentence."""

import contextlib
import time
import warnings

try:
    import optuna
    import sqlalchemy
except ImportError as error:
    raise ImportError('Studies need Optuna. Install it: pip install "keras-euler[studies]"') from error

optuna.logging.set_verbosity(optuna.logging.WARNING)
STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
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
        raise ValueError(
            f"The storage {where(url)} needs a driver: {error}. For PostgreSQL: pip install 'psycopg[binary]'."
        ) from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ValueError(f"The storage {where(url)} cannot be used: {_reason(error)}") from error
    except RuntimeError as error:  # of another version of Optuna
        raise ValueError(f"The storage {where(url)} is of another Optuna than {optuna.__version__}: {error}") from error


def where(url):
    """Kind, host and port of a storage, or its file, without a password."""
    address = sqlalchemy.make_url(url)
    kind = address.get_backend_name()
    return f"{kind} at " + (
        address.database if kind == "sqlite" else f"{address.host}, port {address.port or 'default'}"
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
def storage_errors(url):
    """Turn what a database says while it is used (full, read-only, gone) into one sentence."""
    try:
        yield
    except STORAGE_ERRORS as error:
        raise ValueError(
            f"The storage {where(url)} failed: {_reason(error)}. The same command goes on from there."
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
