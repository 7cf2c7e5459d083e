"""A tag stays where it is."""

from __future__ import annotations

import pytest

from modelloop.data import actions
from modelloop.ground.core.errors import Conflict, IdInvalid, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from versioned import make


def trail(ctx: Context) -> list[tuple[str, object, object]]:
    with ctx.db.reading() as connection:
        audit.verify(connection)
        return [(one.action, one.detail.get("before"), one.detail.get("number")) for one in audit.entries(connection)]


def test_a_tag_names_a_version_and_moves_only_when_told_to(ctx: Context) -> None:
    make(ctx, [(1, "ann", 1.0)])
    make(ctx, [(2, "bob", 1.0)])
    first = actions.tag(ctx, "people", "release", 1, message="trained on")
    assert (first.number, first.message, first.by) == (1, "trained on", "tester")
    assert actions.tag(ctx, "people", "release", 1) == first
    with pytest.raises(Conflict, match="names version 1, not 2"):
        actions.tag(ctx, "people", "release")
    assert actions.version(ctx, "people", tag="release").number == 1
    actions.tag(ctx, "people", "release", move=True)
    assert actions.version(ctx, "people", tag="release").number == 2
    actions.tag(ctx, "people", "another", 1)
    assert [(one.name, one.number) for one in actions.tags(ctx, "people")] == [("another", 1), ("release", 2)]
    actions.untag(ctx, "people", "another")
    assert [one.name for one in actions.tags(ctx, "people")] == ["release"]
    assert trail(ctx) == [
        ("data.tagged", None, 1),
        ("data.tagged", 1, 2),
        ("data.tagged", None, 1),
        ("data.untagged", None, 1),
    ]


def test_what_cannot_be_tagged(ctx: Context) -> None:
    with pytest.raises(NotFound, match="no dataset"):
        actions.tag(ctx, "people", "release")
    with pytest.raises(NotFound):
        actions.tags(ctx, "people")
    make(ctx, [(1, "ann", 1.0)])
    with pytest.raises(NotFound, match="no version 5"):
        actions.tag(ctx, "people", "release", 5)
    with pytest.raises(IdInvalid):
        actions.tag(ctx, "people", "3")
    with pytest.raises(NotFound, match="no tag 'release'"):
        actions.untag(ctx, "people", "release")
