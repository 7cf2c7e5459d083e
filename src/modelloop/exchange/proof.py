"""Equality, shown: what the other store holds and what is here, each reduced to a digest by the same function. Pure.

A run's digest covers its facts, the whole history of its metrics, the latest values, params, tags, inputs, outputs,
and the SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..register.records import ModelVersion, RegisteredModel
from ..train.tracking.records import RUN_NAME_TAG, Experiment, LoggedModel, Metric, TrackedRun
from .records import ForeignRegistered, ForeignVersion


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing as one store has it."""

    parts: Mapping[str, str]
    """What is compared -> its digest."""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return the digest over all parts."""
        return hashed(dict(self.parts))

    def differs(self, other: Seen) -> list[str]:
        """Name the parts that are not equal."""
        return [part for part in self.parts if self.parts[part] != other.parts.get(part)]


def hashed(value: Any) -> str:
    """Return the SHA-256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def experiment(found: Experiment, *, merged: bool, tags: Iterable[str]) -> Seen:
    """Return an experiment. In one that was here before, name and the tags that came count, not times and state."""
    parts = {
        "name": hashed(found.name),
        "tags": hashed({key: found.tags.get(key) for key in tags}),
    }
    if not merged:
        parts["state and times"] = hashed([found.lifecycle.value, found.made_ms, found.changed_ms])
    return Seen(parts)


def run(found: TrackedRun, metrics: Iterable[Metric], files: Mapping[str, str]) -> Seen:
    """Return a run with all it logged."""
    points, digest = 0, hashlib.sha256()
    for one in metrics:
        points += 1
        digest.update(_line(one))
    tags = {**found.tags, **({RUN_NAME_TAG: found.name} if found.name else {})}
    inputs = sorted(
        [
            [d.name, d.digest, d.source_type, d.source, d.schema, d.profile, sorted(d.tags.items())]
            for d in found.inputs
        ],
        key=str,
    )
    parts = {
        "facts": hashed(
            [found.name, found.user, found.status.value, found.lifecycle.value, found.start_ms or 0, found.end_ms]
        ),
        "metrics": digest.hexdigest(),
        "latest metrics": hashed(
            sorted([name, one.step, one.at_ms, *_plain(one.value)] for name, one in _latest(found))
        ),
        "params": hashed(dict(found.params)),
        "tags": hashed(tags),
        "datasets": hashed(inputs),
        "models": hashed(
            [sorted(set(found.model_inputs)), sorted({(one.model_id, one.step) for one in found.model_outputs})]
        ),
        "artifacts": hashed(dict(files)),
    }
    counts = {
        "metric values": points,
        "metrics": len(found.metrics),
        "params": len(found.params),
        "tags": len(tags),
        "dataset inputs": len(found.inputs),
    }
    return Seen(parts, counts)


def model(found: LoggedModel, files: Mapping[str, str]) -> Seen:
    """Return a logged model with its files."""
    metrics = sorted(
        [one.name, one.run_id or "", one.step, one.at_ms, *_dataset(one), *_plain(one.value)] for one in found.metrics
    )
    facts = [found.name, found.status.value, found.kind, found.source_run, found.made_ms, found.changed_ms]
    parts = {
        "facts": hashed([*facts, found.lifecycle.value, found.status_message]),
        "metrics": hashed(metrics),
        "params": hashed(dict(found.params)),
        "tags": hashed(dict(found.tags)),
        "artifacts": hashed(dict(files)),
    }
    return Seen(parts)


def registered_there(found: ForeignRegistered) -> Seen:
    """Return a registered model of the other store."""
    return _registered(found.description, found.tags, found.aliases)


def registered_here(found: RegisteredModel, like: ForeignRegistered) -> Seen:
    """Return a registered model that is here, as far as the other store says anything about it."""
    tags = {key: value for key, value in found.tags.items() if key in like.tags}
    aliases = {key: value for key, value in found.aliases.items() if key in like.aliases}
    return _registered(found.description, tags, aliases)


def _registered(description: str, tags: Mapping[str, str], aliases: Mapping[str, int]) -> Seen:
    parts = {
        "description": hashed(description),
        "tags": hashed(dict(tags)),
        "aliases": hashed(dict(aliases)),
    }
    return Seen(parts, {"aliases": len(aliases)})


def version_there(found: ForeignVersion, digest: str) -> Seen:
    """Return a version of the other store; `digest` is that of the files its source names."""
    return _version((found.source, found.run_id, found.description, found.made_ms), found.tags, digest)


def version_here(found: ModelVersion) -> Seen:
    """Return a version that is here."""
    return _version((found.source, found.run, found.description, found.made_ms), found.tags, found.digest)


def _version(facts: Sequence[Any], tags: Mapping[str, str], digest: str) -> Seen:
    return Seen({"facts": hashed(list(facts)), "tags": hashed(dict(tags)), "files": digest})


def _latest(found: TrackedRun) -> Iterable[tuple[str, Metric]]:
    return found.metrics.items()


def _dataset(one: Metric) -> tuple[str, str]:
    return one.dataset_name or "", one.dataset_digest or ""


def _line(one: Metric) -> bytes:
    return json.dumps([one.name, one.at_ms, one.step, *_plain(one.value)]).encode()


def _plain(value: float) -> list[Any]:
    """Return a value for comparing: exact, -0 as 0 (SQLite keeps no sign of it)."""
    return ["nan"] if math.isnan(value) else [float.hex(value + 0.0)]
