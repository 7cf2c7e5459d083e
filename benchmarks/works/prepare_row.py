"""Preparing one row for an answer beside a numpy function written by hand for these very features."""

import time

import numpy as np

from modelloop.prepare.ops import bins, category, cyclic, impute, lookup, number, ratio, scale
from modelloop.prepare.transform import Transform

from ..measure import Measured, Work, paired, versions

ROWS, TURNS = 20_000, 2_000
NUMBERS = [f"x{n}" for n in range(10)]
STRINGS = [f"s{n}" for n in range(4)]


def _columns() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(0)
    columns = {name: chance.normal(size=ROWS) for name in NUMBERS}
    for name in NUMBERS:
        columns[name][chance.integers(0, ROWS, 500)] = np.nan
    words = {name: np.array([f"c{k}" for k in chance.integers(0, 40, ROWS)], object) for name in STRINGS}
    return columns | words | {"hour": chance.integers(0, 24, ROWS), "amount": chance.lognormal(size=ROWS)}


COLUMNS = _columns()
SEATS = {f"c{k}": float(k) for k in range(40)}
TRANSFORM = Transform(
    [
        *(number(name) for name in NUMBERS),
        *(category(name) for name in STRINGS),
        cyclic("hour", 24),
        impute("x0", "mean"),
        scale("impute(x0)"),
        bins("amount", 10),
        ratio("x1", "amount"),
        lookup("s0", SEATS),
    ]
).fit(COLUMNS)
ONE = {name: column[:1] for name, column in COLUMNS.items()}


def by_hand() -> object:
    """Return what somebody would write for this one model: constants in place, no checks, no names."""
    medians = [float(np.nanmedian(COLUMNS[name])) for name in NUMBERS]
    codes = [{value: k for k, value in enumerate(sorted(set(COLUMNS[name])))} for name in STRINGS]
    mean, (_, fitted_scale, fitted_bins) = float(np.nanmean(COLUMNS["x0"])), TRANSFORM.ops[15:18]
    center, width, edges = fitted_scale.center, fitted_scale.width, np.array(fitted_bins.edges)

    def prepare(columns: dict[str, np.ndarray]) -> np.ndarray:
        made = []
        for name, median in zip(NUMBERS, medians, strict=True):
            made.append(np.where(np.isnan(columns[name]), median, columns[name]))
        for name, code in zip(STRINGS, codes, strict=True):
            made.append(np.array([code.get(value, -1) for value in columns[name]]))
        angle = columns["hour"] % 24 * (2 * np.pi / 24)
        filled = np.where(np.isnan(columns["x0"]), mean, columns["x0"])
        made += [np.sin(angle), np.cos(angle), filled, (filled - center) / width]
        made.append(np.searchsorted(edges, columns["amount"], side="right"))
        made.append(columns["x1"] / columns["amount"])
        made.append(np.array([SEATS[value] for value in columns["s0"]]))
        return np.stack(made, axis=1).astype(np.float32)

    return prepare


BY_HAND = by_hand()


def _spent(call: object, columns: dict[str, np.ndarray], turns: int) -> float:
    before = time.process_time()
    for _ in range(turns):
        call(columns)  # type: ignore[operator]
    return (time.process_time() - before) / turns


def _run() -> Measured:
    assert np.allclose(TRANSFORM.apply(COLUMNS), BY_HAND(COLUMNS), equal_nan=True)  # type: ignore[operator]
    ours, reference = paired(lambda: _spent(TRANSFORM.apply, ONE, TURNS), lambda: _spent(BY_HAND, ONE, TURNS), rounds=5)
    many, many_by_hand = paired(
        lambda: _spent(TRANSFORM.apply, COLUMNS, 5), lambda: _spent(BY_HAND, COLUMNS, 5), rounds=3
    )
    notes = {"features": len(TRANSFORM.names), f"{ROWS} rows, ratio": round(many / many_by_hand, 2)}
    return Measured(ours * 1e6, reference * 1e6, "CPU us a row", notes)


WORK = Work(
    "a row prepared for an answer, with all checks",
    f"a numpy function written by hand for this model, without checks ({versions('numpy')})",
    1.5,
    _run,
)
