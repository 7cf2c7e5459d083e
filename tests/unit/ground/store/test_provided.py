"""A store that begins with a copy of the schema is one that was migrated."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from modelloop.ground.store.db import Database
from modelloop.ground.store.migrate import migrate, revision
from modelloop.testing.schema import declare_tables, provide


def opened(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def lines(sql: str | None) -> list[str]:
    """The lines of a statement without their order: Alembic keeps a changed table's constraints in a set."""
    return sorted(line.strip(" \t,") for line in (sql or "").splitlines())


def told(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select type, name, tbl_name, sql from sqlite_master order by 1, 2").fetchall()
        found = [(kind, name, table, lines(sql)) for kind, name, table, sql in rows]
        counts = [
            (name, connection.execute(f'select count(*) from "{name}"').fetchone()[0])
            for kind, name, *_ in found
            if kind == "table"
        ]
        return [*found, *counts, connection.execute("pragma journal_mode").fetchone()]


def test_a_copy_is_what_the_migrations_make(tmp_path: Path) -> None:
    declare_tables()
    for name, make in (("migrated", migrate), ("copied", provide), ("copied again", provide)):
        db = opened(tmp_path / name)
        make(db)
        with db.reading() as connection:
            assert revision(connection)
        db.close()
    assert told(tmp_path / "migrated") == told(tmp_path / "copied") == told(tmp_path / "copied again")
    assert {path.name for path in tmp_path.glob("*.new")} == set()


def test_a_store_that_is_there_stays(tmp_path: Path) -> None:
    db = opened(tmp_path / "facts")
    provide(db)
    with db.transaction() as connection:
        connection.exec_driver_sql("create table mine (x)")
    provide(db)
    with db.reading() as connection:
        assert connection.exec_driver_sql("select count(*) from mine").scalar() == 0
    db.close()


def test_several_at_once_get_one_store(tmp_path: Path) -> None:
    def take(_: int) -> str | None:
        db = opened(tmp_path / "facts")
        try:
            provide(db)
            with db.reading() as connection:
                return revision(connection)
        finally:
            db.close()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(take, range(32)))) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".new") == []
