"""What an entry of the audit chain is, and its hash: whoever writes one makes the same. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.clock import iso
from ..core.errors import InvalidInput
from ..core.hashing import canonical_json, hash_json
from ..core.records import Actor, Event

GENESIS = "0" * 64
_LENGTHS = {"actor": 200, "action": 100, "subject": 300}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the chain."""

    seq: int
    at: datetime
    actor: str
    role: str
    action: str
    subject: str
    detail: dict[str, Any]
    before: str
    hash: str

    def expected_hash(self) -> str:
        """Return the hash that the content demands."""
        return hash_json(
            [self.seq, iso(self.at), self.actor, self.role, self.action, self.subject, self.detail, self.before]
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry's number and hash."""

    seq: int = 0
    hash: str = GENESIS


def next_entry(head: Head, at: datetime, actor: Actor, event: Event) -> Entry:
    """Return the entry that follows `head`; raises InvalidInput for a detail that is not JSON, or words too long."""
    detail = _plain(event)
    _check_lengths({"actor": actor.name, "action": event.action, "subject": event.subject})
    words = (head.seq + 1, at, actor.name, str(actor.role), event.action, event.subject, detail, head.hash)
    return Entry(*words, hash=Entry(*words, hash="").expected_hash())


def _plain(event: Event) -> dict[str, Any]:
    """Return the detail as it will be read back: what is hashed must survive the round trip."""
    try:
        plain: dict[str, Any] = json.loads(canonical_json(event.detail))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"The audit detail of {event.action!r} is not JSON: {error}.",
            hint="Pass words, finite numbers, lists, tables.",
        ) from error
    return plain


def _check_lengths(words: dict[str, str]) -> None:
    for name, word in words.items():
        if len(word) > _LENGTHS[name]:
            raise InvalidInput(f"The audit {name} has {len(word)} letters; at most {_LENGTHS[name]} are kept.")
