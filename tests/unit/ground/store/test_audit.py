from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import AuditBroken, InvalidInput
from modelloop.ground.core.records import Event
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock, make_context


def write(ctx: Context, count: int, subject: str = "model:1") -> None:
    for number in range(count):
        with ctx.db.transaction() as connection:
            audit.append(connection, ctx, Event("register", subject, {"number": number}))


def test_entries_are_chained_in_order(ctx: Context) -> None:
    write(ctx, 3)
    with ctx.db.reading() as connection:
        found = list(audit.entries(connection))
        assert audit.verify(connection) == 3
    assert [entry.seq for entry in found] == [1, 2, 3]
    assert found[0].before == audit.GENESIS
    assert found[2].before == found[1].hash
    assert (found[0].actor, found[0].role, found[0].at) == ("tester", "admin", ctx.now())


def test_an_empty_chain_is_whole(ctx: Context) -> None:
    assert audit.verify_store(ctx) == 0
    assert audit.anchor(ctx) == audit.Head()


def test_what_is_rolled_back_leaves_no_entry(ctx: Context) -> None:
    def stop_halfway() -> None:
        with ctx.db.transaction() as connection:
            audit.append(connection, ctx, Event("a", "b"))
            raise KeyError("stop")

    with pytest.raises(KeyError):
        stop_halfway()
    write(ctx, 1)
    assert audit.verify_store(ctx) == 1


def test_pages_follow_each_other(ctx: Context) -> None:
    write(ctx, 5, "x")
    write(ctx, 5, "y")
    with ctx.db.reading() as connection:
        first = list(audit.entries(connection, limit=4))
        second = list(audit.entries(connection, after=first[-1].seq, limit=4))
        of_y = list(audit.entries(connection, subject="y", after=7))
        newest = audit.newest(connection, subject="x", limit=2)
    assert [e.seq for e in first + second] == list(range(1, 9))
    assert [e.seq for e in of_y] == [8, 9, 10]
    assert [e.seq for e in newest] == [5, 4]


def test_a_long_chain_is_verified_page_by_page(ctx: Context) -> None:
    with ctx.db.transaction() as connection:
        for number in range(2100):
            audit.append(connection, ctx, Event("a", "b", {"n": number}))
    assert audit.verify_store(ctx) == 2100


def test_the_anchor_finds_a_chain_that_was_cut_and_its_head_forged(ctx: Context) -> None:
    write(ctx, 4)
    audit.anchor(ctx)
    with ctx.db.transaction() as connection:
        hash_3 = connection.execute(sa.select(audit.audit.c.hash).where(audit.audit.c.seq == 3)).scalar_one()
        connection.execute(sa.delete(audit.audit).where(audit.audit.c.seq == 4))
        connection.execute(sa.update(audit.audit_head).values(seq=3, hash=hash_3))
    with ctx.db.reading() as connection:
        assert audit.verify(connection) == 3
    with pytest.raises(AuditBroken, match="4 to 4 are missing"):
        audit.verify_store(ctx)
    write(ctx, 1)
    with pytest.raises(AuditBroken, match="entry 4 is not the one"):
        audit.verify_store(ctx)


def test_the_anchor_never_goes_back(ctx: Context) -> None:
    write(ctx, 2)
    audit.anchor(ctx)
    with ctx.db.transaction() as connection:
        connection.execute(sa.delete(audit.audit))
        connection.execute(sa.delete(audit.audit_head))
    audit.anchor(ctx)
    with pytest.raises(AuditBroken, match="1 to 2 are missing"):
        audit.verify_store(ctx)


def test_a_spoilt_anchor_is_named(ctx: Context) -> None:
    write(ctx, 1)
    ctx.blobs.write_document(audit.ANCHOR, b"{")
    with pytest.raises(AuditBroken, match="cannot be read"):
        audit.verify_store(ctx)


@pytest.mark.parametrize("detail", [{"x": float("nan")}, {"x": object()}, {1: 2, "a": 3}, {"x": b"bytes"}])
def test_details_that_are_not_json_are_refused(ctx: Context, detail: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="not JSON"), ctx.db.transaction() as connection:
        audit.append(connection, ctx, Event("a", "b", detail))


def test_words_that_do_not_fit_are_refused_on_every_engine(ctx: Context) -> None:
    with pytest.raises(InvalidInput, match="301 letters"), ctx.db.transaction() as connection:
        audit.append(connection, ctx, Event("a", "b" * 301))


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return make_context(tmp_path_factory.mktemp("audit"), clock=FakeClock())


@given(detail=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values))
def test_any_json_detail_survives_the_round_trip(shared: Context, detail: dict[str, object]) -> None:
    assert isinstance(shared.clock, FakeClock)
    shared.clock.advance(timedelta(microseconds=333))
    with shared.db.transaction() as connection:
        written = audit.append(connection, shared, Event("a", "b", detail))
    with shared.db.reading() as connection:
        read = audit.newest(connection, limit=1)[0]
    assert read == written
    assert read.hash == read.expected_hash()


def test_all_of_them_still_verify(shared: Context) -> None:
    assert audit.verify_store(shared) >= 1


def test_the_context_changes_its_actor_only(ctx: Context, tmp_path: Path) -> None:
    from_other = ctx.by(ctx.actor.__class__("worker"))
    assert (from_other.actor.name, from_other.db, from_other.home) == ("worker", ctx.db, tmp_path / ".modelloop")
    assert ctx.id("run") != ctx.id("run")
