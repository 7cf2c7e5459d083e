"""Expressions as text, so that a recipe is data: SQL over the columns of one row."""

from __future__ import annotations

import re

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl

FUNCTIONS = frozenset({
    "abs", "acos", "asin", "atan", "atan2", "bit_and", "bit_or", "bit_xor", "cbrt", "ceil", "ceiling",
    "char_length", "coalesce", "concat", "concat_ws", "cos", "cot", "date", "date_part", "degrees", "div",
    "ends_with", "exp", "extract", "floor", "greatest", "if", "ifnull", "initcap", "least", "left", "length",
    "ln", "log", "log10", "log1p", "log2", "lower", "ltrim", "mod", "nullif", "octet_length", "pi", "pow",
    "power", "radians", "regexp_like", "replace", "reverse", "right", "round", "rtrim", "sign", "sin", "sqrt",
    "starts_with", "strftime", "strpos", "strptime", "substr", "substring", "tan", "timestamp", "trim", "upper",
})  # fmt: skip
"""All of them answer a row from the row alone."""
_WORDS = frozenset({
    "and", "or", "not", "in", "then", "when", "else", "case", "is", "between", "like", "ilike", "rlike",
    "regexp", "cast", "try_cast", "as",
})  # fmt: skip
_TEXT = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_FORBIDDEN = re.compile(r"\b(select|over|window|table|unnest|exists)\b|;", re.IGNORECASE)


def expression(text: str) -> pl.Expr:
    """Return a SQL expression that looks at one row at a time; raises InvalidInput for anything else.

    There are no tables, files or sub-selects in it, and no aggregates: functions are those of `FUNCTIONS`.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > 10_000:
        raise InvalidInput(
            "A SQL expression is text of up to 10,000 characters.", hint="distance / nullif(air_time, 0)"
        )
    bare = _TEXT.sub("''", text)
    called = {name.lower() for name in _CALL.findall(bare)} - _WORDS
    if called - FUNCTIONS or _FORBIDDEN.search(bare):
        what = ", ".join(sorted(called - FUNCTIONS)) or "more than one row's columns"
        raise InvalidInput(
            f"{text!r} uses {what}; an expression sees the columns of one row.",
            hint=f"Functions: {', '.join(sorted(FUNCTIONS))}. For what other rows say there is window_aggregates.",
        )
    try:
        found = pl.sql_expr(text)
        found.meta.root_names()
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"{text!r} is no SQL expression that can be used: {error}") from error
    return found


def reads(text: str) -> tuple[str, ...]:
    """Return the columns that an expression reads."""
    return tuple(dict.fromkeys(expression(text).meta.root_names()))
