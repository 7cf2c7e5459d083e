"""How facts must behave on any engine. Subclass `DatabaseSuite` in a test file and give it a `db` fixture (empty)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from ..ground.store.db import JSON, BigId, Database, Time

_metadata = sa.MetaData()
_notes = sa.Table(
    "suite_note",
    _metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("at", Time),
    sa.Column("body", JSON),
    sa.Column("parent", BigId, sa.ForeignKey("suite_note.id")),
)


class DatabaseSuite:
    """What `Database` promises on SQLite and PostgreSQL alike."""

    @pytest.fixture(autouse=True)
    def _tables(self, db: Database) -> Iterator[None]:
        _metadata.create_all(db.engine)
        yield
        _metadata.drop_all(db.engine)

    def count(self, db: Database) -> int:
        """Return the number of rows."""
        with db.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_notes)).scalar_one())

    def test_a_transaction_commits_at_its_end(self, db: Database) -> None:
        """Others do not see it before."""
        with db.transaction() as connection:
            connection.execute(_notes.insert().values(body={}))
            assert self.count(db) == 0
        assert self.count(db) == 1

    def test_an_exception_rolls_everything_back(self, db: Database) -> None:
        """And the handle stays usable."""

        def stop_halfway() -> None:
            with db.transaction() as connection:
                connection.execute(_notes.insert().values(body={}))
                raise KeyError("stop")

        with pytest.raises(KeyError):
            stop_halfway()
        assert self.count(db) == 0
        with db.transaction() as connection:
            connection.execute(_notes.insert().values(body={}))
        assert self.count(db) == 1

    def test_a_broken_statement_rolls_everything_back(self, db: Database) -> None:
        """Foreign keys are enforced on both engines."""
        insert = _notes.insert().values([{"body": {}, "parent": None}, {"body": {}, "parent": 999}])
        with pytest.raises(sa.exc.IntegrityError), db.transaction() as connection:
            connection.execute(insert)
        assert self.count(db) == 0

    def test_reading_cannot_write(self, db: Database) -> None:
        """Nor does it spoil the connection for later transactions."""
        with pytest.raises(sa.exc.DBAPIError), db.reading() as connection:
            connection.execute(_notes.insert().values(body={}))
        self.test_a_transaction_commits_at_its_end(db)

    def test_times_keep_zone_and_microseconds(self, db: Database) -> None:
        """Whatever zone they were given in."""
        given = datetime(2013, 3, 1, 5, 15, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
        with db.transaction() as connection:
            connection.execute(_notes.insert().values(at=given, body={}))
        with db.reading() as connection:
            found = connection.execute(sa.select(_notes.c.at)).scalar_one()
            later = connection.execute(sa.select(_notes.c.id).where(_notes.c.at > given - timedelta(seconds=1))).all()
        assert found == given
        assert found.tzinfo is UTC
        assert len(later) == 1

    def test_naive_times_are_refused(self, db: Database) -> None:
        """A time without a zone is a mistake of the caller."""
        with pytest.raises(sa.exc.StatementError, match="no time zone"), db.transaction() as connection:
            connection.execute(_notes.insert().values(at=datetime(2013, 3, 1), body={}))  # noqa: DTZ001 - the point

    def test_json_comes_back(self, db: Database) -> None:
        """Nested, with all kinds of letters."""
        body = {"a": [1, 2.5, None, True], "b": {"ü": "日本"}}
        with db.transaction() as connection:
            connection.execute(_notes.insert().values(body=body))
        with db.reading() as connection:
            assert connection.execute(sa.select(_notes.c.body)).scalar_one() == body

    def test_keys_count_up_by_themselves(self, db: Database) -> None:
        """And are returned by the insert."""
        with db.transaction() as connection:
            keys = [connection.execute(_notes.insert().values(body={})).inserted_primary_key for _ in range(3)]
        assert [key[0] for key in keys if key] == [1, 2, 3]

    def test_writers_wait_for_each_other(self, db: Database) -> None:
        """Eight threads; none fails."""
        gate = threading.Barrier(8)

        def write(_: int) -> None:
            gate.wait()
            for _ in range(5):
                with db.transaction() as connection:
                    connection.execute(_notes.insert().values(body={}))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert self.count(db) == 40
