"""Who may do what. Deny by default: a right that no role was given is nobody's."""

from __future__ import annotations

from enum import StrEnum

from .errors import Denied
from .records import Actor, Role


class Right(StrEnum):
    """What a route or action asks of its actor. PUBLIC alone needs no actor (health, static files)."""

    PUBLIC = "public"
    READ = "read"
    RUN = "run"
    LABEL = "label"
    DEPLOY = "deploy"
    ADMIN = "admin"


_GRANTED: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.SCIENTIST: frozenset({Right.READ, Right.RUN, Right.LABEL}),
    Role.ENGINEER: frozenset({Right.READ, Right.RUN, Right.LABEL, Right.DEPLOY}),
    Role.ADMIN: frozenset({Right.READ, Right.RUN, Right.LABEL, Right.DEPLOY, Right.ADMIN}),
    Role.SYSTEM: frozenset({Right.READ, Right.RUN, Right.LABEL, Right.DEPLOY, Right.ADMIN}),
}


def may(actor: Actor, right: Right) -> bool:
    """Say whether the actor's role was given the right."""
    return right is Right.PUBLIC or right in _GRANTED.get(actor.role, frozenset())


def require(actor: Actor, right: Right) -> None:
    """Raise Denied unless the actor has the right."""
    if not may(actor, right):
        able = ", ".join(role for role, rights in _GRANTED.items() if right in rights)
        raise Denied(f"{actor.name} ({actor.role}) may not {right}.", hint=f"Roles that may: {able}.")
