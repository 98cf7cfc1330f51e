"""Import Optuna and SQLAlchemy, or raise an error that names the extra."""

try:
    import optuna
    import sqlalchemy
    from optuna.storages.journal import JournalFileOpenLock
except ImportError as error:
    raise ImportError(
        'Studies need Optuna. Install it: pip install "keras-euler[studies]"'
    ) from error

optuna.logging.set_verbosity(optuna.logging.WARNING)

__all__ = ["JournalFileOpenLock", "optuna", "sqlalchemy"]
