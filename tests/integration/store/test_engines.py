"""Facts and the audit chain on SQLite, PostgreSQL 18 and PostgreSQL 15."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from modelloop.ground.core.errors import AuditBroken, SchemaNewer
from modelloop.ground.core.records import Event
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.ground.store.db import Database
from modelloop.ground.store.migrate import migrate, revision, revisions
from modelloop.testing.database import DatabaseSuite
from modelloop.testing.fakes import declare_tables


class TestPostgres(DatabaseSuite):
    @pytest.fixture
    def db(self, postgres_url: str) -> Iterator[Database]:
        database = Database(postgres_url)
        yield database
        database.close()


TAMPERED = {
    "changed": (sa.update(audit.audit).where(audit.audit.c.seq == 3).values(detail={"n": 99}), "entry 3 was changed"),
    "renamed": (sa.update(audit.audit).where(audit.audit.c.seq == 1).values(actor="other"), "entry 1 was changed"),
    "taken out": (sa.delete(audit.audit).where(audit.audit.c.seq == 3), "entry 3 is missing"),
    "first taken out": (sa.delete(audit.audit).where(audit.audit.c.seq == 1), "entry 1 is missing"),
    "newest cut off": (sa.delete(audit.audit).where(audit.audit.c.seq > 3), "4 to 5 are missing at the end"),
    "all cut off": (sa.delete(audit.audit), "1 to 5 are missing at the end"),
    "head forgotten": (sa.delete(audit.audit_head), "the newest entry noted is 0"),
    "head moved back": (sa.update(audit.audit_head).values(seq=4), "entry 4 is not the one"),
    "renumbered": (sa.update(audit.audit).where(audit.audit.c.seq == 5).values(seq=6), "entry 5 is missing"),
    "put before": (sa.update(audit.audit).where(audit.audit.c.seq == 5).values(seq=0), "entry 0 stands before"),
    "rechained": (sa.update(audit.audit).where(audit.audit.c.seq == 4).values(before="f" * 64), "does not follow"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found(both_engines: Context, how: str) -> None:
    statement, message = TAMPERED[how]
    for number in range(5):
        with both_engines.db.transaction() as connection:
            audit.append(connection, both_engines, Event("register", "model:1", {"n": number}))
    assert audit.verify_store(both_engines) == 5
    with both_engines.db.transaction() as connection:
        connection.execute(statement)
    with pytest.raises(AuditBroken, match=message):
        audit.verify_store(both_engines)


def test_details_that_engines_like_to_rewrite(both_engines: Context) -> None:
    detail = {"big": 1e16, "minus": -0.0, "small": 1e-7, "nul": "\0", "smile": "😀", "b": 1, "a": 10**30, "": [1.0]}
    with both_engines.db.transaction() as connection:
        written = audit.append(connection, both_engines, Event("a", "b", detail))
    with both_engines.db.reading() as connection:
        assert audit.newest(connection, limit=1) == [written]
        assert audit.verify(connection) == 1


def test_eight_threads_append_and_verify_at_once(both_engines: Context) -> None:
    gate = threading.Barrier(9)

    def write(name: int) -> None:
        gate.wait()
        for turn in range(10):
            with both_engines.db.transaction() as connection:
                audit.append(connection, both_engines, Event("a", f"thread:{name}", {"turn": turn}))

    def watch() -> None:
        gate.wait()
        for _ in range(10):
            audit.anchor(both_engines)
            audit.verify_store(both_engines)

    with ThreadPoolExecutor(9) as pool:
        jobs = [pool.submit(watch), *(pool.submit(write, name) for name in range(8))]
        for job in jobs:
            job.result()
    assert audit.verify_store(both_engines) == 80


def test_a_newer_store_is_refused_and_not_touched(database_url: str) -> None:
    declare_tables()
    db = Database(database_url)
    migrate(db)
    with db.transaction() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaNewer, match=f"'9999'; this Modelloop knows 0001 to {revisions()[-1]}"):
        migrate(db)
    with db.reading() as connection:
        assert revision(connection) == "9999"
    db.close()
