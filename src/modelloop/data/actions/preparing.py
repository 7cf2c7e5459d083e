"""What judging an arrival needs of the world: known keys, tables that are referred to, the project's own checks."""

from __future__ import annotations

from pathlib import Path

from ...ground.core.hashing import hash_bytes, hash_json
from ...ground.core.later import polars as pl
from ...ground.store.context import Context
from ...ground.store.secret import own_secret
from .. import tables
from ..contract.cast import Put
from ..contract.judge import Aids
from ..records import MAIN, Schema
from ..settings import ColumnType, ContractSettings
from .custom import custom_checks
from .judging import references
from .reading import resolve, scan_version


def aids_for(
    ctx: Context,
    root: Path,
    contract: ContractSettings,
    known: pl.LazyFrame | None,
    *,
    put: Put | None = None,
    items: frozenset[str] = frozenset(),
) -> Aids:
    """Return what a Judge needs; `known`: the rows that the dataset has and keeps; `items`: see Aids."""
    keys = sorted({*contract.key, *(name for names in contract.unique for name in names), *_alone(contract)})
    held = known.select(keys) if known is not None and set(keys) <= set(known.collect_schema()) and keys else None
    return Aids(
        known_keys=held,
        references=references(ctx, contract),
        custom=custom_checks(root, contract.custom),
        now=ctx.now(),
        secret=personal_key(ctx),
        put=put or ctx.blobs.put,
        items=items,
    )


def depends_on(ctx: Context, root: Path, contract: ContractSettings) -> str:
    """Name what a verdict follows from besides rows and contract: when it changes, what was refused is judged anew."""
    referred = {one.references.partition(".")[0] for one in contract.columns.values() if one.references}
    with ctx.db.reading() as connection:
        heads = [tables.head(connection, dataset, MAIN) for dataset in sorted(referred)]
    modules = sorted({one.function.partition(":")[0] for one in contract.custom.values()})
    code = [_source(root.joinpath(*module.split(".")).with_suffix(".py")) for module in modules]
    return hash_json([[head.digest if head else "" for head in heads], code]) if heads or code else ""


def _source(file: Path) -> str:
    return hash_bytes(file.read_bytes()) if file.is_file() else ""


def personal_key(ctx: Context) -> bytes:
    """Return the key with which personal data is hashed, made at first use; whoever has it can test a guess."""
    return own_secret(ctx.home / "secrets" / "personal").encode()


def items_of(schema: Schema) -> frozenset[str]:
    """Return the binary columns."""
    return frozenset(name for name, kind in schema if kind == ColumnType.BINARY)


def rows_of_dataset(ctx: Context, text: str) -> tuple[str, pl.LazyFrame]:
    """Return the content and the rows of NAME, NAME:VERSION or NAME:TAG; raises NotFound."""
    found = resolve(ctx, text)
    return found.digest, scan_version(ctx, found)


def _alone(contract: ContractSettings) -> set[str]:
    return {name for name, column in contract.columns.items() if column.unique}
