"""Numbers on real databases: many who register at once get one each, in an unbroken chain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modelloop.govern.collecting import collect
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.register import actions
from packages import make_candidate, make_evidence


def test_many_at_once_get_one_number_each(both_engines: Context) -> None:
    def one(weight: int) -> int:
        candidate = make_candidate((weight % 8 / 10, 0.0, 0.0))
        return actions.register(both_engines, "delay", candidate, make_evidence()).number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(one, range(16)))
    assert sorted(set(numbers)) == list(range(1, 9)), "eight packages, each registered twice"
    assert [version.number for version in actions.versions(both_engines, "delay")] == list(range(1, 9))
    assert actions.get_version(both_engines, "delay:8").lineage["data"] == {"flights": 3}
    with both_engines.db.reading() as connection:
        assert audit.verify(connection) == 8


def test_models_versions_and_aliases_are_found_alike(both_engines: Context) -> None:
    ctx = both_engines
    for name in ("Iris ü", "iris", "trees_1", "treesX1"):
        actions.create_model(ctx, name, tags={"team": name[:4]})
    for _ in range(3):
        actions.create_version(ctx, "iris", source="s3://bucket/x", run_id="abc", tags={"n": "1"})
    actions.set_alias(ctx, "iris", "best", 2, why="x")
    actions.set_alias(ctx, "iris", "best", 3, why="y")

    def names(text: str, **more: Any) -> list[str]:
        return [one.name for one in actions.search_models(ctx, text, **more).items]

    assert names("name LIKE 'iris%'") == ["iris"]
    assert sorted(names("name ILIKE 'iris%'")) == ["Iris ü", "iris"]
    assert names("name LIKE 'trees_1'", order_by=["name DESC"]) == ["trees_1", "treesX1"]
    assert names("tags.team = 'tree'") == ["treesX1", "trees_1"]
    assert names("tags.`mlflow.prompt.is_prompt` != 'true' AND name = 'iris'") == ["iris"]
    page = actions.search_models(ctx, limit=3)
    rest = actions.search_models(ctx, limit=3, token=page.next_token)
    assert (len(page.items), len(rest.items), rest.next_token) == (3, 1, None)
    made = actions.of_number(ctx, "iris", 1).made_ms
    for text in (
        "run_id = 'abc'",
        "name = 'iris'",
        "tags.n = '1'",
        f"creation_timestamp = {made}",
        "run_id IN ('abc')",
    ):
        assert [one.number for one in actions.search_versions(ctx, text).items] == [3, 2, 1], text
    assert [one.number for one in actions.search_versions(ctx, "version_number < 3").items] == [2, 1]
    with pytest.raises(InvalidInput, match="at character"):
        actions.search_versions(ctx, "run_id ~ 'x'")
    assert actions.get_model(ctx, "iris").aliases == {"best": 3}
    assert actions.alias_at(ctx, "iris", "best", ctx.now()) == 3
    actions.rename_model(ctx, "iris", "blume")
    assert actions.by_alias(ctx, "blume", "best").number == 3
    actions.delete_version(ctx, "blume", 3, force=True)
    assert actions.create_version(ctx, "blume", source="x").number == 4
    actions.delete_model(ctx, "blume")
    with pytest.raises(NotFound):
        actions.get_model(ctx, "blume")
    assert not collect(ctx, dry_run=True).digests, "all is young"


def test_snapshots_registered_at_once_get_one_number_each(both_engines: Context) -> None:
    actions.create_model(both_engines, "m")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: actions.create_version(both_engines, "m", source=f"x{n}"), range(16)))
    assert sorted(one.number for one in made) == list(range(1, 17))
