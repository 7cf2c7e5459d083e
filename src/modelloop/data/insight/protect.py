"""What is kept of personal data: nothing but its kind, or a keyed hash. Pure."""

from __future__ import annotations

import hmac

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from ..settings import Personal

GONE = "***"
"""What stands for characters that were taken away."""
HASH_LENGTH = 32
"""Hexadecimal digits kept of a keyed hash: 128 bits, so two of a billion values do not share one."""

_EMAIL = r"^\s*([^\s@])[^\s@]*@[^\s@]*\.([^\s@.]{2,24})\s*$"
_DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ].*)?$"
_IPV4 = r"^\s*\d{1,3}(\.\d{1,3}){3}(/\d+)?\s*$"
_IPV6 = r"^\s*[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}\s*$"
_DIGITS = r"^\s*(?:[A-Za-z]{2}\d{2}[A-Za-z0-9 -]{7,}|[+(]?[\d\s()./-]+)\s*$"
_MASKED = r"^(.?\*\*\*@\*\*\*\.[^\s@.]{2,24}|\*\*\*-[0-9A-Za-z]{4}|\*\*\*|\*{4}-\*{2}-\*{2}|\*(\.\*){3}|\*:\*:\*)$"


def protect(values: pl.Series, way: Personal, secret: bytes) -> pl.Series:
    """Return what may be kept of the values, as text; a missing value stays missing.

    hash: HMAC-SHA-256 with the project's key, so equal values stay equal (they join and count) and nobody without the
    key can try values out. mask: what cannot be undone by anybody. Masking what is masked changes nothing. Rows with
    values to be refused are not kept at all; where they are shown, they are masked.
    """
    text = values if values.dtype == pl.String else values.cast(pl.String)
    if way is Personal.ALLOW:
        return text
    if way is Personal.HASH:
        return _hashed(text, secret)
    return text.to_frame().select(masked(pl.col(text.name)).alias(text.name)).to_series()


def masked(text: pl.Expr) -> pl.Expr:
    """Return text of which a person still sees what kind it was: a***@***.org, ***-1234 (nine digits or more), ***."""
    signs = text.str.replace_all(r"[^0-9A-Za-z]", "")
    return (
        pl.when(text.is_null() | text.str.contains(_MASKED))
        .then(text)
        .when(text.str.contains(_EMAIL))
        .then(text.str.replace(_EMAIL, "${1}" + f"{GONE}@{GONE}." + "${2}"))
        .when(text.str.contains(_DATE))
        .then(pl.lit("****-**-**"))
        .when(text.str.contains(_IPV4))
        .then(pl.lit("*.*.*.*"))
        .when(text.str.contains(_IPV6))
        .then(pl.lit("*:*:*"))
        .when(text.str.contains(_DIGITS) & (text.str.count_matches(r"\d") >= 9))
        .then(GONE + "-" + signs.str.tail(4))
        .otherwise(pl.lit(GONE))
    )


def _hashed(text: pl.Series, secret: bytes) -> pl.Series:
    if not secret:
        raise InvalidInput(
            "Personal data cannot be hashed: the project has no key.",
            hint="A hash without a key is undone by trying values out.",
        )
    distinct = text.drop_nulls().unique()
    digests = [hmac.digest(secret, value.encode(), "sha256").hex()[:HASH_LENGTH] for value in distinct]
    hashes = pl.Series(digests, dtype=pl.String)
    return text.replace_strict(distinct, hashes, default=None, return_dtype=pl.String).alias(text.name)
