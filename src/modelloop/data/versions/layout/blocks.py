"""A whole table without a key: cut into blocks of rows and columns, of which equal ones are shared.

The values of each block are hashed; where a part before has a cell with that content, it is taken, and nothing is
encoded. So a change is found wherever it is, in a file of unknown origin, and costs the blocks that it touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ....ground.core.later import polars as pl
from ...records import Cell, Part, Schema
from .contents import content_of
from .store import Store, at_once

BLOCKS = 8
FEWEST = 50_000
"""Rows of a table that is one block."""
MOST = 262_144
"""Rows of a block."""
CELLS = 64
"""Of a block at most; with more columns several share one."""
TINY = 20_000
"""Values (rows times columns) of a block that is one cell: many little files would cost more than they share."""

Block = tuple[int, int]
"""First row and number of rows."""
Known = tuple[tuple[str, ...], str]
"""Columns and content of a cell."""


def replace_by_content(parts: Sequence[Part], frame: pl.DataFrame, schema: Schema, store: Store) -> tuple[Part, ...]:
    """Return parts with the rows of `frame`, in its order, that share with `parts` the cells that are equal."""
    if not frame.height:
        return ()
    table = _Table(frame)
    blocks = _blocks(table, parts)
    table.hash(blocks)
    cells = {(cell.columns, cell.content): cell for part in parts for cell in part.cells if cell.content}
    missing = {known: block for block in blocks for known in table.contents[block] if known not in cells}
    for cell in at_once(lambda one: table.write(*one, store), missing.items(), store.writers):
        cells[cell.columns, cell.content] = cell
    return tuple(Part(block[1], schema, tuple(cells[known] for known in table.contents[block])) for block in blocks)


@dataclass(slots=True)
class _Table:
    """What arrived, and the contents of its blocks as far as they were asked for."""

    frame: pl.DataFrame
    contents: dict[Block, tuple[Known, ...]] = field(default_factory=dict)

    def hash(self, blocks: Sequence[Block]) -> None:
        """Find the contents of blocks, side by side."""
        cells = [(block, names) for block in blocks if block not in self.contents for names in self._groups(block)]
        found: dict[Block, list[Known]] = {}
        for (block, names), content in zip(
            cells, at_once(lambda one: content_of(self._cell(*one)), cells), strict=True
        ):
            found.setdefault(block, []).append((names, content))
        self.contents.update({block: tuple(known) for block, known in found.items()})

    def like(self, block: Block, part: Part) -> bool:
        """Say whether at least half of the block is as in the part: then their rows are the same ones."""
        self.hash([block])
        before = {(cell.columns, cell.content) for cell in part.cells}
        return 2 * sum(known in before for known in self.contents[block]) >= len(self.contents[block])

    def write(self, known: Known, block: Block, store: Store) -> Cell:
        """Keep a cell."""
        columns, content = known
        return store.write(pl.DataFrame(self._cell(block, columns)).rechunk(), content)

    def _cell(self, block: Block, columns: tuple[str, ...]) -> list[pl.Series]:
        return [self.frame.get_column(name).slice(*block) for name in columns]

    def _groups(self, block: Block) -> list[tuple[str, ...]]:
        names = tuple(self.frame.columns)
        if block[1] * len(names) <= TINY:
            return [names]
        each = -(-len(names) // CELLS)
        return [names[start : start + each] for start in range(0, len(names), each)]


def _blocks(table: _Table, parts: Sequence[Part]) -> list[Block]:
    """Cut the table where its rows were cut before, so that equal blocks meet: from the front as long as they are
    alike, then from the end; what is between (rows that came or went) is cut anew."""
    if any(part.deleted is not None or not all(cell.content for cell in part.cells) for part in parts):
        parts = ()
    height = table.frame.height
    if height == sum(part.rows for part in parts) and all(part.rows <= MOST for part in parts):
        return _from(0, [part.rows for part in parts])
    front = 0
    head = _from(0, [part.rows for part in parts])
    table.hash([block for block in head if sum(block) <= height])
    while front < len(parts) and sum(head[front]) <= height and table.like(head[front], parts[front]):
        front += 1
    size = _size(height)
    if front and head[front - 1][1] < size // 2:
        front -= 1  # a short last block grows with the table
    start = sum(head[front - 1]) if front else 0
    back, end = len(parts), height
    while back > front:
        block = (end - parts[back - 1].rows, parts[back - 1].rows)
        if block[0] < start or not table.like(block, parts[back - 1]):
            break
        back, end = back - 1, block[0]
    return [*head[:front], *_even(start, end, size), *_from(end, [part.rows for part in parts[back:]])]


def _from(start: int, sizes: Sequence[int]) -> list[Block]:
    blocks = []
    for rows in sizes:
        blocks.append((start, rows))
        start += rows
    return blocks


def _even(start: int, end: int, size: int) -> list[Block]:
    """Cut rows into blocks of about a size, none of them short."""
    count = max(1, round((end - start) / size))
    edges = [start + (end - start) * number // count for number in range(count + 1)]
    return [(first, after - first) for first, after in pairwise(edges) if after > first]


def _size(height: int) -> int:
    return height if height < FEWEST else min(MOST, -(-height // BLOCKS))
