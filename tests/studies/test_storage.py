"""Storages of studies: errors are one sentence, and no password is printed."""

import contextlib
import sqlite3

import keras
import optuna
import pytest

from keras_euler.studies import queue, storage
from tests.studies.test_worker import DISTRIBUTIONS, POINTS, opened

# Nothing here depends on Keras' backend.
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="runs without a backend; tried once"
)


def test_read_only_storage_is_one_sentence(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'study.db'}") as database:
        queue.open_study(database, "study", {})
    url = f"sqlite:///file:{tmp_path / 'study.db'}?mode=ro&uri=true"
    with (
        pytest.raises(ValueError, match="failed: attempt to write a readonly database"),
        storage.storage_errors(url),
    ):
        study = optuna.load_study(
            study_name="study", storage=optuna.storages.RDBStorage(url, skip_table_creation=True)
        )
        queue.enqueue(study, POINTS, DISTRIBUTIONS)


def test_claim_on_sqlite_locks_the_trial_before_it_reads_its_state(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    database = storage.open_storage(url)
    other = sqlite3.connect(tmp_path / "study.db", timeout=0)
    with database.engine.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("begin immediate")
    other.close()


def test_storages_that_cannot_be_used_say_why_and_keep_the_password(tmp_path):
    (tmp_path / "text.db").write_text("no database" * 100)
    refused = {
        "postgresql://user:secret@127.0.0.1:1/x": "postgresql at 127.0.0.1, port 1 cannot be "
        "used: .*refused",
        f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}": "unable to open database file",
        f"sqlite:///{tmp_path / 'text.db'}": "file is not a database",
        "nonsense": "must be a database URL such as sqlite:///study.db",
        "postgresql://user:secret@host:port/x": "must be a database URL",
        "paper://host/x": "needs a driver",
        "mysql://user:secret@host/x": "mysql at host, port 3306 needs a driver: pip install "
        "'mysqlclient'",
    }
    for url, message in refused.items():
        with pytest.raises(ValueError, match=message) as error:
            storage.open_storage(url)
        assert "secret" not in str(error.value)


def test_storage_that_is_not_there_is_not_made_to_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"There is no storage at .*new\.db"):
        storage.check_exists(f"sqlite:///{tmp_path / 'new.db'}")
    assert not list(tmp_path.iterdir())


def test_password_is_not_printed():
    assert "secret" not in storage.hide_password("postgresql://user:secret@host/x")


def test_storage_of_another_version_is_refused(tmp_path):
    import sqlite3

    file = tmp_path / "study.db"
    with opened(f"sqlite:///{file}"):
        pass
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("update alembic_version set version_num = 'v9.9.9'")
        database.execute("update version_info set schema_version = 99")
        database.commit()
    with pytest.raises(
        ValueError, match=f"created by another version of Optuna than {optuna.__version__}"
    ):
        storage.open_storage(f"sqlite:///{file}")
