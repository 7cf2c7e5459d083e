"""One of several processes that train one model, as its function sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Rank(Mapping[str, Any]):
    """A mapping of the parameters, with which of how many processes this is.

    `rank` counts all processes from 0, `local_rank` those of this machine (its GPU, where there is one each); `world`
    is how many there are; `seed` and `data` are the same everywhere. torch.distributed is set up.
    """

    __slots__ = ("_params", "data", "local_rank", "rank", "seed", "world")

    def __init__(
        self, params: Mapping[str, Any], rank: int, world: int, *, seed: int, data: Mapping[str, Any], local_rank: int
    ) -> None:
        self._params = dict(params)
        self.rank, self.world, self.seed, self.data, self.local_rank = rank, world, seed, data, local_rank

    def __getitem__(self, name: str) -> Any:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def share(self, rows: int) -> range:
        """Return which of so many rows are this process's: equally many for each, the last few left out."""
        each = rows // self.world
        return range(self.rank * each, (self.rank + 1) * each)
