"""Which rows train and which judge, fold by fold, and what a fit is given of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .trying import Trying

if TYPE_CHECKING:
    import numpy.typing as npt

Rows: TypeAlias = "npt.NDArray[np.int64]"
Fold: TypeAlias = "tuple[Rows, Rows]"
_ROWS = "modelloop rows of "


class Fitting(Trying):
    """One fit of `train_many`: a mapping of the model's parameters, with the rows to train on and to judge by."""

    __slots__ = ("fold", "model")

    def __init__(self, trying: Trying) -> None:
        self.model: str = trying["model"]
        self.fold: int = trying["fold"]
        super().__init__(trying.number, trying["params"], trying.seed, _Given(trying.data), trying.tell)

    @property
    def train(self) -> Rows:
        """The numbers of the rows to train on."""
        return self._rows("train")

    @property
    def test(self) -> Rows:
        """The numbers of the rows to judge by."""
        return self._rows("test")

    def _rows(self, side: str) -> Rows:
        assert isinstance(self.data, _Given)
        try:
            found: Rows = self.data.hidden[key_of(self.seed, self.fold, side)]
        except KeyError as error:
            raise InvalidInput(
                "This fit has no rows of its own.", hint="train_many(..., folds=5) gives each fit its rows."
            ) from error
        return found


def fit_one(*fits_and_trying: Any) -> Any:
    """Call one of several fits with what it is given. The last argument is the trial: the others are bound to this."""
    *fits, trying = fits_and_trying
    return fits[trying["which"]](Fitting(trying))


def key_of(seed: int, fold: int, side: str) -> str:
    """Return under which name the rows of a fold are shared."""
    return f"{_ROWS}{seed}/{fold} {side}"


def rows_of(data: Mapping[str, Any]) -> int:
    """Return how many rows the shared data have: as many as the first array, frame or list."""
    for value in data.values():
        if hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping):
            return len(value)
    raise InvalidInput(
        "It is not known how many rows there are to be split into folds.",
        hint='Share the data: data={"x": x, "y": y}; or give the folds as pairs of row numbers.',
    )


def k_folds(rows: int, folds: int, seed: int) -> list[Fold]:
    """Return pairs (train, test); each row is in one test fold, by chance; folds differ by one row at most."""
    if isinstance(folds, bool) or not 2 <= folds <= rows:
        raise InvalidInput(f"{folds} folds of {rows} rows.", hint="From 2 folds up to as many as there are rows.")
    order = np.random.default_rng(seed).permutation(rows)
    parts = [np.sort(part) for part in np.array_split(order, folds)]
    return [(np.sort(np.concatenate([other for other in parts if other is not part])), part) for part in parts]


def given_folds(folds: Sequence[Sequence[Any]]) -> list[Fold]:
    """Return folds given as pairs of row numbers, checked."""
    made: list[Fold] = []
    for place, pair in enumerate(folds):
        if len(pair) != 2:
            raise InvalidInput(f"Fold {place} has {len(pair)} parts.", hint="A fold is a pair: (train, test).")
        train, test = (np.asarray(part) for part in pair)
        if train.dtype.kind not in "iu" or test.dtype.kind not in "iu" or not len(train) or not len(test):
            raise InvalidInput(f"Fold {place} has no rows on a side, or no row numbers.", hint="Give whole numbers.")
        common = np.intersect1d(train, test)
        if len(common):
            raise InvalidInput(
                f"Fold {place} trains on {len(common)} rows that it is judged by (row {int(common[0])}).",
                hint="A row is on one side only.",
            )
        made.append((train, test))
    if not made:
        raise InvalidInput("No fold was given.", hint="Give a number, or pairs (train, test).")
    return made


def shared_rows(folds: Mapping[int, Sequence[Fold]]) -> dict[str, Rows]:
    """Return what is shared of the folds: seed -> folds."""
    return {
        key_of(seed, place, side): rows
        for seed, made in folds.items()
        for place, fold in enumerate(made)
        for side, rows in zip(("train", "test"), fold, strict=True)
    }


class _Given(Mapping[str, Any]):
    """The user's shared data, without the rows."""

    def __init__(self, hidden: Mapping[str, Any]) -> None:
        self.hidden = hidden

    def __getitem__(self, name: str) -> Any:
        if name.startswith(_ROWS):
            raise KeyError(name)
        return self.hidden[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.hidden if not name.startswith(_ROWS))

    def __len__(self) -> int:
        return sum(1 for _ in self)
