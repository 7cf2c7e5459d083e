"""The command that frees bytes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..face import act
from ..options import PLAIN, Options

Hours = Annotated[float, Parameter(validator=Number(gte=0, lte=24 * 366))]


def gc(
    *,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    why: str | None = None,
    grace_hours: Hours = 24.0,
    face: Options = PLAIN,
) -> int:
    """Free the bytes that nothing needs: first they are put aside, a grace period later deleted.

    Parameters
    ----------
    dry_run
        Say what would be done, and do nothing.
    why
        Say why the bytes with this hash stay.
    grace_hours
        How old bytes must be, and how long they lie aside. Whoever writes needs less time than this.
    """
    return act("gc:gc", face, dry_run=dry_run, why=why, grace_hours=grace_hours)
