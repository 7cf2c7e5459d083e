"""Once an hour: let old versions of datasets go as their contracts say, and remove bytes that nothing refers to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

from ...data import actions as data
from ...ground.core.errors import NotFound
from ...ground.core.records import Event
from ...ground.flow import actions as flow
from ...ground.store import audit
from ...ground.store.context import Context
from ...register import actions as register
from ...train.tracking.actions import artifacts
from .. import tables
from ..calendar import What
from ..records import Fire

if TYPE_CHECKING:
    from ...project import Project

NAME = "housekeeping"


def keep_house(ctx: Context, project: Project) -> None:
    """Apply retention if nobody did in this hour. Killed in between, the next hour's does the rest."""
    hour = ctx.now().strftime("%Y-%m-%dT%H")
    made = Fire(NAME, hour, ctx.now(), str(What.FIRED), "once an hour")
    with ctx.db.reading() as connection:
        last = tables.last_fire(connection, NAME)
    if last is not None and last.mark >= hour:
        return
    with ctx.db.transaction() as connection:
        if not tables.add_fire(connection, made):
            return
    tidy(ctx, project)


def tidy(ctx: Context, project: Project) -> dict[str, tuple[int, ...]]:
    """Apply retention now; return dataset -> versions whose rows were let go."""
    rules = {
        source.dataset: project.contracts[source.contract].retention
        for source in project.sources.values()
        if project.contracts[source.contract].retention.keep is not None
        or project.contracts[source.contract].retention.versions is not None
    }
    kept, pruned = trained_on(ctx), {}
    for dataset, retention in rules.items():
        try:
            pruned[dataset] = data.prune(ctx, dataset, retention, keep=kept[dataset])
        except NotFound:  # nothing has arrived yet
            continue
    removed = data.sweep(
        ctx, referenced=lambda digests: flow.mentioned(ctx, digests) | artifacts.mentioned(ctx, digests)
    )
    if removed:
        with ctx.db.transaction() as connection:
            audit.append(connection, ctx, Event("data.swept", "data", {"blobs": removed}))
    return {dataset: numbers for dataset, numbers in pruned.items() if numbers}


def named_by_runs(ctx: Context, digests: Collection[str]) -> set[str]:
    """Return which of these bytes a run, its results or its files name."""
    return set(flow.mentioned(ctx, digests)) | artifacts.mentioned(ctx, digests)


def trained_on(ctx: Context) -> dict[str, set[int]]:
    """Return dataset -> versions that registered model versions were trained on."""
    found: dict[str, set[int]] = defaultdict(set)
    for model in register.models(ctx):
        for version in register.versions(ctx, model):
            for name in dict(version.lineage.get("data", {})).values():
                dataset, _, number = str(name).rpartition(":")
                found[dataset].add(int(number))
    return found
