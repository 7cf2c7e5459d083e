"""Which source and contract of a project a dataset has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ground.core.errors import InvalidInput, NotFound
from ..settings import ContractSettings, SourceSettings


@dataclass(frozen=True, slots=True)
class Declared:
    """A source, by name, with the contract its rows keep."""

    name: str
    source: SourceSettings
    contract: ContractSettings


def declared(
    sources: Mapping[str, SourceSettings],
    contracts: Mapping[str, ContractSettings],
    dataset: str,
    name: str | None = None,
) -> Declared:
    """Return the source that fills a dataset, the one with `name` if there are more; raises NotFound, InvalidInput."""
    those = {one: source for one, source in sources.items() if source.dataset == dataset}
    if not those:
        raise NotFound(
            f"No source of the project file fills the dataset {dataset[:80]!r}.",
            hint=f"They fill: {', '.join(sorted({one.dataset for one in sources.values()})) or 'none'}.",
        )
    if name is not None and name not in those:
        raise NotFound(f"The source {name[:80]!r} does not fill {dataset!r}.", hint=f"Those do: {', '.join(those)}.")
    if name is None and len({source.contract for source in those.values()}) > 1:
        raise InvalidInput(
            f"Sources with different contracts fill {dataset!r}: {', '.join(those)}.", hint="Say which: --source NAME."
        )
    chosen = name or next(iter(those))
    return Declared(chosen, those[chosen], contracts[those[chosen].contract])
