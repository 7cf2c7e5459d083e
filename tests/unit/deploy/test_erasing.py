"""An erasure is one thing that comes to its end: killed anywhere, beside others, beside writers that are slow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelloop.deploy import actions
from modelloop.deploy.actions import erasing
from modelloop.deploy.log import LogWriter, frame, holds, mark, read_frames
from modelloop.deploy.log.segment import finished
from modelloop.deploy.records import Truth
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.store.context import Context
from served import ENDPOINT, T0, Gateway, micro, serve_first

DAY = timedelta(days=1)


@pytest.fixture
def gateway(ctx: Context) -> Gateway:
    """A gateway that has answered three requests of two people; its log is not written to by anybody else."""
    made = serve_first(ctx)
    for number, key in enumerate(("ann", "bob", "ann")):
        answer(made, f"p{number}", key)
    return made


def answer(gateway: Gateway, name: str, key: str) -> None:
    record: dict[str, Any] = {"k": "a", "id": name, "at": micro(T0), "et": micro(T0), "ep": ENDPOINT, "gen": 1}
    record |= {"arm": "champion", "v": "delay:1", "x": {"name": [key]}, "s": [0.5], "ms": 1.0, "bk": key}
    assert gateway.log.append(frame(record))


def names(ctx: Context) -> list[str]:
    return sorted(actions.inputs_between(ctx, ENDPOINT, T0 - DAY, T0 + DAY)["name"].to_list())


def stored(ctx: Context) -> set[str]:
    return set(ctx.blobs.hashes())


@pytest.mark.parametrize("place", ["_go_on", "collect", "_remove_rows", "_remove"])
def test_killed_anywhere_it_is_finished_by_the_loop(
    ctx: Context, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    actions.collect(ctx)
    before = stored(ctx)

    def killed(*_args: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasing, place, killed)
        with pytest.raises(KeyboardInterrupt):
            actions.erase_answers(ctx, ENDPOINT, "ann", reason="asked for it")
    (left,) = actions.erasures(ctx, unfinished=True)
    assert left.pending
    gateway.log.close()
    assert actions.finish_erasures(ctx) == 1
    (done,) = actions.erasures(ctx)
    assert (done.id, done.pending, done.predictions, done.rewritten) == (left.id, (), 2, 1)
    assert names(ctx) == ["bob"]
    assert not before & stored(ctx), "the bytes of the part with both people are gone"
    assert actions.erasures(ctx, unfinished=True) == []
    assert actions.finish_erasures(ctx) == 0


@pytest.mark.parametrize(("key", "reason", "said"), [("", "a letter", "needs a key"), ("ann", " ", "needs a reason")])
def test_what_is_left_out_is_told(ctx: Context, gateway: Gateway, key: str, reason: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        actions.erase_answers(ctx, ENDPOINT, key, reason=reason)
    assert actions.erasures(ctx) == []


def test_two_erasures_of_one_part_lose_neither(ctx: Context, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    actions.collect(ctx)
    real, inner = erasing._rewritten, []

    def beside(*args: Any) -> dict[int, str]:
        """While one rewrites the part, the other does so too, and is faster."""
        found = real(*args)
        if not inner:
            inner.append(True)
            inner.append(actions.erase_answers(ctx, ENDPOINT, "bob", reason="bob asked too", patience=30))
        return found

    monkeypatch.setattr(erasing, "_rewritten", beside)
    done = actions.erase_answers(ctx, ENDPOINT, "ann", reason="ann asked", patience=30)
    assert (done.predictions, inner[1].predictions) == (2, 1)
    assert done.finished_at is not None
    assert names(ctx) == []


def test_the_key_is_forgotten_at_the_end(ctx: Context, gateway: Gateway) -> None:
    actions.join_outcomes(ctx, ENDPOINT, [Truth(1.0, key="cleo")])
    assert actions.erase_answers(ctx, ENDPOINT, "cleo", reason="asked", patience=30).waiting == 1
    with ctx.db.reading() as connection:
        (row,) = erasing.tables.erasures(connection, limit=9, unfinished=False)
    assert row["key"] is None
    assert "cleo" not in str(dict(row))
    assert actions.erasures(ctx)[0].finished_at == ctx.now()
    with pytest.raises(NotFound):
        actions.erase_answers(ctx, "nowhere", "ann", reason="asked")


def test_a_file_set_aside_is_left_to_a_person(ctx: Context, gateway: Gateway) -> None:
    aside = ctx.home / "predictions" / "g1" / "00000000000000000009-000000.damaged"
    aside.write_bytes(b"?")
    done = actions.erase_answers(ctx, ENDPOINT, "ann", reason="asked", patience=30)
    assert done.by_hand == ("g1/00000000000000000009-000000.damaged",)
    assert done.finished_at is not None


def test_buffered_records_come_into_the_file_that_is_closed(ctx: Context) -> None:
    """What was taken before the end of a file was asked for stands in it, and not in the next."""
    log = LogWriter(ctx.home / "predictions", "g2", 1)
    assert log.append(frame({"n": 0}))
    path = next((ctx.home / "predictions" / "g2").glob("*.log"))
    assert log.append_buffered(frame({"n": 1}))
    mark(path)
    log._obey()
    log._sync()
    assert finished(path)
    assert [one["n"] for one in read_frames(path)[0]] == [0, 1]
    assert log.append(frame({"n": 2}))
    assert len(list(path.parent.glob("*.log"))) == 2
    log.close()


def test_an_empty_next_file_is_nothing_to_wait_for(ctx: Context, gateway: Gateway) -> None:
    folder = ctx.home / "predictions" / "g9"
    folder.mkdir()
    spare = folder / "00000000000000000001-000001.log"
    spare.write_bytes(bytes(4096))
    assert not holds(spare)
    assert not holds(folder / "none.log")
    done = actions.erase_answers(ctx, ENDPOINT, "ann", reason="asked", patience=30)
    assert (done.pending, spare.exists()) == ((), True)
    assert not spare.with_suffix(".close").exists()
