"""Rows of real databases: whole, beyond a cursor, of every type; nothing is changed, and no password is shown."""

from __future__ import annotations

import socket
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from modelloop.data.adapters import copies, sql
from modelloop.data.adapters.reading import Reading, read_new
from modelloop.data.settings import Mode, SourceKind, SourceSettings
from modelloop.data.sources.secrets import Secrets
from modelloop.ground.core.errors import (
    DataRefused,
    ExtraMissing,
    InvalidInput,
    ModelloopError,
    NotFound,
    StoreUnavailable,
)

HIDDEN = "geheim/+1%"


def source(url: str, query: str = "select * from r", **said: Any) -> SourceSettings:
    given = {"dataset": "rows", "contract": "rows", "kind": SourceKind.SQL, "mode": Mode.REPLACE}
    return SourceSettings(**given | {"url": url, "query": query} | said)


def read(root: Path, asked: SourceSettings, cursor: Any = None, known: Any = None, **environ: str) -> Reading:
    secrets = Secrets(environ, root)
    return read_new(
        "feed",
        asked,
        root=root,
        known=known or {},
        cursor=cursor,
        secrets=secrets,
        dataset_rows=lambda _: ("", pl.LazyFrame()),
    )


def rows(reading: Reading) -> pl.DataFrame:
    (item,) = reading.items
    frame = pl.concat(item.batches())
    item.confirm()
    return frame


@pytest.fixture
def database(database_url: str) -> Iterator[tuple[str, Any]]:
    """The URL of a database of each engine in turn, and a connection that may change it."""
    path = database_url.removeprefix("sqlite:///")
    sqlite = path != database_url
    connection: Any = (
        sqlite3.connect(path, isolation_level=None) if sqlite else psycopg.connect(database_url, autocommit=True)
    )
    yield database_url, connection
    connection.close()


def test_a_query_is_read_whole_and_once(database: tuple[str, Any], tmp_path: Path) -> None:
    url, connection = database
    connection.execute("create table r (id integer, name text)")
    connection.execute("insert into r values (1, 'a'), (2, null)")
    first = read(tmp_path, source(url, "select * from r order by id;"))
    assert rows(first).rows() == [(1, "a"), (2, None)]
    taken = first.items[0].taken
    known = {taken.name: (taken,)}
    assert read(tmp_path, source(url, "select * from r order by id"), known=known).items == []
    connection.execute("update r set name = 'b' where id = 2")
    assert rows(read(tmp_path, source(url), known=known)).height == 2
    connection.close()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", ["1", "2", "3"]),
        ("text", ["'a''b'", "'b'", "'c'"]),
        ("timestamp", ["'2013-01-01 00:00:00'", "'2013-01-02 12:00:00.5'", "'2014-01-01 00:00:00'"]),
        ("timestamptz", ["'2013-01-01 00:00:00Z'", "'2013-01-02 00:00:00+02'", "'2014-01-01 00:00:00Z'"]),
        ("date", ["'2013-01-01'", "'2013-01-02'", "'2014-01-01'"]),
        ("numeric", ["1.5", "2.25", "3"]),
    ],
)
def test_just_what_is_beyond_the_cursor_is_asked_for(
    database: tuple[str, Any], tmp_path: Path, kind: str, values: list[str]
) -> None:
    url, connection = database
    connection.execute(f"create table r (at {kind}, n integer)")
    asked = source(url, cursor="at", mode=Mode.APPEND)
    connection.execute(f"insert into r values ({values[1]}, 2), ({values[0]}, 1)")
    first = read(tmp_path, asked)
    assert rows(first)["n"].to_list() == [1, 2], "in the cursor's order"
    cursor = first.cursor_after()
    again = read(tmp_path, asked, cursor)
    assert (again.items, again.cursor_after()) == ([], cursor)
    connection.execute(f"insert into r values ({values[2]}, 3)")
    second = read(tmp_path, asked, cursor)
    assert rows(second)["n"].to_list() == [3]
    assert first.items[0].name != second.items[0].name
    connection.execute("insert into r values (null, 4)")
    with pytest.raises(DataRefused, match="1 rows of the source 'feed' have no value in its cursor 'at'"):
        read(tmp_path, asked)
    connection.close()


def test_many_rows_come_in_batches(database: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelloop.data.adapters.answers.BATCH_ROWS", 20_000)
    monkeypatch.setattr("modelloop.data.formats.parse.BATCH_ROWS", 20_000)
    monkeypatch.setattr("modelloop.data.adapters.answers.IN_MEMORY", 100_000)
    url, _ = database
    numbers = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 150000)"
    query = f"{numbers} select n, 'row ' || n as t from c"
    (item,) = read(tmp_path, source(url, query)).items
    sizes = [len(frame) for frame in item.batches()]
    assert sum(sizes) == 150_000
    assert len(sizes) >= 8
    assert max(sizes) <= 20_000
    assert pl.concat(item.batches())["n"].cast(pl.Int64).sum() == 150_000 * 150_001 // 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select nope from r", "nope"),
        ("select * from nowhere", "nowhere"),
        ("selec", "query is one SELECT"),
        ("select * from r; drop table r", "several"),
        ("select 1 as a) as x; drop table r --", "several"),
        ("select ) from r", "refused"),
    ],
)
def test_a_wrong_query_is_told(database: tuple[str, Any], tmp_path: Path, query: str, said: str) -> None:
    url, connection = database
    connection.execute("create table r (id integer)")
    with pytest.raises((DataRefused, InvalidInput)) as caught:
        read(tmp_path, source(url, query))
    assert said in str(caught.value)
    assert connection.execute("select count(*) from r").fetchone()[0] == 0
    connection.close()


