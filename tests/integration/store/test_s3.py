"""Blobs on a real S3 server."""

from __future__ import annotations

import pytest

from modelloop.ground.core.errors import StoreUnavailable
from modelloop.ground.store.blobs import Blobs
from modelloop.testing.blobs import BlobsSuite
from servers import Servers


class TestS3(BlobsSuite):
    @pytest.fixture
    def blobs(self, s3_url: str) -> Blobs:
        return Blobs(s3_url)


def test_places_do_not_see_each_other(s3_url: str, servers: Servers) -> None:
    one, other = Blobs(s3_url), Blobs(servers.s3())
    digest = one.put(b"mine")
    assert not other.has(digest)
    assert list(other.hashes()) == []


def test_wrong_keys_are_said_at_the_probe(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-key")
    with pytest.raises(StoreUnavailable, match="Could not write"):
        Blobs(s3_url).probe()


def test_a_silent_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    blobs = Blobs("s3://bucket?endpoint=http://127.0.0.1:1&region=us-east-1&allow_http=true")
    with pytest.raises(StoreUnavailable, match="s3://bucket"):
        blobs.has("0" * 64)
