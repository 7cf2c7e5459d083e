from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelloop.ground.core.errors import InvalidInput, StoreUnavailable
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.store.blobs import Blobs
from modelloop.testing.blobs import BlobsSuite


class TestFolder(BlobsSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return Blobs((tmp_path / "a folder, with ü").as_uri())


class TestMemory(BlobsSuite):
    @pytest.fixture
    def blobs(self) -> Blobs:
        return Blobs("memory:///")


def test_a_folder_gives_the_path_of_content(tmp_path: Path) -> None:
    blobs = Blobs((tmp_path / "white space").as_uri())
    digest = blobs.put(b"here")
    path = blobs.path(digest)
    assert path is not None
    assert path.read_bytes() == b"here"
    assert tmp_path / "white space" in path.parents
    assert Blobs("memory:///").path(digest) is None


def test_a_plain_path_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digest = Blobs("relative/blobs").put(b"x")
    assert Blobs((tmp_path / "relative" / "blobs").as_uri()).get(digest) == b"x"


def test_damaged_bytes_are_not_handed_out(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    digest = blobs.put(b"whole")
    path = blobs.path(digest)
    assert path is not None
    path.write_bytes(b"other")
    with pytest.raises(StoreUnavailable, match="damaged"):
        blobs.get(digest)


def test_what_a_killed_writer_leaves_is_not_content(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    digest = blobs.put(b"whole")
    path = blobs.path(digest)
    assert path is not None
    path.with_name(hash_bytes(b"torn") + "#1").write_bytes(b"to")
    assert list(blobs.hashes()) == [digest]


class _Forgetful:
    """A backend that ignores If-None-Match, as s3rver does."""

    def put(self, path: str, data: bytes, *, mode: str) -> dict[str, Any]:
        return {"path": path, "size": len(data), "mode": mode}


def test_a_backend_without_conditional_puts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs("memory:///")
    monkeypatch.setattr(blobs, "_store", _Forgetful())
    with pytest.raises(StoreUnavailable, match="ignores conditional puts"):
        blobs.probe()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    (tmp_path / "content").write_text("a file where a folder belongs: not even root can write below it")
    with pytest.raises(StoreUnavailable, match="Could not write"):
        blobs.put(b"x")


@pytest.mark.parametrize(
    "url", ["s3://bucket?secret_access_key=geheim", "s3://key:geheim@bucket", "az://box?account_key=geheim"]
)
def test_keys_in_a_url_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="holds keys") as caught:
        Blobs(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://bucket?nonsense=1"])
def test_what_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="can be opened"):
        Blobs(url)
