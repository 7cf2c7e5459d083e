"""A space of hyper-parameters: checked, in an order in which conditions can be answered, to JSON and back, listed."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...ground.core.errors import InvalidInput
from ..domains import Choice, Domain, Integer, Plain, Real, Space, When, choice, integer, real

LONGEST_NAME = 200
_MOST_POINTS = 1_000_000


def checked(given: Space | Sequence[tuple[str, Domain | When]]) -> dict[str, Domain | When]:
    """Return the space with each parameter behind those it depends on; raises InvalidInput with what is wrong."""
    pairs = list(given.items()) if isinstance(given, Mapping) else list(given)
    if not pairs:
        raise InvalidInput("The space has no parameters.", hint="Name at least one: {'depth': integer(2, 12)}.")
    found: dict[str, Domain | When] = {}
    seen: dict[str, str] = {}
    for name, domain in pairs:
        check_name(name, "a parameter")
        plain = unicodedata.normalize("NFC", name)
        if plain in seen:
            raise InvalidInput(f"The parameter {name!r} is there twice.", hint="Each name once, however it is encoded.")
        seen[plain] = name
        found[name] = _checked_domain(name, domain)
    return _ordered(found)


def parts(entry: Domain | When) -> tuple[Domain, tuple[tuple[str, tuple[Plain, ...]], ...]]:
    """Return a parameter's domain and its conditions."""
    return (entry.domain, entry.conditions) if isinstance(entry, When) else (entry, ())


