"""How any blob store must behave. Subclass `BlobsSuite` in a test file and give it a `blobs` fixture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ..ground.core.errors import BlobMissing
from ..ground.core.hashing import hash_bytes
from ..ground.store.blobs import Blobs

WRITERS = 8


class BlobsSuite:
    """What `Blobs` promises, whatever is behind it."""

    def test_content_comes_back_under_its_hash(self, blobs: Blobs) -> None:
        """Small, empty and large bytes."""
        for data in (b"", b"one", bytes(range(256)) * 50_000):
            digest = blobs.put(data)
            assert digest == hash_bytes(data)
            assert blobs.has(digest)
            assert blobs.get(digest) == data

    def test_storing_twice_is_the_same_as_once(self, blobs: Blobs) -> None:
        """No error, no second copy."""
        assert blobs.put(b"twice") == blobs.put(b"twice")
        assert list(blobs.hashes()) == [hash_bytes(b"twice")]

    def test_missing_content_is_said_to_be_missing(self, blobs: Blobs) -> None:
        """Unknown hashes, and words that are none."""
        assert not blobs.has("0" * 64)
        for name in ("0" * 64, "../../etc/passwd", "", "A" * 64):
            with pytest.raises(BlobMissing):
                blobs.get(name)

    def test_what_lies_aside_is_found_and_comes_back(self, blobs: Blobs) -> None:
        """Readers and writers do not notice that a collection put something aside; deleted is deleted."""
        digest = blobs.put(b"put aside")
        for ask in (blobs.get, blobs.has, blobs.size, lambda _: blobs.put(b"put aside")):
            blobs.trash.put_aside(digest, "1700000000000")
            assert list(blobs.hashes()) == []
            assert [one.digest for one in blobs.trash.entries()] == [digest]
            assert ask(digest)
            assert list(blobs.hashes()) == [digest]
        for one in blobs.trash.entries():
            blobs.trash.delete(one)
        assert blobs.get(digest) == b"put aside", "the copy that was written anew is another"
        blobs.trash.put_aside(digest, "1700000000001")
        (one,) = blobs.trash.entries()
        blobs.trash.bring_back(one)
        blobs.trash.put_aside(digest, "1700000000002")
        for left in blobs.trash.entries():
            blobs.trash.delete(left)
        assert not blobs.has(digest)

    def test_documents_are_replaced_whole(self, blobs: Blobs) -> None:
        """The newest is read, and its tag differs."""
        assert blobs.document_tag("routing/table.json") is None
        blobs.write_document("routing/table.json", b"first")
        before = blobs.document_tag("routing/table.json")
        assert before == blobs.document_tag("routing/table.json")
        blobs.write_document("routing/table.json", b"second, longer")
        assert blobs.read_document("routing/table.json") == b"second, longer"
        assert blobs.document_tag("routing/table.json") != before

    def test_documents_are_listed_by_folder_and_dropped(self, blobs: Blobs) -> None:
        """Dropping what is not there does nothing."""
        for name in ("gateways/b.json", "gateways/a.json", "gatewaysx/c.json"):
            blobs.write_document(name, b"{}")
        assert blobs.documents("gateways") == ["gateways/a.json", "gateways/b.json"]
        blobs.drop_document("gateways/a.json")
        blobs.drop_document("gateways/a.json")
        assert blobs.documents("gateways") == ["gateways/b.json"]
        with pytest.raises(BlobMissing):
            blobs.read_document("gateways/a.json")

    def test_documents_and_content_do_not_mix(self, blobs: Blobs) -> None:
        """A document is not content, and neither is the probe."""
        blobs.write_document("content", b"{}")
        blobs.probe()
        assert list(blobs.hashes()) == []

    @pytest.mark.parametrize(
        "name", ["", "/etc/passwd", "../facts.sqlite", "a//b", "a/../b", "a/.", "a\\b", "a b", "é"]
    )
    def test_names_that_could_leave_the_store_are_refused(self, blobs: Blobs, name: str) -> None:
        """For writing, reading, looking and dropping alike."""
        with pytest.raises(BlobMissing):
            blobs.write_document(name, b"x")
        with pytest.raises(BlobMissing):
            blobs.read_document(name)
        with pytest.raises(BlobMissing):
            blobs.document_tag(name)
        with pytest.raises(BlobMissing):
            blobs.drop_document(name)

    def test_conditional_puts_are_enforced(self, blobs: Blobs) -> None:
        """The probe passes, also the second time."""
        blobs.probe()
        blobs.probe()

    def test_many_writers_of_one_content_agree(self, blobs: Blobs) -> None:
        """Nobody fails because somebody else was first."""
        with ThreadPoolExecutor(WRITERS) as pool:
            digests = set(pool.map(blobs.put, [b"the same" * 1000] * WRITERS * 4))
        assert digests == {hash_bytes(b"the same" * 1000)}

    def test_readers_never_see_a_part_of_a_document(self, blobs: Blobs) -> None:
        """While it is replaced again and again by one of two long texts."""
        texts = {b"a" * 200_000, b"b" * 300_000}
        blobs.write_document("large", min(texts))

        def replace() -> None:
            for text in sorted(texts) * 10:
                blobs.write_document("large", text)

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(replace)
            while not writing.done():
                assert blobs.read_document("large") in texts
            writing.result()
