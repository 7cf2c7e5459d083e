"""Secrets are found where they may be, refused where others can read them, and shown nowhere."""

from __future__ import annotations

import base64
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data.settings import Format, Mode, SourceKind, SourceSettings
from modelloop.data.sources.origins import source_mistakes
from modelloop.data.sources.query import secret_in, statement_of
from modelloop.data.sources.secrets import Credentials, Secrets
from modelloop.ground.core.errors import InvalidInput

HIDDEN = "geheim/+1%"
NAMES = {"user": "DB_USER", "password": "DB_PASSWORD"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    path = tmp_path / "secrets" / "sources.toml"
    path.write_text(f'DB_USER = "bob"\nDB_PASSWORD = "{HIDDEN}"\n')
    path.chmod(0o600)
    return path


def test_the_environment_comes_first_then_the_file(file: Path) -> None:
    found = Secrets({"DB_USER": "eve"}, file.parent.parent).of("feed", NAMES)
    assert (found.get("user"), found.get("password"), found.get("token")) == ("eve", HIDDEN, None)


def test_nothing_shows_a_value(file: Path) -> None:
    secrets = Secrets({}, file.parent.parent)
    found = secrets.of("feed", NAMES)
    for shown in (repr(found), str(found), repr(secrets), f"{found}"):
        assert HIDDEN not in shown
        assert "bob" not in shown


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_not_used(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(InvalidInput, match=f"can be read by others \\(mode {mode:04o}\\).*chmod 600"):
        Secrets({}, file.parent.parent).of("feed", NAMES)
    assert Secrets(dict.fromkeys(NAMES.values(), "x"), file.parent.parent).of("feed", NAMES).get("user") == "x"


@pytest.mark.parametrize(
    "text", ["DB_USER = ", f'DB_PASSWORD = "{HIDDEN}" x', f'DB_USER = "a"\nDB_PASSWORD = ["{HIDDEN}"]', "\udcff"]
)
def test_a_file_with_a_mistake_is_told_and_not_shown(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        Secrets({}, file.parent.parent).of("feed", NAMES)
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_a_secret_that_is_nowhere_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"needs the secret DB_USER, DB_PASSWORD.*chmod 600"):
        Secrets({}, tmp_path).of("feed", NAMES)
    with pytest.raises(InvalidInput, match="line break") as caught:
        Secrets({"T": f"{HIDDEN}\n"}, tmp_path).of("feed", {"token": "T"})
    assert HIDDEN not in str(caught.value)


@given(
    value=st.text(min_size=1), before=st.text(alphabet="xyz ", max_size=5), after=st.text(alphabet="xyz ", max_size=5)
)
def test_a_secret_is_taken_out_of_any_text(value: str, before: str, after: str) -> None:
    value = f"{value}-long"
    found = Credentials({"password": value})
    assert found.redacted(f"{before}{value}{after}") == f"{before}***{after}"
    packed = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode() if value.isascii() else value
    assert packed not in found.redacted(f"Basic {packed} sent")


def test_a_short_secret_is_taken_out_as_a_word() -> None:
    assert Credentials({"password": "a"}).redacted("password a at data") == "password *** at data"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://bob:geheim@host/db", "a password"),
        ("postgresql://host/db?password=geheim", "password"),
        ("postgresql://host/db?sslpassword=geheim", "sslpassword"),
        ("s3://bucket/x?aws_secret_access_key=geheim", "aws_secret_access_key"),
        ("https://host/x?api_key=geheim", "api_key"),
        ("https://host/x?token=geheim", "token"),
        ("az://box/x?sig=geheim", "sig"),
        ("postgresql://bob@host/db?sslmode=require", ""),
        ("s3://bucket/x?endpoint=http://localhost&region=x", ""),
        ("https://host/x?page=2&keyword=a", ""),
    ],
)
def test_a_secret_in_an_address_is_found(url: str, found: str) -> None:
    assert secret_in(url) == found


def asked(**said: object) -> list[str]:
    source = SourceSettings(**{"dataset": "rows", "contract": "rows"} | said)  # type: ignore[arg-type]
    return [str(wrong) for wrong in source_mistakes(source, lambda name: name in said)]


SQL = {"kind": SourceKind.SQL, "url": "sqlite:///a.db", "query": "select 1", "mode": Mode.REPLACE}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({}, 'path: nothing; allowed: a value (a source of kind "files" needs one)'),
        ({"path": ""}, 'path: ""'),
        ({"path": "in", "cursor": "at"}, 'cursor: a setting that "files" does not use'),
        ({"path": "in", "sheet": "One"}, 'sheet: a setting that format "parquet" does not use'),
        ({"path": "in", "format": Format.CSV, "encoding": "nonsense"}, 'encoding: "nonsense"'),
        (SQL | {"path": "in"}, 'path: a setting that "sql" does not use'),
        (SQL | {"mode": Mode.APPEND}, 'mode: "append" without a cursor'),
        (SQL | {"query": "select 1; drop table x"}, "query: a query that cannot be asked"),
        (SQL | {"query": "delete from x"}, "query: a query that cannot be asked"),
        (SQL | {"url": "mysql://host/db"}, 'url: "mysql:"'),
        (SQL | {"url": "postgresql://bob:geheim@host/db"}, "url: an address with a password in it"),
        (SQL | {"secrets": {"password": "geheim/1"}}, "secrets.password: something that is no name"),
        ({"kind": SourceKind.HTTP, "url": "ftp://host/x"}, 'url: "ftp:"'),
        ({"kind": SourceKind.HTTP}, "url: nothing"),
        ({"kind": SourceKind.DATASET, "mode": Mode.REPLACE}, "of: nothing"),
    ],
)
def test_a_mistake_in_a_source_is_told(said: dict[str, object], wrong: str) -> None:
    told = asked(**said)
    assert any(one.startswith(wrong) for one in told), told
    assert "geheim" not in "".join(told)


@pytest.mark.parametrize(
    "said",
    [
        {"path": "in"},
        {"path": "in", "format": Format.CSV, "separator": ";", "encoding": "cp1252"},
        {"path": "in", "format": Format.EXCEL, "sheet": "One"},
        SQL,
        SQL | {"mode": Mode.APPEND, "cursor": "id", "url": "postgresql://h/d", "secrets": NAMES},
        {"kind": SourceKind.OBJECTS, "url": "s3://b/p?region=x", "max_bytes": 5},
        {"kind": SourceKind.HTTP, "url": "https://h/x.csv", "format": Format.CSV, "private_network": True},
        {"kind": SourceKind.DATASET, "of": "other", "mode": Mode.MERGE},
    ],
)
def test_a_sound_source_has_no_mistakes(said: dict[str, object]) -> None:
    assert asked(**said) == []


@pytest.mark.parametrize(
    ("query", "statement"),
    [
        ("select 1;", "select 1"),
        ("  SELECT a -- why; not\nfrom t ;  ", "SELECT a -- why; not\nfrom t"),
        ("with x as (select ';' as a) select * from x", "with x as (select ';' as a) select * from x"),
        ('/* one; */ select "a;b" from t', '/* one; */ select "a;b" from t'),
        ("select $tag$ ; $tag$", "select $tag$ ; $tag$"),
    ],
)
def test_one_statement_is_found(query: str, statement: str) -> None:
    assert statement_of(query) == statement


@pytest.mark.parametrize(
    "query", ["", ";", "select 1; select 2", "update t set a = 1", "-- select", "drop table t", "pragma x"]
)
def test_anything_but_one_select_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput, match="query is one"):
        statement_of(query)
