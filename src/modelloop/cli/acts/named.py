"""Names that were typed: whether there is something of that name, and what there is instead."""

from __future__ import annotations

from ...deploy import actions
from ...ground.core.errors import NotFound
from ..desk import Desk


def check_endpoint(desk: Desk, name: str) -> None:
    """Raise NotFound unless the project file declares the endpoint or something was ever rolled out there.

    A list of what is at a misspelt endpoint would be empty, and would be believed.
    """
    known = dict.fromkeys((*desk.project.endpoints, *(state.name for state in actions.endpoint_states(desk.ctx))))
    if name not in known:
        raise NotFound(f"There is no endpoint {name[:80]!r}.", hint=f"There are: {', '.join(known) or 'none yet'}.")
