"""Formulas of the project's own metrics: text in, a metric over columns of numbers out. Nothing of Python is run.

    formula = part (("+" | "-" | "*" | "/" | comparison | "and" | "or") part)* ; see `_BINARY` for what binds first

Numbers, names of columns, brackets, `not`, and the functions below. `sum` and `mean` take all rows together; a formula
without them is averaged over the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.interval import Floats

MOST_CHARACTERS = 2000
MOST_DEPTH = 40
RESERVED = ("label", "score", "decision", "answer", "threshold")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[^\W\d]\w*)|(?P<sign><=|>=|==|!=|[-+*/<>(),]))"
)


def _numpy(name: str) -> Callable[..., Floats]:
    """Return numpy's function, looked up when it is called: numpy is loaded at its first use."""

    def call(*parts: Floats) -> Floats:
        found: Floats = np.asarray(getattr(np, name)(*parts), dtype=np.float64)
        return found

    return call


def _where(test: Floats, yes: Floats, no: Floats) -> Floats:
    found: Floats = np.where(test != 0, yes, no)
    return found


_BINARY: Mapping[str, tuple[int, Callable[[Floats, Floats], Floats]]] = MappingProxyType(
    {
        "or": (1, lambda a, b: ((a != 0) | (b != 0)).astype(np.float64)),
        "and": (2, lambda a, b: ((a != 0) & (b != 0)).astype(np.float64)),
        "<": (3, _numpy("less")),
        "<=": (3, _numpy("less_equal")),
        ">": (3, _numpy("greater")),
        ">=": (3, _numpy("greater_equal")),
        "==": (3, _numpy("equal")),
        "!=": (3, _numpy("not_equal")),
        "+": (4, _numpy("add")),
        "-": (4, _numpy("subtract")),
        "*": (5, _numpy("multiply")),
        "/": (5, _numpy("divide")),
    }
)
_FUNCTIONS: Mapping[str, tuple[int, Callable[..., Floats]]] = MappingProxyType(
    {
        "abs": (1, _numpy("abs")),
        "sqrt": (1, _numpy("sqrt")),
        "exp": (1, _numpy("exp")),
        "log": (1, _numpy("log")),
        "min": (2, _numpy("minimum")),
        "max": (2, _numpy("maximum")),
        "where": (3, _where),
        "clip": (3, lambda a, b, c: np.minimum(np.maximum(a, b), c)),
    }
)
_TOGETHER = ("sum", "mean")
_WORDS = ("and", "or", "not")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation or a function of parts."""

    name: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """`sum` or `mean` over all rows of one column of the formula: the `place`-th."""

    name: str
    place: int


Node = Number | Name | Call | Together


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read: what is computed of each row, and how the means of that make the metric."""

    text: str
    inner: tuple[Node, ...]
    outer: Node

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns that it needs, in order of the alphabet."""
        return tuple(sorted({name for node in self.inner for name in _names(node)}))

    def columns(self, known: Mapping[str, Floats], rows: int) -> Floats:
        """Return what is computed of each row, a column a `sum` or `mean`. May hold what is no number."""
        with np.errstate(all="ignore"):
            found = [np.broadcast_to(_value(node, known), rows) for node in self.inner]
        return np.column_stack(found).astype(np.float64)

    def of(self, means: Floats, rows: Floats) -> Floats:
        """Return the metric from the means of these columns, one set of means a row, each of so many rows."""
        with np.errstate(all="ignore"):
            return np.broadcast_to(_outer(self.outer, means, rows), len(means)) * 1.0


def read(text: str) -> Formula:
    """Read a formula; raises InvalidInput with the place of what cannot be read."""
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput(f"The formula has {len(text)} characters; {MOST_CHARACTERS} are enough.")
    reader = _Reader(text)
    outer = reader.all()
    if not reader.inner:
        return Formula(text, (outer,), Together("mean", 0))
    if loose := next(_names(outer), None):
        raise InvalidInput(
            f"The formula adds up rows in one part and takes {loose!r} of a single row in another.",
            hint="Put every column into sum(...) or mean(...), or none.",
        )
    return Formula(text, tuple(reader.inner), outer)


class _Reader:
    """Reads by precedence; remembers what stands in `sum` and `mean`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0
        self.inner: list[Node] = []
        self._within = False

    def all(self) -> Node:
        found = self._part(0, 0)
        if self.at < len(self.tokens):
            raise self._error(f"{self._peek()!r} is one too many")
        return found

    def _part(self, least: int, depth: int) -> Node:
        if depth > MOST_DEPTH:
            raise self._error(f"brackets deeper than {MOST_DEPTH}")
        left = self._single(depth)
        while (sign := self._peek()) in _BINARY and _BINARY[sign][0] > least:
            self.at += 1
            left = Call(sign, (left, self._part(_BINARY[sign][0], depth + 1)))
        return left

    def _single(self, depth: int) -> Node:
        sign = self._take()
        if sign == "-":
            return Call("-", (Number(0.0), self._part(4, depth + 1)))
        if sign == "not":
            return Call("==", (self._part(2, depth + 1), Number(0.0)))
        if sign == "(":
            found = self._part(0, depth + 1)
            self._expect(")")
            return found
        if sign[0] in "0123456789.":
            return Number(float(sign))
        if not (sign[0].isalpha() or sign[0] == "_") or sign in _WORDS:
            raise self._error(f"{sign!r} is not what a formula goes on with", back=True)
        return self._called(sign, depth) if self._peek() == "(" else Name(sign)

    def _called(self, name: str, depth: int) -> Node:
        if name not in _FUNCTIONS and name not in _TOGETHER:
            known = ", ".join((*_FUNCTIONS, *_TOGETHER))
            raise self._error(f"there is no function {name!r}; there are {known}", back=True)
        self.at += 1
        if name in _TOGETHER:
            return self._together(name, depth)
        parts = [self._part(0, depth + 1)]
        while self._peek() == ",":
            self.at += 1
            parts.append(self._part(0, depth + 1))
        self._expect(")")
        if len(parts) != _FUNCTIONS[name][0]:
            raise self._error(f"{name} takes {_FUNCTIONS[name][0]} values, not {len(parts)}", back=True)
        return Call(name, tuple(parts))

    def _together(self, name: str, depth: int) -> Node:
        if self._within:
            raise self._error("sum and mean cannot stand in each other", back=True)
        self._within = True
        node = self._part(0, depth + 1)
        self._within = False
        self._expect(")")
        self.inner.append(node)
        return Together(name, len(self.inner) - 1)

    def _peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise self._error("it ends too early")
        self.at += 1
        return token

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise self._error(f"{sign!r} is missing")
        self.at += 1

    def _error(self, what: str, *, back: bool = False) -> InvalidInput:
        at = self.at - 1 if back else self.at
        place = self.tokens[at][1] if at < len(self.tokens) else len(self.text)
        return InvalidInput(
            f"The formula cannot be read at character {place + 1}: {what}.",
            hint="See [metrics.NAME] formula in the project file's reference.",
        )


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    at, end = 0, len(text.rstrip())
    if not end:
        raise InvalidInput("The formula is empty.", hint="For example `10 * label * decision - decision`.")
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise InvalidInput(f"The formula cannot be read at character {place + 1}: {text[place]!r} has no meaning.")
        yield found.group(found.lastgroup or 0), found.start(found.lastgroup or 0)
        at = found.end()


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Call):
        for part in node.parts:
            yield from _names(part)


def _value(node: Node, known: Mapping[str, Floats]) -> Floats:
    if isinstance(node, Number):
        return np.asarray(node.value, dtype=np.float64)
    if isinstance(node, Name):
        return known[node.name]
    assert isinstance(node, Call)
    return _apply(node.name, [_value(part, known) for part in node.parts])


def _outer(node: Node, means: Floats, rows: Floats) -> Floats:
    if isinstance(node, Together):
        return means[:, node.place] * (rows if node.name == "sum" else 1.0)
    if isinstance(node, Number):
        return np.asarray(node.value, dtype=np.float64)
    assert isinstance(node, Call)
    return _apply(node.name, [_outer(part, means, rows) for part in node.parts])


def _apply(name: str, parts: list[Floats]) -> Floats:
    return _BINARY[name][1](*parts) if name in _BINARY else _FUNCTIONS[name][1](*parts)