def check_name(name: object, what: str) -> None:
    """Raise InvalidInput where this cannot name a parameter or metric: any letters may, control characters may not."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise InvalidInput(
            f"{str(name)[:60]!r} cannot name {what}.", hint=f"A name is text of 1 to {LONGEST_NAME} characters."
        )
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise InvalidInput(f"The name {name!r} holds a control character.", hint="Take it out.")


def is_there(entry: Domain | When, params: Mapping[str, Any]) -> bool:
    """Say whether a parameter is there beside these (those before it in the space's order)."""
    return all(name in params and params[name] in values for name, values in parts(entry)[1])


def in_domain(domain: Domain, value: Any) -> bool:
    """Say whether a value is one of the domain's."""
    if isinstance(domain, Choice):
        return (value is None or isinstance(value, str | int | float)) and value in domain.options
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return domain.low <= value <= domain.high and (isinstance(domain, Real) or float(value).is_integer())


def read(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters in the space's order and types; JSON does not keep these."""
    found = {}
    for name, entry in space.items():
        if name in params:
            found[name] = _typed(parts(entry)[0], params[name])
    return found


def fitting(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of another study's parameters that this space has, too, with values that lie in it."""
    found: dict[str, Any] = {}
    for name, entry in space.items():
        domain = parts(entry)[0]
        if name in params and in_domain(domain, params[name]) and is_there(entry, found):
            found[name] = _typed(domain, params[name])
    return found


def is_whole(space: Space, params: Mapping[str, Any]) -> bool:
    """Say whether the parameters are one point of the space: all that must be there, and nothing else."""
    return set(params) == {name for name, entry in space.items() if is_there(entry, params)}


def to_json(space: Space) -> list[dict[str, Any]]:
    """Return the space as JSON, in its order."""
    return [_as_json(name, entry) for name, entry in space.items()]


def from_json(found: Iterable[Mapping[str, Any]]) -> dict[str, Domain | When]:
    """Return the space that `to_json` wrote."""
    return {one["name"]: _from_json(one) for one in found}


def grid(space: Space) -> list[dict[str, Any]]:
    """Return all points of a grid; raises InvalidInput where numbers cannot be listed."""
    listed = {name: _listed(name, parts(entry)[0]) for name, entry in space.items()}
    if math.prod(len(values) for values in listed.values()) > _MOST_POINTS:
        raise InvalidInput(
            f"The grid has more than {_MOST_POINTS:,} points.", hint="Take fewer values, or method='random'."
        )
    if not any(isinstance(entry, When) for entry in space.values()):
        return [dict(zip(listed, point, strict=True)) for point in itertools.product(*listed.values())]
    return list(_branches(list(space.items()), listed, {}))


def _branches(
    left: list[tuple[str, Domain | When]], listed: Mapping[str, list[Plain]], params: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if not left:
        yield params
        return
    name, entry = left[0]
    if not is_there(entry, params):
        yield from _branches(left[1:], listed, params)
        return
    for value in listed[name]:
        yield from _branches(left[1:], listed, params | {name: value})


def _listed(name: str, domain: Domain) -> list[Plain]:
    if isinstance(domain, Choice):
        return list(domain.options)
    if isinstance(domain, Integer):
        if domain.high - domain.low >= _MOST_POINTS:
            raise InvalidInput(
                f"{name!r} has {domain.high - domain.low + 1:,} values.", hint="Write choice(1, 10, 100) for it."
            )
        return list(range(domain.low, domain.high + 1))
    raise InvalidInput(f"A grid cannot list the numbers of {name!r}.", hint="Write choice(0.01, 0.1) for it.")


def _checked_domain(name: str, entry: object) -> Domain | When:
    """Check what was made without the constructors, too."""
    domain = entry.domain if isinstance(entry, When) else entry
    try:
        if isinstance(domain, Choice):
            choice(*domain.options)
        elif isinstance(domain, Integer):
            integer(domain.low, domain.high, log=domain.log)
        elif isinstance(domain, Real):
            real(domain.low, domain.high, log=domain.log)
    except InvalidInput as error:
        raise InvalidInput(f"The parameter {name!r}: {error.message}", hint=error.hint) from error
    if isinstance(domain, Choice | Integer | Real):
        return entry if isinstance(entry, When) else domain
    raise InvalidInput(
        f"The parameter {name!r} is {str(entry)[:60]!r}.",
        hint="integer(2, 12), real(0.1, 1.0), choice('a', 'b'), or when(real(0, 1), other='a').",
    )


def _ordered(found: dict[str, Domain | When]) -> dict[str, Domain | When]:
    placed: dict[str, Domain | When] = {}
    left = dict(found)
    while left:
        ready = [name for name, entry in left.items() if all(on in placed for on, _ in parts(entry)[1])]
        if not ready:
            _cannot_be_placed(found, left)
        for name in ready:
            placed[name] = left.pop(name)
    for name, entry in placed.items():
        for on, values in parts(entry)[1]:
            _check_condition(name, on, values, parts(placed[on])[0])
    return placed


def _cannot_be_placed(found: Space, left: Space) -> None:
    for name, entry in left.items():
        for on, _ in parts(entry)[1]:
            if on not in found:
                raise InvalidInput(
                    f"{name!r} depends on {on!r}, which the space does not have.", hint=f"It has {', '.join(found)}."
                )
    raise InvalidInput(f"{', '.join(left)} depend on each other in a circle.", hint="Take one condition out.")


def _check_condition(name: str, on: str, values: tuple[Plain, ...], domain: Domain) -> None:
    if isinstance(domain, Real):
        raise InvalidInput(
            f"{name!r} depends on {on!r}, which is any number of a range.", hint="Depend on a choice or whole number."
        )
    wrong = [value for value in values if not in_domain(domain, value)]
    if wrong or not values:
        raise InvalidInput(f"{name!r} is there when {on!r} is {wrong}, which it never is.", hint=f"It is {domain}.")


def _typed(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Choice):
        return next((option for option in domain.options if option == value), value)
    return int(value) if isinstance(domain, Integer) else float(value)


def _as_json(name: str, entry: Domain | When) -> dict[str, Any]:
    domain, conditions = parts(entry)
    found: dict[str, Any] = {"name": name, "kind": type(domain).__name__.lower()}
    if isinstance(domain, Choice):
        found["options"] = list(domain.options)
    else:
        found |= {"low": domain.low, "high": domain.high, "log": domain.log}
    if conditions:
        found["when"] = [[on, list(values)] for on, values in conditions]
    return found


def _from_json(found: Mapping[str, Any]) -> Domain | When:
    domain: Domain
    if found["kind"] == "choice":
        domain = Choice(tuple(found["options"]))
    elif found["kind"] == "integer":
        domain = Integer(int(found["low"]), int(found["high"]), found["log"])
    else:
        domain = Real(float(found["low"]), float(found["high"]), found["log"])
    if "when" not in found:
        return domain
    return When(domain, tuple((on, tuple(values)) for on, values in found["when"]))
