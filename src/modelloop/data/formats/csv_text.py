"""CSV text to frames, block by block: all values are text, and every line has as many fields as the header. Pure.

Polars reads; what it would let pass is counted here: a line with too few fields, a name that stands twice, a quote that
is never closed. Counting is what makes blocks possible too: a block ends where a record ends.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...ground.core.later import numpy as np
from ...ground.core.later import polars as pl

LONGEST = 2**26
"""Bytes of a record; more is a quote that was opened and never closed."""
MOST_COLUMNS = 20_000
MOST_CELLS = 2**22
"""About so many values are made a frame at once."""
_NEWLINE, _QUOTE = 10, 34


@dataclass(frozen=True, slots=True)
class _Counted:
    """What stands outside of quotes in some text, up to the end of its last whole record."""

    end: int
    records: int
    separators: int


def csv_frames(blocks: Iterable[bytes], separator: str) -> Iterator[pl.DataFrame]:
    """Yield frames of text columns, at least one; raises ValueError, with the line, for what is not a table."""
    mark, names, header, line = separator.encode(), list[str](), b"", 1
    found = False
    if len(mark) != 1:
        raise ValueError(f"the separator {separator!r} is not a single ASCII character")
    for text, counted in _records(_thinned(blocks, mark), mark):
        body, above = text, _Counted(0, 0, 0)
        if not names:
            header, body, names = _header(text, separator)
            above = _Counted(len(header), 1, len(names) - 1)
            line += header.count(b"\n")
        if body:
            found = True
            rows = _Counted(len(body), counted.records - above.records, counted.separators - above.separators)
            yield _frame(header + body, rows, names, separator, line)
        line += body.count(b"\n")
    if not names:
        raise ValueError("empty CSV: it has no header")
    if not found:
        yield pl.DataFrame(schema=dict.fromkeys(names, pl.String))


def _thinned(blocks: Iterable[bytes], mark: bytes) -> Iterator[bytes]:
    """Cut blocks of very short values: a value takes 16 bytes as text in a frame, however short it is."""
    for block in blocks:
        pieces = 1 + (block.count(mark) + block.count(b"\n")) // MOST_CELLS
        size = max(1, -(-len(block) // pieces))
        yield from (block[start : start + size] for start in range(0, len(block), size))


def _records(blocks: Iterable[bytes], mark: bytes) -> Iterator[tuple[bytes, _Counted]]:
    """Cut text where a record ends. Empty lines wait: at the end of a file they mean nothing."""
    rest, line = b"", 1
    for block in blocks:
        text = rest + block
        counted = _count(text, mark)
        body = text[: counted.end].rstrip(b"\r\n")
        end = counted.end if not body else min(_line_end(text, len(body)), counted.end)
        if body:
            trailing = text.count(b"\n", end, counted.end)
            yield text[:end], _Counted(end, counted.records - trailing, counted.separators)
            line += text.count(b"\n", 0, end)
            rest = text[end:]
        else:
            rest = text
        if len(rest) > LONGEST:
            raise ValueError(f"line {line} begins a record of more than {LONGEST:,} bytes; is a quote never closed?")
    if rest.strip(b"\r\n"):
        counted = _count(rest + b"\n", mark)
        if counted.end != len(rest) + 1:
            raise ValueError(f"line {_opened(rest, line)} opens a quote that is never closed")
        yield rest.rstrip(b"\r\n") + b"\n", _Counted(len(rest), counted.records - _blanks(rest), counted.separators)


def _blanks(rest: bytes) -> int:
    """Return how many line ends follow the last record but its own."""
    return rest[len(rest.rstrip(b"\r\n")) :].count(b"\n")


def _line_end(text: bytes, start: int) -> int:
    return text.index(b"\n", start) + 1


def _count(text: bytes, mark: bytes) -> _Counted:
    if b'"' not in text:
        end = text.rfind(b"\n") + 1
        return _Counted(end, text.count(b"\n", 0, end), text.count(mark, 0, end))
    letters = np.frombuffer(text, np.uint8)
    inside = np.cumsum(letters == _QUOTE, dtype=np.uint8) & 1
    ends = np.flatnonzero((letters == _NEWLINE) & (inside == 0))
    end = int(ends[-1]) + 1 if len(ends) else 0
    separators = np.count_nonzero((letters[:end] == mark[0]) & (inside[:end] == 0))
    return _Counted(end, len(ends), int(separators))


def _header(text: bytes, separator: str) -> tuple[bytes, bytes, list[str]]:
    """Return the header, what follows it, and the names in it."""
    lines = csv.reader(io.StringIO(text[:LONGEST].decode("utf-8", "replace"), newline=""), delimiter=separator)
    try:
        names = next(lines, [])
    except csv.Error as error:
        raise ValueError(f"the header cannot be read: {error}") from error
    end = 0
    for _ in range(lines.line_num):
        end = _line_end(text, end)
    header = text[:end]
    if b"\0" in header:
        raise ValueError("its header has NUL bytes: it is no text, or UTF-16")
    if b"\r" in header.rstrip(b"\r\n"):
        raise ValueError("its lines end with CR alone; expected LF or CRLF")
    if not names:
        raise ValueError("its first line is empty; expected the names of the columns")
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"it has {len(names):,} columns; at most {MOST_COLUMNS:,} are read")
    check_names(names)
    return header, text[end:], names


def check_names(names: list[str]) -> None:
    """Raise ValueError if a name stands twice: which column is meant cannot be known."""
    if len(set(names)) == len(names):
        return
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if name in seen:
            raise ValueError(f"the name {name[:80]!r} stands in the header twice, as columns {seen[name]} and {number}")
        seen[name] = number


def _frame(text: bytes, counted: _Counted, names: list[str], separator: str, line: int) -> pl.DataFrame:
    """Read a block, its header before it; `line` is that of its first record."""
    try:
        frame = pl.read_csv(text, infer_schema=False, separator=separator, schema=dict.fromkeys(names, pl.String))
    except pl.exceptions.PolarsError as error:
        told = ragged(text, separator, line)
        if told:
            raise ValueError(told) from error
        raise
    if counted.separators != counted.records * (len(names) - 1) or len(frame) != counted.records:
        unclear = f"from line {line} on quotes stand inside of values, so that rows cannot be told apart"
        raise ValueError(ragged(text, separator, line) or unclear)
    return frame


def ragged(text: bytes, separator: str, line: int) -> str:
    """Say which line has not as many fields as the header that the text begins with."""
    lines = csv.reader(io.StringIO(text.decode("utf-8", "replace"), newline=""), delimiter=separator)
    try:
        header = next(lines, [])
        above = line - lines.line_num - 1
        last = lines.line_num
        for fields in lines:
            if len(fields) != len(header):
                said = f"{len(fields)} field{'s' * (len(fields) != 1)}" if fields else "is empty"
                return f"line {above + last + 1} {'has ' * bool(fields)}{said}, the header has {len(header)}"
            last = lines.line_num
    except csv.Error as error:
        return f"line {above + last + 1}: {error}"
    return ""


def _opened(rest: bytes, line: int) -> int:
    """Return the line of the last quote that is open: where to begin to look."""
    letters = np.frombuffer(rest, np.uint8)
    quotes = np.flatnonzero(letters == _QUOTE)
    return line + rest.count(b"\n", 0, int(quotes[-1]) if len(quotes) else 0)
