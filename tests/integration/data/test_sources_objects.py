"""Objects of a real S3: listed, fetched once, refused where too large or changed; keys are shown nowhere."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
import polars as pl
import pytest
from obstore.store import S3Store

from modelloop.data.adapters import objects
from modelloop.data.adapters.reading import Reading, read_new
from modelloop.data.records import Taken
from modelloop.data.settings import Format, Mode, SourceKind, SourceSettings
from modelloop.data.sources.secrets import Secrets
from modelloop.ground.core.errors import DataRefused, InvalidInput, StoreUnavailable
from servers import ACCESS, SECRET

KEYS = {"access_key_id": "KEY", "secret_access_key": "HIDDEN"}
ENVIRON = {"KEY": ACCESS, "HIDDEN": SECRET}


def source(url: str, **said: Any) -> SourceSettings:
    given = {
        "dataset": "rows",
        "contract": "rows",
        "kind": SourceKind.OBJECTS,
        "format": Format.CSV,
        "mode": Mode.APPEND,
    }
    return SourceSettings(**given | {"url": url, "secrets": KEYS} | said)


def read(root: Path, asked: SourceSettings, *known: Taken, environ: dict[str, str] = ENVIRON) -> Reading:
    names = {one.name: (one,) for one in known}
    secrets = Secrets(environ, root)
    return read_new(
        "feed", asked, root=root, known=names, cursor=None, secrets=secrets, dataset_rows=lambda _: ("", pl.LazyFrame())
    )


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    options: Any = dict(parse_qsl(urlsplit(s3_url).query))
    options.pop("allow_http")
    parts = urlsplit(s3_url)
    store = S3Store.from_url(f"s3://{parts.netloc}{parts.path}", config=options, client_options={"allow_http": True})
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return store


def test_objects_under_a_prefix_are_files_of_a_folder_that_grows(bucket: S3Store, s3_url: str, tmp_path: Path) -> None:
    for name, text in {"b.csv": "a\n2\n", "deep/a.csv": "a\n1\n", "_c.csv": "a\n9\n", "notes.txt": "x"}.items():
        obstore.put(bucket, name, text.encode())
    first = read(tmp_path, source(s3_url))
    assert [one.name for one in first.items] == ["b.csv", "deep/a.csv"]
    assert [pl.concat(one.batches())["a"].to_list() for one in first.items] == [["2"], ["1"]]
    known = [one.taken for one in first.items]
    assert read(tmp_path, source(s3_url), *known).items == []
    obstore.put(bucket, "b.csv", b"a\n3\n4\n")
    (item,) = read(tmp_path, source(s3_url), *known).items
    assert pl.concat(item.batches())["a"].to_list() == ["3", "4"]
    item.confirm()
    (one,) = read(tmp_path, source(s3_url, format=Format.BINARY), *known, item.taken).items
    assert pl.concat(one.batches())["content"].to_list() == [b"x"]


def test_too_large_an_object_is_refused_before_it_is_fetched(bucket: S3Store, s3_url: str, tmp_path: Path) -> None:
    obstore.put(bucket, "a.csv", b"a\n" + b"1\n" * 1000)
    with pytest.raises(DataRefused, match=r"a\.csv is larger than 100 bytes"):
        read(tmp_path, source(s3_url, max_bytes=100))


def test_an_object_that_changes_after_the_list_is_refused(
    bucket: S3Store, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(bucket, "a.csv", b"a\n1\n")
    listed = objects._listed

    def changing(*asked: Any) -> Any:
        found = listed(*asked)
        obstore.put(bucket, "a.csv", b"a\n2\n")
        return found

    monkeypatch.setattr(objects, "_listed", changing)
    with pytest.raises(DataRefused, match=r"a\.csv changed while it was being read"):
        read(tmp_path, source(s3_url))


def test_wrong_keys_are_told_and_not_shown(bucket: S3Store, s3_url: str, tmp_path: Path) -> None:
    environ = {"KEY": ACCESS, "HIDDEN": "very-wrong-and-secret"}
    with pytest.raises(StoreUnavailable, match="cannot be read from its bucket") as caught:
        read(tmp_path, source(s3_url), environ=environ)
    told = "".join(traceback.format_exception(caught.value))
    assert "very-wrong-and-secret" not in told
    assert ACCESS not in caught.value.message
    with pytest.raises(InvalidInput, match="holds secret_access_key"):
        read(tmp_path, source("s3://b/p?secret_access_key=abc", secrets={}))


def test_a_folder_is_a_bucket_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a\n1\n")
    (item,) = read(tmp_path, source(f"file://{tmp_path}/in", secrets={})).items
    assert (item.name, pl.concat(item.batches())["a"].to_list()) == ("a.csv", ["1"])
