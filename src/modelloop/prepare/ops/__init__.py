"""The features a transform can make: `from modelloop.prepare.ops import number, category, cyclic`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .categories import Category, FittedCategory, FittedOneHot, OneHot
from .form import FittedOp, Op
from .lookups import FittedLookup, Lookup
from .numbers import Cyclic, FittedCyclic, FittedFlagMissing, FittedLog1p, FittedNumber, FlagMissing, Log1p, Number

number = Number
category = Category
one_hot = OneHot
cyclic = Cyclic
log1p = Log1p
flag_missing = FlagMissing
lookup = Lookup

FITTED: Mapping[str, type[Any]] = {
    fitted.kind: fitted
    for fitted in (
        FittedNumber,
        FittedCategory,
        FittedOneHot,
        FittedCyclic,
        FittedLog1p,
        FittedFlagMissing,
        FittedLookup,
    )
}
"""From the word in a transform's JSON to the op; nothing else can be read back."""

__all__ = [
    "FITTED",
    "FittedOp",
    "Op",
    "category",
    "cyclic",
    "flag_missing",
    "log1p",
    "lookup",
    "number",
    "one_hot",
]
