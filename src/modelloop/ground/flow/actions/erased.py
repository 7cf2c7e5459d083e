"""The SQL of erasure: what runs kept, who else names it, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..tables import flow_artifact, flow_cache, flow_run, flow_step


def outputs_of(connection: Connection, run_ids: Sequence[str]) -> Sequence[Any]:
    """Return (output, output_digest) of all calls and results of runs."""
    steps = sa.select(flow_step.c.output, flow_step.c.output_digest).where(flow_step.c.run_id.in_(run_ids))
    kept = sa.select(flow_cache.c.output, flow_cache.c.output_digest).where(flow_cache.c.run_id.in_(run_ids))
    runs = sa.select(flow_run.c.result, flow_run.c.result_digest).where(flow_run.c.id.in_(run_ids))
    return connection.execute(sa.union_all(steps, kept, runs)).all()


def forget(connection: Connection, run_ids: Sequence[str], keys: Iterable[str]) -> int:
    """Drop results, artifacts and what was printed; return how many results there were. `keys`: of kept results."""
    gone = {"output": None, "output_digest": None}
    dropped = connection.execute(flow_cache.delete().where(flow_cache.c.key.in_(list(keys)))).rowcount
    dropped += connection.execute(flow_cache.delete().where(flow_cache.c.run_id.in_(run_ids))).rowcount
    dropped += connection.execute(
        flow_step.update().where(flow_step.c.run_id.in_(run_ids), flow_step.c.output_digest.is_not(None)).values(**gone)
    ).rowcount
    connection.execute(flow_artifact.delete().where(flow_artifact.c.run_id.in_(run_ids)))
    ended = {"result": None, "result_digest": None, "stdout": None}
    connection.execute(flow_run.update().where(flow_run.c.id.in_(run_ids)).values(**ended))
    return int(dropped)


def change_parts(connection: Connection, step_id: int, key_parts: Mapping[str, Any]) -> None:
    """Rewrite the key parts of a call."""
    connection.execute(flow_step.update().where(flow_step.c.id == step_id).values(key_parts=dict(key_parts)))


def named_elsewhere(connection: Connection, digest: str) -> bool:
    """Say whether a result or artifact still names these bytes, itself or within its tree."""
    inside = f"%{digest}%"
    for column in (flow_step.c.output_digest, flow_cache.c.output_digest, flow_run.c.result_digest):
        if connection.execute(sa.select(column).where(column == digest).limit(1)).first():
            return True
    for column in (flow_step.c.output, flow_cache.c.output, flow_run.c.result, flow_run.c.params):
        if connection.execute(sa.select(sa.literal(1)).where(column.like(inside)).limit(1)).first():
            return True
    named = sa.select(flow_artifact.c.digest).where(flow_artifact.c.digest == digest)
    return connection.execute(named).first() is not None


def large_trees(connection: Connection) -> list[str]:
    """Return the digests of results whose tree is a blob of its own."""
    found: set[str] = set()
    for tree, digest in (
        (flow_step.c.output, flow_step.c.output_digest),
        (flow_cache.c.output, flow_cache.c.output_digest),
        (flow_run.c.result, flow_run.c.result_digest),
    ):
        query = sa.select(digest).where(tree.is_(None), digest.is_not(None)).distinct()
        found |= set(connection.execute(query).scalars())
    return sorted(found)
