"""Where a study is kept: nowhere but here, or among a project's facts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ..studies.memory import MemoryLedger
from ..studies.records import Declared, Entry, Ledger

if TYPE_CHECKING:
    from ...ground.store.context import Context

_LONGEST = 200


@contextmanager
def ledger_for(store: Any, name: str) -> Iterator[tuple[Ledger, Context | None]]:
    """Yield where the study `name` is kept, and the Context, if among facts."""
    if store is None:
        yield MemoryLedger(), None
        return
    _check_name(name)
    from ..studies.actions import DurableLedger  # noqa: PLC0415 - SQLAlchemy, where a search is durable

    with _context(store) as ctx:
        ledger = DurableLedger(ctx)
        try:
            yield ledger, ctx
        finally:
            ledger.release()


def kept(ctx: Context | None, name: str) -> tuple[Declared, list[Entry]]:
    """Return an earlier study by its name; raises NotFound."""
    if ctx is None:
        raise InvalidInput(
            f"The study {name!r} is asked for by its name, but there is no store.",
            hint="Give store=... as well, or the Study itself: warm_start=[study].",
        )
    from ..studies.actions import entries  # noqa: PLC0415 - as above

    return entries(ctx, name)


@contextmanager
def _context(store: Any) -> Iterator[Context]:
    if isinstance(store, str | os.PathLike):
        from ..studies.folder import opened  # noqa: PLC0415 - as above

        with opened(Path(store)) as ctx:
            yield ctx
    elif hasattr(store, "db") and hasattr(store, "blobs"):
        yield store
    else:
        raise InvalidInput(
            f"A {type(store).__name__} cannot keep a study.", hint="store= takes a Context, or a project's folder."
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"{str(name)[:60]!r} cannot name a study.",
            hint=f"A study that is kept has a name: 1 to {_LONGEST} characters, none of them invisible. name='...'.",
        )
