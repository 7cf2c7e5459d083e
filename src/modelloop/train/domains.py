"""What a hyper-parameter may be: a whole number, a number, one of several values; always, or only beside others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..ground.core.errors import InvalidInput

Plain: TypeAlias = str | int | float | bool | None
"""What a choice may be, and what a trial's parameters are."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between two bounds, both included."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two bounds."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values."""

    options: tuple[Plain, ...]


Domain: TypeAlias = Integer | Real | Choice


@dataclass(frozen=True, slots=True)
class When:
    """A parameter that is there only where others have certain values."""

    domain: Domain
    conditions: tuple[tuple[str, tuple[Plain, ...]], ...]
    """(name of another parameter, the values beside which this one is there), all of them at once."""


Space: TypeAlias = Mapping[str, "Domain | When"]


def integer(low: int, high: int, *, log: bool = False) -> Integer:
    """Let a parameter be any whole number from `low` to `high`; `log`: small ones are tried as often as large ones."""
    if any(isinstance(bound, bool) or not isinstance(bound, int) for bound in (low, high)):
        raise InvalidInput(f"The bounds are {low!r} and {high!r}.", hint="integer(...) takes whole numbers.")
    _check_bounds(low, high, log=log)
    return Integer(low, high, log)


def real(low: float, high: float, *, log: bool = False) -> Real:
    """Let a parameter be any number from `low` to `high`; `log`: each power of ten gets the same attention."""
    if any(isinstance(bound, bool) or not isinstance(bound, int | float) for bound in (low, high)):
        raise InvalidInput(f"The bounds are {low!r} and {high!r}.", hint="real(...) takes two numbers.")
    _check_bounds(low, high, log=log)
    if not math.isfinite(high - low):
        raise InvalidInput(f"The bounds are {low} and {high}.", hint="Both are finite, and so is their distance.")
    return Real(float(low), float(high), log)


def choice(*options: Plain) -> Choice:
    """Let a parameter be one of the values: text, numbers, True, False or None."""
    if not options:
        raise InvalidInput("A choice of nothing.", hint="Name at least one value: choice(15, 31, 63).")
    for option in options:
        if not (option is None or isinstance(option, str | int | float)) or _is_odd(option):
            raise InvalidInput(
                f"{option!r} cannot be an option of a choice.",
                hint="Text, finite numbers, True, False and None can. For anything else, choose its name.",
            )
    if len(set(options)) < len(options):
        raise InvalidInput(
            f"An option is there twice in choice{options!r}.", hint="Each once; 1, 1.0 and True are the same to Python."
        )
    return Choice(options)


def when(domain: Domain, conditions: Mapping[str, Plain | tuple[Plain, ...]] | None = None, /, **also: object) -> When:
    """Let a parameter be there only where others have certain values.

        space = {"booster": choice("gbtree", "dart"), "rate_drop": when(real(0, 0.5), booster="dart")}

    Several values in a tuple: any of them. A name that is no Python word goes into a mapping: `when(d, {"a b": 1})`.
    """
    given = {**(conditions or {}), **also}
    if not given or not isinstance(domain, Integer | Real | Choice):
        raise InvalidInput(
            f"when({domain!r}) with {len(given)} conditions.", hint="when(real(0, 1), booster='dart') has both."
        )
    pairs = ((name, value if isinstance(value, tuple) else (value,)) for name, value in given.items())
    return When(domain, tuple(pairs))


def _is_odd(option: Plain) -> bool:
    if isinstance(option, float):
        return not math.isfinite(option)
    if isinstance(option, str):
        return "\0" in option or (not option.isascii() and option.encode("utf-8", "replace").decode() != option)
    return False


def _check_bounds(low: float, high: float, *, log: bool) -> None:
    if not low <= high or (log and low <= 0):
        raise InvalidInput(
            f"The bounds are {low} and {high}{' on a log scale' if log else ''}.",
            hint="The lower comes first; on a log scale it is above 0.",
        )
