"""Personal data in a table: found by the form of values and by the names of columns, counted, shown masked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Finding
from ...settings import ColumnType, ContractSettings, Personal
from ..protect import masked
from .forms import CARD, EMAIL, IBAN, IPV4, IPV6, Bools, forms
from .names import CHECKED, kinds_of_names

_EXAMPLES = 5
_DONE = {Personal.MASK: "masked", Personal.HASH: "hashed", Personal.REFUSE: "refused"}
_WORDS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "payment card": "the number of a payment card",
    "bank account": "a bank account (IBAN)",
    "ip": "an IP address",
    "name": "a person's name",
    "address": "a postal address",
    "birth": "a date or place of birth",
    "national id": "a number that the state gave to a person",
    "passport": "the number of a passport or licence",
}
_PARTS = {"email": f"({EMAIL})", "payment card": CARD, "bank account": IBAN, "ip": f"{IPV4}|{IPV6}"}
_VERSION = re.compile(r"version|release|build|firmware|oid", re.IGNORECASE)
_LEAST_CARD = 10**12


def detect(
    frame: pl.DataFrame,
    contract: ContractSettings,
    *,
    counts: Mapping[str, pl.DataFrame] | None = None,
    ignore: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """Return where personal data stands: a finding for each column and kind, with the rows it concerns.

    Where the contract allows it there is nothing to tell. `counts` spares work: columns whose distinct values are
    already known (`value`, `count`).
    """
    names = kinds_of_names(frame.columns)
    findings: list[Finding] = []
    for series in frame.iter_columns():
        column = contract.columns.get(series.name)
        way = column.personal if column else None
        binary = column is not None and column.type is ColumnType.BINARY
        if series.name in ignore or way is Personal.ALLOW or binary or not series.len():
            continue
        known = (counts or {}).get(series.name)
        findings += _of_column(series, known, names.get(series.name, ""), way)
    return tuple(findings)


def holds(values: pl.Series) -> pl.Series:
    """Say of each row whether the value holds personal data; its column's name counts too."""
    called = kinds_of_names([values.name]).get(values.name, "")
    present = values.is_not_null()
    if called and called not in CHECKED and _may_be(values, called):
        return present & (_texts(values).str.strip_chars() != "").fill_null(value=False)
    if not _looked_at(values, called):
        return pl.repeat(value=False, n=len(values), dtype=pl.Boolean, eager=True).alias(values.name)
    texts = _texts(values)
    distinct = texts.drop_nulls().unique()
    hit = np.zeros(len(distinct), dtype=bool)
    for mask in _forms(distinct, values.name, called).values():
        hit |= mask
    return (
        texts.is_in(distinct.filter(pl.Series(hit, dtype=pl.Boolean)).implode())
        .fill_null(value=False)
        .alias(values.name)
    )


def _of_column(series: pl.Series, known: pl.DataFrame | None, called: str, way: Personal | None) -> Iterator[Finding]:
    done = _DONE.get(way, "") if way else ""
    if not done and not called and not _looked_at(series, called):
        return
    if called and called not in CHECKED and _may_be(series, called):
        rows = len(series) - series.null_count()
        if rows:
            examples = _shown(_texts(series.drop_nulls().head(1000)).unique(maintain_order=True), called)
            yield _finding(series, called, rows, examples, way=way, why=" by the name of the column")
        return
    found = False
    if _looked_at(series, called):
        for one in _by_form(series, known, called, way):
            found = True
            yield one
    rows = len(series) - series.null_count()
    if done and not found and rows and way is not Personal.REFUSE:
        examples = _shown(_texts(series.drop_nulls().head(1000)).unique(maintain_order=True), "")
        message = f"{series.name!r} is personal data by contract: its {rows:,} values are kept {done} only."
        yield Finding("personal", series.name, rows, message, examples, done)


def _by_form(series: pl.Series, known: pl.DataFrame | None, called: str, way: Personal | None) -> Iterator[Finding]:
    counted = known if known is not None else _texts(series).drop_nulls().alias("value").value_counts(name="count")
    distinct = counted.get_column("value")
    for kind, mask in _forms(distinct, series.name, called).items():
        rows = int(counted.get_column("count").to_numpy()[mask].sum())
        yield _finding(series, kind, rows, _shown(distinct.filter(pl.Series(mask)), kind), way=way)


def _finding(
    series: pl.Series, kind: str, rows: int, examples: tuple[str, ...], *, way: Personal | None, why: str = ""
) -> Finding:
    done = _DONE.get(way, "") if way else ""
    what = f"{series.name!r}: {rows:,} of {len(series):,} values hold {_WORDS[kind]}{why}"
    after = (
        f"; {done}, as the contract says."
        if done
        else ('. Say in the contract what is to be done: personal = "mask", "hash", "refuse", or "allow".')
    )
    return Finding("personal", series.name, rows, what + after, examples, done)


def _forms(distinct: pl.Series, name: str, called: str) -> Mapping[str, Bools]:
    return forms(distinct, called=called, versions=bool(_VERSION.search(name))) if len(distinct) else {}


def _shown(values: pl.Series, kind: str) -> tuple[str, ...]:
    """Return up to five masked examples: of a longer text only the part that is personal."""
    some = values.sort().head(_EXAMPLES).alias("value").to_frame()
    text = pl.col("value")
    if kind in _PARTS:
        part = _PARTS[kind]
        groups = [text.str.extract(part, 1)] + ([text.str.extract(part, 2)] if kind == "ip" else [])
        text = pl.coalesce(*groups, text)
    return tuple(some.select(masked(text)).to_series().unique(maintain_order=True).to_list())


def _looked_at(series: pl.Series, called: str) -> bool:
    """Say whether values of this type can have a telling form: text, or whole numbers long enough for a card."""
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return True
    if not series.dtype.is_integer():
        return False
    largest = series.max()
    return called in ("phone", "payment card") or (isinstance(largest, int) and largest >= _LEAST_CARD)


def _may_be(series: pl.Series, called: str) -> bool:
    """Say whether such a column can hold what its name says: a flag or a measure is not a name."""
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return True
    if series.dtype in (pl.Date, pl.Datetime):
        return called == "birth"
    return series.dtype.is_integer() and called in ("national id", "passport", "birth")


def _texts(series: pl.Series) -> pl.Series:
    return series if series.dtype == pl.String else series.cast(pl.String)
