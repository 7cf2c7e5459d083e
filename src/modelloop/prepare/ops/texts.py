"""Clean text before it becomes a category, and count what is in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Op, Raw, input_of, need_strings, one_of

Clean = Literal["trim", "lower", "upper", "casefold", "nfkc", "no_accents", "no_punctuation", "one_space"]
Act: TypeAlias = "Callable[[str], str]"
LONGEST = 100_000
"""Characters of one value; a longer one is refused rather than cut."""


@dataclass(frozen=True, slots=True)
class Text(Op):
    """The text, cleaned: `steps` in their order, then every `replace` (regular expression, replacement).

    Steps: trim, lower, upper, casefold, nfkc (Unicode's compatible form: full-width to plain), no_accents (é to e),
    no_punctuation (Unicode's P and S become spaces), one_space (any white space becomes one blank, none at the ends).
    Missing stays missing, and what is empty afterwards becomes missing, unless `empty` is "keep".
    """

    column: str
    steps: Sequence[Clean] = ("nfkc", "casefold", "one_space")
    replace: Sequence[tuple[str, str]] = ()
    empty: Literal["missing", "keep"] = "missing"
    name: str = ""

    def learn(self, columns: Columns) -> FittedText:
        """Look at the column's type; nothing is learned."""
        source = need_strings(input_of(columns, self.column), "text")
        replace = tuple((pattern, by) for pattern, by in self.replace)
        return FittedText((source,), tuple(self.steps), replace, self.empty, self.name or f"text({self.column})")


@dataclass(frozen=True, slots=True)
class FittedText(FittedOp):
    """How a text is cleaned."""

    kind: ClassVar[str] = "text"
    takes: ClassVar[str] = "strings"
    inputs: tuple[InputColumn, ...]
    steps: tuple[str, ...]
    replace: tuple[tuple[str, str], ...]
    empty: str
    name: str
    _acts: tuple[Act, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(one_of(step, tuple(_STEPS), "A step") for step in self.steps))
        object.__setattr__(self, "replace", tuple((pattern, by) for pattern, by in self.replace))
        one_of(self.empty, ("missing", "keep"), "empty")
        acts = [_STEPS[step] for step in self.steps]
        object.__setattr__(self, "_acts", (*acts, *(_replacing(*one) for one in self.replace)))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or text(column)."""
        return (self.name,)

    @property
    def makes(self) -> Datatype:
        """Return BYTES: text is for later ops."""
        return Datatype.BYTES

    def apply(self, column: Raw) -> list[Raw]:
        """Clean each distinct text once."""
        values = column.tolist()
        _check(values, self.inputs[0])
        known = {value: self._cleaned(value) for value in set(values) if value is not None}
        made = np.empty(len(values), object)
        made[:] = [known.get(value) for value in values]
        return [made]

    def _cleaned(self, value: str) -> str | None:
        for act in self._acts:
            value = act(value)
        return value or (None if self.empty == "missing" else value)


@dataclass(frozen=True, slots=True)
class TextLength(Op):
    """How many characters the text has, or how many words (stretches without white space). Missing stays missing."""

    column: str
    of: Literal["characters", "words"] = "characters"
    name: str = ""

    def learn(self, columns: Columns) -> FittedTextLength:
        """Look at the column's type; nothing is learned."""
        source = need_strings(input_of(columns, self.column), "text_length")
        return FittedTextLength((source,), self.of, self.name or f"{self.of}({self.column})")


@dataclass(frozen=True, slots=True)
class FittedTextLength(FittedOp):
    """The length of a text."""

    kind: ClassVar[str] = "text_length"
    takes: ClassVar[str] = "strings"
    inputs: tuple[InputColumn, ...]
    of: str
    name: str

    def __post_init__(self) -> None:
        one_of(self.of, ("characters", "words"), "of")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or characters(column), words(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Count code points, or words."""
        values = column.tolist()
        _check(values, self.inputs[0])
        if self.of == "words":
            return [np.array([np.nan if value is None else len(value.split()) for value in values], np.float64)]
        return [np.array([np.nan if value is None else len(value) for value in values], np.float64)]


def _check(values: list[object], source: InputColumn) -> None:
    for value in values:
        if value is not None and (not isinstance(value, str) or len(value) > LONGEST):
            found = f"text of {len(value)} characters" if isinstance(value, str) else type(value).__name__
            raise InvalidInput(
                f"The column {source.name!r} holds {found}.", hint=f"Expected text of up to {LONGEST} characters."
            )


def _replacing(pattern: str, by: str) -> Act:
    try:
        compiled = re.compile(pattern)
        re.compile(f"(?:{pattern})|", compiled.flags & ~re.UNICODE).sub(by, "")  # finds a group that `by` cannot name
    except (re.error, TypeError, IndexError, RecursionError, OverflowError) as error:
        raise InvalidInput(f"The regular expression {str(pattern)[:60]!r} cannot be used: {error}.") from error
    return lambda value: compiled.sub(by, value)


def _no_accents(value: str) -> str:
    apart = unicodedata.normalize("NFD", value)
    return unicodedata.normalize("NFC", "".join(one for one in apart if unicodedata.category(one) != "Mn"))


def _no_punctuation(value: str) -> str:
    return "".join(" " if unicodedata.category(one)[0] in "PS" else one for one in value)


_STEPS: dict[str, Act] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "casefold": str.casefold,
    "nfkc": lambda value: unicodedata.normalize("NFKC", value),
    "no_accents": _no_accents,
    "no_punctuation": _no_punctuation,
    "one_space": lambda value: " ".join(value.split()),
}
