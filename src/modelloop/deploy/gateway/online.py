"""Online tables in a gateway: columns that a request does not bring are looked up, as they were known at its moment.

The follower's thread refreshes; the event loop only reads one dictionary, which is replaced whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ...ground.core.errors import BlobMissing, InvalidInput, NotReady, RequestInvalid
from ...ground.store.blobs import Blobs
from ..online import OnlineDocument, OnlineTable, decode, table_document
from ..records import Lookup
from .asked import Asked, Tensor


@dataclass(frozen=True, slots=True)
class Held:
    """A table in memory, and which one it is."""

    tag: str | None
    document: OnlineDocument
    table: OnlineTable


class Online:
    """The online tables that a gateway holds. `refresh` belongs to one thread; `fill` may be called from any."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.held: Mapping[str, Held] = {}
        self.failed: Mapping[str, str] = {}
        """Table -> why its newest state is not held; the one before goes on answering."""

    def refresh(self, names: Iterable[str]) -> bool:
        """Hold the newest state of these tables and of no other; say whether something changed."""
        held: dict[str, Held] = {}
        failed: dict[str, str] = {}
        for name in sorted(set(names)):
            before = self.held.get(name)
            try:
                held[name] = self._newest(name, before)
            except (BlobMissing, InvalidInput) as error:
                failed[name] = str(error)
                if before is not None:
                    held[name] = before
        changed = held != self.held
        self.held, self.failed = held, failed
        return changed

    def fill(self, lookups: Sequence[Lookup], asked: Asked) -> Asked:
        """Return the request with the columns that it lacks. A caller's own values are never replaced.

        Raises NotReady while a table that is needed is not held, RequestInvalid where a key is missing.
        """
        wanted = [(one, [name for name in one.values if name not in asked.tensors]) for one in lookups]
        wanted = [(one, names) for one, names in wanted if names]
        if not wanted:
            return asked
        moment = asked.event_time
        at = time.time_ns() // 1000 if moment is None else round(moment.timestamp() * 1_000_000)
        tensors = dict(asked.tensors)
        for lookup, names in wanted:
            table = self._table(lookup)
            rows = table.rows(_keys(lookup, asked), at, lookup.max_age_seconds)
            for name in names:
                tensors[name] = Tensor(name, table.datatypes[name], (asked.rows,), table.values(name, rows))
        return replace(asked, tensors=tensors)

    def _newest(self, name: str, before: Held | None) -> Held:
        tag = self._blobs.document_tag(table_document(name))
        if before is not None and tag == before.tag:
            return before
        try:
            document = msgspec.json.decode(self._blobs.read_document(table_document(name)), type=OnlineDocument)
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidInput(f"The document of the online table {name!r} cannot be read: {error}.") from error
        if before is not None and document.digest == before.document.digest:
            return replace(before, tag=tag, document=document)
        return Held(tag, document, decode(self._blobs.get(document.digest)))

    def _table(self, lookup: Lookup) -> OnlineTable:
        held = self.held.get(lookup.name)
        if held is None:
            raise NotReady(
                f"The online table {lookup.name!r} is not filled yet.",
                hint=f"Fill it (`modelloop online fill {lookup.name}`), or send {', '.join(lookup.values)} yourself.",
            )
        if lost := [name for name in lookup.values if name not in held.table.datatypes]:
            raise NotReady(f"The online table {lookup.name!r} has no column {lost[0]!r} yet.", hint="Fill it again.")
        return held.table


def _keys(lookup: Lookup, asked: Asked) -> list[tuple[Any, ...]]:
    columns = []
    for name in lookup.key:
        tensor = asked.tensors.get(name)
        if tensor is None or len(tensor.values) != asked.rows:
            raise RequestInvalid(
                f"The input {name!r} is missing: {', '.join(lookup.values)} are looked up by it.",
                hint=f"Send {', '.join(lookup.key)}, one value a row, or the looked-up columns themselves.",
            )
        columns.append(tensor.values if isinstance(tensor.values, list) else tensor.values.tolist())
    return list(zip(*columns, strict=True))
