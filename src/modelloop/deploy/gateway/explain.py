"""Why this score: what each input adds to it, or takes from it. Contributions sum to the score less the base, exactly.

Shapley values: an input's contribution is how much the score changes when its value replaces one of the background's,
averaged over all orders in which the inputs could be revealed, and over the background's rows. The base is the mean
score of the background. With few inputs all subsets are counted; with more, orders are drawn, each with its reverse
(which cancels much of the noise), and each walks from a background row to the row that is explained, so that the sum
is exact however few are drawn. Equal requests get equal answers: the draws rest on a seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...prepare.records import Columns
from ...register.parity import Runtime

if TYPE_CHECKING:
    import numpy.typing as npt

FEW = 8
"""Inputs up to which every subset is counted."""
ROWS = 32
"""Rows of one request that are explained."""
BUDGET = 20_000
"""Rows that one request may have scored: a second or two of a model of some hundred trees."""
PART = 2_000
"""Rows scored at once."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What each input adds to each row's score: `base` and all contributions sum to the score."""

    base: npt.NDArray[np.float64]
    contributions: dict[str, npt.NDArray[np.float64]]
    score: npt.NDArray[np.float64]
    """What is explained: the headline, or of several classes the probability of the most probable one."""
    exact: bool
    """All subsets were counted over the background that was used; else orders were drawn."""

    def as_json(self) -> dict[str, Any]:
        """Return plain lists."""
        parts = {name: one.tolist() for name, one in self.contributions.items()}
        return {"base": self.base.tolist(), "contributions": parts, "exact": self.exact}


