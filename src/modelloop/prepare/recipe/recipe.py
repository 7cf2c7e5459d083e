"""A recipe: one table, and the steps it goes through."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...ground.core.errors import InvalidInput, ModelloopError
from ...ground.core.hashing import canonical_json, hash_bytes
from ...ground.core.later import polars as pl
from .columns import Cast, Derive, Rename, Select
from .form import RecipeStep, Source
from .joins import AsOf, Join, WindowAggregates
from .rows import Deduplicate, DropNull, Filter, OnlyValues, Union

FORM = 1
"""Of the JSON; a reader refuses what is newer."""
STEPS: Mapping[str, type[Any]] = {
    step.kind: step
    for step in (
        Filter,
        OnlyValues,
        DropNull,
        Deduplicate,
        Union,
        Select,
        Rename,
        Derive,
        Cast,
        Join,
        AsOf,
        WindowAggregates,
    )
}
"""From the word in a recipe's JSON to the step; nothing else can be read back."""
Frames: TypeAlias = "Mapping[str, pl.LazyFrame | pl.DataFrame]"
"""Tables by name."""


@dataclass(frozen=True, slots=True)
class StepCount:
    """What a step did: rows before and after, and rows that found nothing in the second table (None: no question)."""

    step: str
    before: int
    after: int
    unmatched: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The table that a recipe made, and what each step did."""

    frame: pl.DataFrame
    counts: tuple[StepCount, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A table's name (or the recipe that makes it) and steps. Equal digest, equal recipe."""

    table: Source
    steps: tuple[RecipeStep, ...]
    digest: str = field(init=False, compare=False)
    """Hash of the canonical JSON."""

    def __init__(self, table: Source, steps: Iterable[RecipeStep]) -> None:
        setting = object.__setattr__
        setting(self, "table", table)
        setting(self, "steps", tuple(steps))
        setting(self, "digest", hash_bytes(self.to_bytes()))

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the names of all tables that it reads."""
        found: dict[str, None] = {}
        for source in (self.table, *(step.other for step in self.steps)):
            found |= dict.fromkeys([source] if isinstance(source, str) else getattr(source, "tables", ()))
        return tuple(found)

    def check(self, schemas: Mapping[str, pl.Schema]) -> pl.Schema:
        """Return the columns of the result; raises InvalidInput, naming the step, where something does not fit."""
        empty = {name: pl.LazyFrame(schema=schema) for name, schema in schemas.items()}
        schema = self._read(self.table, empty).collect_schema()
        for number, step in enumerate(self.steps, 1):
            other = step.other
            try:
                right = None if other is None else self._read(other, empty)
                step.check(schema, None if right is None else right.collect_schema())
                schema = step.run(pl.LazyFrame(schema=schema), right).collect_schema()
            except (ModelloopError, pl.exceptions.PolarsError) as error:
                raise _at(number, step, error) from error
        return schema

    def __call__(self, frames: Frames) -> pl.LazyFrame:
        """Check, then return the result as a lazy frame: nothing is computed before it is collected."""
        self.check(_schemas(frames))
        return self._stages(frames)[-1][0]

    def run(self, frames: Frames) -> Prepared:
        """Compute the result, and count what each step did; an error names its step."""
        self.check(_schemas(frames))
        stages = self._stages(frames)
        counts = [frame.select(pl.len()) for frame, _ in stages]
        lost = [None if frame is None else frame.select(pl.len()) for _, frame in stages]
        asked = [stages[-1][0], *counts, *(frame for frame in lost if frame is not None)]
        try:
            found = pl.collect_all(asked)
        except (ModelloopError, pl.exceptions.PolarsError) as error:
            raise self._culprit(stages, error) from error
        rows = [frame.item() for frame in found[1 : 1 + len(counts)]]
        unmatched = iter(frame.item() for frame in found[1 + len(counts) :])
        return Prepared(
            found[0],
            tuple(
                StepCount(step.kind, before, after, None if missed is None else next(unmatched))
                for step, before, after, missed in zip(self.steps, rows, rows[1:], lost[1:], strict=False)
            ),
        )

    def explain(self, indent: str = "") -> str:
        """Say in plain words what the recipe does, one line a step."""
        lines = [f"{indent}Take {self.table}." if isinstance(self.table, str) else self.table.explain(indent)]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"{indent}{number}. {step.explain()}")
            if step.other is not None and not isinstance(step.other, str):
                lines.append(step.other.explain(indent + "   "))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; `from_json` makes an equal recipe of it."""
        table = self.table if isinstance(self.table, str) else self.table.to_json()
        return {"form": FORM, "table": table, "steps": [step.to_json() for step in self.steps]}

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Recipe:
        """Read what `to_json` wrote; raises InvalidInput for anything else. Nothing is imported or evaluated."""
        if body.get("form") != FORM:
            raise InvalidInput(f"The recipe is written in form {body.get('form')!r}; this Modelloop reads form {FORM}.")
        try:
            return cls(_source(body["table"]), tuple(_step(one) for one in body["steps"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InvalidInput(f"The recipe's JSON is not of the form it must have: {error!r}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Recipe:
        """Read what `to_bytes` wrote."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"The recipe is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise InvalidInput("The recipe's JSON is not an object.")
        return cls.from_json(body)

    def _read(self, source: Source, frames: Frames) -> pl.LazyFrame:
        if isinstance(source, Recipe):
            return source(frames)
        if not isinstance(source, str) or source not in frames:
            raise InvalidInput(f"There is no table {source!r}.", hint=f"There are: {', '.join(frames) or 'none'}.")
        return frames[source].lazy()

    def _stages(self, frames: Frames) -> list[tuple[pl.LazyFrame, pl.LazyFrame | None]]:
        """Return the table as it begins and after each step, each with the rows that found nothing."""
        frame = self._read(self.table, frames)
        stages: list[tuple[pl.LazyFrame, pl.LazyFrame | None]] = [(frame, None)]
        for step in self.steps:
            right = None if step.other is None else self._read(step.other, frames)
            lost = step.unmatched(frame, right)
            frame = step.run(frame, right)
            stages.append((frame, lost))
        return stages

    def _culprit(self, stages: list[tuple[pl.LazyFrame, pl.LazyFrame | None]], error: Exception) -> InvalidInput:
        """Find the first step that cannot be computed."""
        for number, (frame, _) in enumerate(stages[1:], 1):
            try:
                frame.collect()
            except (ModelloopError, pl.exceptions.PolarsError) as found:
                return _at(number, self.steps[number - 1], found)
        return InvalidInput(f"The recipe cannot be computed: {error}")


def _schemas(frames: Frames) -> dict[str, pl.Schema]:
    return {name: frame.collect_schema() for name, frame in frames.items()}


def _at(number: int, step: RecipeStep, error: Exception) -> InvalidInput:
    said = error.message if isinstance(error, ModelloopError) else str(error).strip()
    hint = error.hint if isinstance(error, ModelloopError) else ""
    return InvalidInput(f"Step {number} ({step.kind}): {said}", hint=hint)


def _source(body: Any) -> Source:
    return body if isinstance(body, str) else Recipe.from_json(body)


def _step(body: Mapping[str, Any]) -> RecipeStep:
    kind = str(body["step"])
    step = STEPS.get(kind)
    if step is None:
        raise InvalidInput(f"{kind!r} is not a step.", hint=f"There are: {', '.join(STEPS)}.")
    if body.get("version") != step.version:
        raise InvalidInput(
            f"The step {kind!r} is written in version {body.get('version')!r}; this Modelloop reads {step.version}."
        )
    rest = {name: value for name, value in body.items() if name not in ("step", "version")}
    if "table" in rest:
        rest["table"] = _source(rest["table"])
    made: RecipeStep = step(**rest)
    return made
