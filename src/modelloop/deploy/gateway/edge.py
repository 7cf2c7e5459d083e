"""The edge to what is not ours: models and stores fail in ways of their own, and must take nothing else with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ...ground.core.errors import ModelloopError

T = TypeVar("T")
P = ParamSpec("P")


class ForeignError(ModelloopError):
    """Something that is not ours failed in itself."""


class ArmError(ForeignError):
    """A version could not answer, and not because of the request."""


def contained(do: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Return what `do` returns; our own errors pass, any other becomes a ForeignError that names it."""
    try:
        return do(*given, **named)
    except ModelloopError:
        raise
    except Exception as error:  # edge (BLE001 - foreign code raises anything)
        raise ForeignError(f"{type(error).__name__}: {error}") from error