def contributions(
    scorer: Runtime, columns: Columns, background: Columns, *, seed: int = 0, budget: int = BUDGET
) -> Explained:
    """Explain each row of raw columns; `background`: rows of the package's sample.

    Raises InvalidInput for models that take tensors, no background, and more than `ROWS` rows. A row costs at most its
    share of `budget` rows of scoring: a smaller background, or fewer orders, is what a smaller budget buys.
    """
    names = tuple(name for name in background if name in columns)
    rows, known = _sizes(columns, background, names)
    found = np.asarray(next(iter(scorer.outputs(columns).values())), dtype=np.float64)
    chosen = found.argmax(axis=1) if found.ndim == 2 else None
    score = found if chosen is None else found[np.arange(rows), chosen]
    ask = _Ask(scorer, columns, background, names)
    share = max(budget // max(rows, 1), 2 * (len(names) + 1))
    exact = len(names) <= FEW and 2 ** len(names) <= share
    base, parts = np.empty(rows), np.empty((rows, len(names)))
    for row in range(rows):
        pick = None if chosen is None else int(chosen[row])
        draws = np.random.default_rng([seed, known, len(names)])  # each row alike, alone or among others
        if exact:
            base[row], parts[row] = _counted(ask, row, pick, _spread(known, share // 2 ** len(names)))
        else:
            base[row], parts[row] = _drawn(ask, row, pick, draws, share // (len(names) + 1))
    _close(score, base, parts)
    return Explained(base, {name: parts[:, at] for at, name in enumerate(names)}, score, exact)


def _sizes(columns: Columns, background: Columns, names: tuple[str, ...]) -> tuple[int, int]:
    if not names or any(background[name].ndim != 1 for name in names):
        raise InvalidInput("Only models that are asked with columns can be explained.", hint="Leave explain out.")
    rows, known = len(columns[names[0]]), len(background[names[0]])
    if rows > ROWS:
        raise InvalidInput(f"{rows} rows are to be explained.", hint=f"At most {ROWS} in one request.")
    if not known:
        raise InvalidInput("The version's package has no sample to explain against.")
    return rows, known


@dataclass(frozen=True, slots=True)
class _Ask:
    """Scores rows that are partly the explained one, partly of the background."""

    scorer: Runtime
    columns: Columns
    background: Columns
    names: tuple[str, ...]

    def score(self, row: int, pick: int | None, revealed: npt.NDArray[Any], behind: npt.NDArray[Any]) -> Any:
        """Score lines: `revealed` [lines, inputs] says which inputs are the row's, `behind` whose the others are."""
        made = np.empty(len(behind))
        for at in range(0, len(behind), PART):
            end = at + PART
            mixed = {
                name: self._mixed(name, row, revealed[at:end, nth], behind[at:end])
                for nth, name in enumerate(self.names)
            }
            found = np.asarray(next(iter(self.scorer.outputs(mixed).values())))
            made[at:end] = found if pick is None else found[:, pick]
        if not np.isfinite(made).all():
            raise InvalidInput("The model gives no finite score to rows between this one and those of its sample.")
        return made

    def _mixed(self, name: str, row: int, own: npt.NDArray[Any], behind: npt.NDArray[Any]) -> npt.NDArray[Any]:
        value, others = self.columns[name][row : row + 1], self.background[name]
        kind = np.result_type(value, others)  # a whole number beside one that may be missing is a float
        mixed: npt.NDArray[Any] = np.where(own, value.astype(kind), others[behind].astype(kind))
        return mixed


def _counted(ask: _Ask, row: int, pick: int | None, behind: npt.NDArray[Any]) -> tuple[float, npt.NDArray[Any]]:
    """Return base and contributions from all subsets of the inputs, over these rows of the background."""
    count = len(ask.names)
    subsets = np.arange(2**count)
    revealed = (subsets[:, None] >> np.arange(count)) & 1 == 1
    scores = ask.score(row, pick, np.repeat(revealed, len(behind), axis=0), np.tile(behind, 2**count))
    value = scores.reshape(2**count, len(behind)).mean(axis=1)
    size = revealed.sum(axis=1)
    weight = np.array([math.factorial(n) * math.factorial(count - n - 1) for n in range(count)]) / math.factorial(count)
    found = np.empty(count)
    for nth in range(count):
        without = subsets[~revealed[:, nth]]
        found[nth] = (weight[size[without]] * (value[without + 2**nth] - value[without])).sum()
    return float(value[0]), found


def _drawn(
    ask: _Ask, row: int, pick: int | None, draws: np.random.Generator, walks: int
) -> tuple[float, npt.NDArray[Any]]:
    """Return base and contributions from orders that are drawn in pairs, each forwards and backwards."""
    count = len(ask.names)
    orders, behind = [], []
    known = len(ask.background[ask.names[0]])
    places = _endless(draws, known)
    for _ in range(max(walks // 2, 1)):
        order, place = draws.permutation(count), next(places)
        orders += [order, order[::-1]]
        behind += [place, place]
    walked = np.array(orders)
    # line k of a walk has the first k inputs of its order revealed
    rank = np.argsort(walked, axis=1)
    revealed = rank[:, None, :] < np.arange(count + 1)[None, :, None]
    lines = np.repeat(np.array(behind), count + 1)
    value = ask.score(row, pick, revealed.reshape(-1, count), lines).reshape(len(walked), count + 1)
    steps = np.diff(value, axis=1)
    return float(value[:, 0].mean()), np.take_along_axis(steps, rank, axis=1).mean(axis=0)


def _endless(draws: np.random.Generator, known: int) -> Iterator[int]:
    """Go through the background's rows in an order of chance, each once before any comes again."""
    while True:
        yield from draws.permutation(known).tolist()


def _spread(known: int, most: int) -> npt.NDArray[Any]:
    """Return places spread evenly over the background, at most so many."""
    return np.unique(np.linspace(0, known - 1, max(min(known, most), 1)).astype(np.int64))


def _close(score: npt.NDArray[Any], base: npt.NDArray[Any], parts: npt.NDArray[Any]) -> None:
    """Take up what rounding left over, so that the sum is the score that was answered, and not one beside it.

    Walks end at the row itself: what differs is the last bit of a sum over another number of rows.
    """
    left = score - base - parts.sum(axis=1)
    if (np.abs(left) > 1e-3 * np.maximum(1.0, np.abs(score))).any():
        raise InvalidInput("The model answers a row otherwise alone than among others; it cannot be explained.")
    size = np.abs(parts)
    total = size.sum(axis=1, keepdims=True)
    parts += left[:, None] * np.divide(size, total, out=np.full_like(size, 1 / parts.shape[1]), where=total > 0)
