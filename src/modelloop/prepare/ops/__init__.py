"""The ops of a transform: `from modelloop.prepare.ops import number, category, cyclic`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .arithmetic import Difference, FittedArithmetic, Product, Ratio
from .categories import Category, FittedCategory, FittedOneHot, OneHot
from .encodings import FittedFrequency, FittedHashed, FittedOrdinal, Frequency, Hashed, Ordinal
from .filling import FittedImpute, Impute
from .foreign import FittedSklearn, Sklearn
from .form import FittedOp, Op
from .lookups import FittedLookup, Lookup
from .moments import DatePart, Elapsed, FittedDatePart, FittedElapsed
from .numbers import Cyclic, FittedCyclic, FittedFlagMissing, FittedLog1p, FittedNumber, FlagMissing, Log1p, Number
from .pictures import FittedPicture, Picture
from .ranges import Bins, Clip, FittedBins, FittedClip, FittedScale, Scale
from .targets import FittedTarget, Target
from .texts import FittedText, FittedTextLength, Text, TextLength
from .tokens import FittedTokens, Tokens


@dataclass(frozen=True, slots=True)
class Aside:
    """What the op makes is for later ops, and no feature by itself."""

    op: Op


number = Number
category = Category
one_hot = OneHot
cyclic = Cyclic
log1p = Log1p
flag_missing = FlagMissing
lookup = Lookup
impute = Impute
clip = Clip
scale = Scale
bins = Bins
ordinal = Ordinal
frequency = Frequency
hashed = Hashed
target = Target
date_part = DatePart
elapsed = Elapsed
text = Text
text_length = TextLength
ratio = Ratio
difference = Difference
product = Product
sklearn = Sklearn
tokens = Tokens
picture = Picture
aside = Aside

_OPS: tuple[type[Any], ...] = (
    FittedNumber,
    FittedCategory,
    FittedOneHot,
    FittedCyclic,
    FittedLog1p,
    FittedFlagMissing,
    FittedLookup,
    FittedImpute,
    FittedClip,
    FittedScale,
    FittedBins,
    FittedOrdinal,
    FittedFrequency,
    FittedHashed,
    FittedTarget,
    FittedDatePart,
    FittedElapsed,
    FittedText,
    FittedTextLength,
    FittedArithmetic,
    FittedSklearn,
    FittedTokens,
    FittedPicture,
)
FITTED: Mapping[str, type[Any]] = {fitted.kind: fitted for fitted in _OPS}
"""From the word in a transform's JSON to the op; nothing else can be read back."""


def _one_input(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read version 1 of the first seven ops: it had one `input`."""
    return {name: value for name, value in body.items() if name != "input"} | {"inputs": [body["input"]]}


OLDER: Mapping[tuple[str, int], Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    (kind, 1): _one_input for kind in ("number", "category", "one_hot", "cyclic", "log1p", "flag_missing", "lookup")
}
"""From the JSON of an op's older version to that of the next one."""

__all__ = [
    "FITTED",
    "OLDER",
    "FittedOp",
    "Op",
    "aside",
    "bins",
    "category",
    "clip",
    "cyclic",
    "date_part",
    "difference",
    "elapsed",
    "flag_missing",
    "frequency",
    "hashed",
    "impute",
    "log1p",
    "lookup",
    "number",
    "one_hot",
    "ordinal",
    "picture",
    "product",
    "ratio",
    "scale",
    "sklearn",
    "target",
    "text",
    "text_length",
    "tokens",
]
