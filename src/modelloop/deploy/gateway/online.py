"""Online tables in a gateway: columns that a request does not bring are looked up, as they were known at its moment.

The follower's thread refreshes; the event loop only reads one dictionary, which is replaced whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ...ground.core.errors import BlobMissing, InvalidInput, NotReady, RequestInvalid, StoreUnavailable
from ...ground.store.blobs import Blobs
from ..online import OnlineDocument, OnlineTable, decode, table_document
from ..records import Lookup
from .asked import Asked, Tensor
from .keeping import Keep


@dataclass(frozen=True, slots=True)
class Held:
    """A table in memory, and which one it is."""

    tag: str | None
    document: OnlineDocument
    table: OnlineTable


class Online:
    """The online tables that a gateway holds. `need` and `refresh` belong to one thread; `fill` to any."""

    def __init__(self, blobs: Blobs, keep: Keep | None = None) -> None:
        """`keep`: where the tables are kept on this disk, for a start while nothing can be reached."""
        self._blobs = blobs
        self._keep = keep
        self.held: Mapping[str, Held] = {}
        self.failed: Mapping[str, str] = {}
        """Table -> why its newest state is not held; the one before goes on answering."""

    def need(self, names: Iterable[str]) -> None:
        """Hold these tables too, where they are not held yet: what was kept on this disk, or else the newest state.

        A table that cannot be had is told in `failed`; requests that need it are answered once it is there.
        """
        wanted = set(names) - set(self.held)
        kept = {name: found for name in sorted(wanted) if (found := self._kept(name)) is not None}
        self._hold({**self.held, **kept})
        if wanted - set(kept):
            self.refresh({*self.held, *wanted})

    def refresh(self, names: Iterable[str]) -> bool:
        """Hold the newest state of these tables and of no other; say whether something changed."""
        held: dict[str, Held] = {}
        failed: dict[str, str] = {}
        for name in sorted(set(names)):
            before = self.held.get(name)
            try:
                held[name] = self._newest(name, before)
            except (BlobMissing, InvalidInput, StoreUnavailable) as error:
                failed[name] = str(error)
                if before is not None:
                    held[name] = before
        changed = held != self.held
        self._hold(held)
        self.failed = failed
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

    def _hold(self, held: Mapping[str, Held]) -> None:
        self.held = held
        if self._keep is not None:
            self._keep.also = frozenset(one.document.digest for one in held.values())

    def _newest(self, name: str, before: Held | None) -> Held:
        tag = self._blobs.document_tag(table_document(name))
        if before is not None and tag is not None and tag == before.tag:
            return before
        data = self._blobs.read_document(table_document(name))
        document = _document(name, data)
        if before is not None and document.digest == before.document.digest:
            return replace(before, tag=tag, document=document)
        made = Held(tag, document, decode(self._blobs.get(document.digest)))
        if self._keep is not None:
            self._keep.keep_document(table_document(name), data)
        return made

    def _kept(self, name: str) -> Held | None:
        """Return the table as it was when it was last held here; None where it was not, or is damaged."""
        data = None if self._keep is None else self._keep.document(table_document(name))
        if self._keep is None or data is None:
            return None
        try:
            document = _document(name, data)
            found = self._keep.get(document.digest)
            return None if found is None else Held(None, document, decode(found))
        except (InvalidInput, BlobMissing):
            return None

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


def _document(name: str, data: bytes) -> OnlineDocument:
    try:
        return msgspec.json.decode(data, type=OnlineDocument)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"The document of the online table {name!r} cannot be read: {error}.") from error


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