def test_an_empty_answer_has_its_columns(database: tuple[str, Any], tmp_path: Path) -> None:
    url, connection = database
    connection.execute("create table r (id integer, name text)")
    frame = rows(read(tmp_path, source(url)))
    assert (frame.columns, frame.height) == (["id", "name"], 0)
    assert read(tmp_path, source(url, cursor="id")).items == []
    connection.close()


def test_the_types_of_postgres(postgres_url: str, tmp_path: Path) -> None:
    query = """select 1::smallint as i, 1.25::numeric as n, 1.5::real as f, true as b, 'x' as t, null::text as z,
        '2013-01-01 12:00+02'::timestamptz as tz, '2013-01-01 12:00'::timestamp as ts, '2013-01-01'::date as d,
        array[1, null, 3] as a, '{"k": [1]}'::jsonb as j, '\\x00ff'::bytea as y,
        '8f1b8a0e-0b1d-4b9e-9a55-6a5b8f0f7e11'::uuid as u, null::int[] as e"""
    (row,) = rows(read(tmp_path, source(postgres_url, query))).rows(named=True)
    assert (row["i"], Decimal(row["n"]), row["f"], row["b"], row["t"], row["z"]) == (
        1,
        Decimal("1.25"),
        1.5,
        True,
        "x",
        None,
    )
    assert row["tz"].isoformat() == "2013-01-01T10:00:00+00:00"
    assert (row["ts"].isoformat(), row["d"].isoformat()) == ("2013-01-01T12:00:00", "2013-01-01")
    assert (row["a"], row["j"], row["y"], row["e"]) == ("[1,null,3]", '{"k": [1]}', b"\x00\xff", None)
    assert row["u"] == "8f1b8a0e-0b1d-4b9e-9a55-6a5b8f0f7e11"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1 as a, 2 as a", "two columns called 'a'"),
        ("select interval '1 day' as a", "is an interval"),
        ("with x as (insert into r values (1) returning *) select * from x", "WITH clause|read-only"),
        ("select nextval('s') as n", "read-only transaction"),
    ],
)
def test_what_postgres_must_not_do_is_refused(postgres_url: str, tmp_path: Path, query: str, said: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create table r (id integer)")
        connection.execute("create sequence s")
        with pytest.raises(DataRefused, match=said):
            read(tmp_path, source(postgres_url, query))
        assert connection.execute("select count(*) from r").fetchone() == (0,)


def test_a_query_that_takes_too_long_is_ended(
    database: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "SECONDS", 0.2)
    url, _ = database
    endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) as n from c"
    with pytest.raises(DataRefused, match=r"timeout|longer than"):
        read(tmp_path, source(url, endless))


def test_a_column_of_many_types_is_text_in_sqlite(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "some.db")
    connection.execute("create table r (a)")
    connection.executemany("insert into r values (?)", [(1,), ("x",), (2.5,), (None,), (b"y",)])
    connection.commit()
    assert rows(read(tmp_path, source("sqlite:///some.db")))["a"].to_list() == ["1", "x", "2.5", None, "y"]
    connection.close()
    with pytest.raises(NotFound, match="which is not there"):
        read(tmp_path, source("sqlite:///none.db"))
    assert not (tmp_path / "none.db").exists(), "reading makes no database"
    (tmp_path / "text.db").write_text("no database, but long enough to be one" * 100)
    with pytest.raises(DataRefused, match="not a database"):
        read(tmp_path, source("sqlite:///text.db"))


def test_user_and_password_go_in_and_never_come_out(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("drop role if exists reader")
        connection.execute(f"create role reader login password '{HIDDEN}'")
        connection.execute("create table r (id integer)")
        connection.execute("grant select on r to reader")
    bare = postgres_url.replace("postgres@", "")
    named = {"user": "PG_USER", "password": "PG_PASSWORD"}
    environ = {"PG_USER": "reader", "PG_PASSWORD": HIDDEN}
    who = rows(read(tmp_path, source(bare, "select current_user::text as who", secrets=named), **environ))
    assert who["who"].to_list() == ["reader"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = f"postgresql://127.0.0.1:{probe.getsockname()[1]}/db"
        failures = [
            failure(StoreUnavailable, tmp_path, source(away, secrets=named), environ),
            failure(StoreUnavailable, tmp_path, source(bare + "x", secrets=named), environ),
        ]
    asked = source(bare, f"select '{HIDDEN}' from nowhere", secrets=named)
    failures.append(failure(DataRefused, tmp_path, asked, environ))
    asked = source(bare, f"select cast('{HIDDEN}' as integer) as a", secrets=named)
    failures.append(failure(DataRefused, tmp_path, asked, environ))
    for error in failures:
        told = "".join(traceback.format_exception(error)) + repr(error.as_json()) + repr(error.args)
        assert HIDDEN not in told
        assert error.__context__ is None
        assert "feed" in error.message
    with pytest.raises(DataRefused, match="holds a password"):
        read(tmp_path, source(postgres_url.replace("postgres@", f"reader:{HIDDEN}@")))
    with pytest.raises(DataRefused, match="holds a password"):
        read(tmp_path, source(postgres_url.replace("postgres@", "reader:12/34@")))


def failure(kind: type[ModelloopError], root: Path, asked: SourceSettings, environ: dict[str, str]) -> ModelloopError:
    with pytest.raises(kind) as caught:
        read(root, asked, **environ)
    return caught.value


def test_without_the_extra_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(ExtraMissing, match=r'pip install "modelloop\[sql\]"'):
        read(tmp_path, source("postgresql://127.0.0.1/db"))
    assert copies.IN_MEMORY
