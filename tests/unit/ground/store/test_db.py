from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelloop.ground.core.errors import StoreUnavailable
from modelloop.ground.store import db as db_module
from modelloop.ground.store.db import Database
from modelloop.testing.database import DatabaseSuite


class TestSqlite(DatabaseSuite):
    @pytest.fixture
    def db(self, tmp_path: Path) -> Iterator[Database]:
        database = Database(f"sqlite:///{tmp_path / 'deep' / 'er' / 'facts.sqlite'}")
        yield database
        database.close()


def test_sqlite_keeps_a_write_ahead_log_and_enforces_keys(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'facts.sqlite'}")
    with db.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    db.close()


def test_a_busy_writer_is_waited_for_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db_module, "BUSY_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path / 'facts.sqlite'}"
    holder, other = Database(url), Database(url)
    with holder.transaction(), pytest.raises(StoreUnavailable, match="locked"), other.transaction():
        pass
    with other.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    holder.close()
    other.close()


@pytest.mark.parametrize("url", ["mysql://root@localhost/x", "oracle://x", "no url", "", "postgresql://h:notaport/x"])
def test_other_engines_are_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"sqlite:///PATH or postgresql://"):
        Database(url)


def test_a_silent_server_is_named_without_its_password() -> None:
    db = Database("postgresql://someone:geheim@127.0.0.1:1/facts")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/facts does not answer") as caught, db.reading():
        pass
    assert "geheim" not in str(caught.value)
    db.close()
