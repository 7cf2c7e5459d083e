"""One sheet of an Excel file (.xlsx) to a frame of text. Pure.

Such a file is a zip of XML, so it is looked through before it is read: what it says it unpacks to, what it does unpack
to, and how large a table its cells span. Two cells in opposite corners would make a table of 17 billion.

Everything comes as text, as from CSV: a reader that guesses a column's type from its first cells makes missing values
of the others. A date is written 2013-01-31, a time 2013-01-31 12:00:00; a cell with an error (#N/A) is a missing value.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator

from ...ground.core.errors import ExtraMissing
from ...ground.core.later import polars as pl
from .csv_text import check_names

MOST_BYTES, FREE, RATIO = 2**30, 2**26, 300
"""Of what the file unpacks to; FREE bytes may be packed however well."""
MOST_CELLS = 20_000_000
MOST_ENTRIES = 10_000
_CELL = re.compile(rb"<(?:\w{1,9}:)?(?:c|row)\s[^>]{0,300}?\br\s*=\s*[\"']([A-Za-z]{0,3})([0-9]{1,7})")
_ANY_CELL = re.compile(rb"<(?:\w{1,9}:)?c[\s/>]")
_MIDNIGHT = r"^(\d{4}-\d{2}-\d{2}) 00:00:00$"


def sheet(data: bytes, name: str | None) -> pl.DataFrame:
    """Return the rows of a sheet, the first if no name is given; its first row names the columns.

    Raises ValueError for what cannot be read, ExtraMissing without the extra `excel`.
    """
    try:
        import fastexcel  # noqa: PLC0415 - optional
    except ImportError as error:
        hint = 'pip install "modelloop[excel]"'
        raise ExtraMissing("Excel files are read by fastexcel, which is not installed.", hint=hint) from error
    look_through(data)
    try:
        book = fastexcel.read_excel(data)
        if name is not None and name not in book.sheet_names:
            raise ValueError(f"it has no sheet {name[:80]!r}; it has {', '.join(book.sheet_names[:20])}")
        chosen = name if name is not None else 0
        cells = book.load_sheet(chosen, header_row=None, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        told = str(error).partition("\n")[0]
        raise ValueError(told or "it is no Excel file") from error
    return _table(cells)


def _table(cells: pl.DataFrame) -> pl.DataFrame:
    """Return the rows below the first, under its names; empty rows and columns are none."""
    cells = cells.select(column for column in cells if column.null_count() < len(column))
    if not cells.width:
        raise ValueError("the sheet is empty; expected the names of the columns in its first row")
    names = cells.row(0)
    for number, name in enumerate(names, start=1):
        if name is None:
            raise ValueError(f"its column {number} has values and no name in the first row of the sheet")
    check_names(list(names))
    rows = cells.slice(1).rename(dict(zip(cells.columns, names, strict=True)))
    rows = rows.filter(~pl.all_horizontal(pl.all().is_null()))
    return rows.with_columns(pl.all().str.replace(_MIDNIGHT, "${1}"))


def look_through(data: bytes) -> None:
    """Raise ValueError unless the file is a zip that unpacks to a table of sensible size."""
    if not data.startswith(b"PK"):
        raise ValueError("it is no .xlsx file; save other spreadsheets as .xlsx")
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, struct.error, EOFError) as error:
        raise ValueError(f"its zip is damaged or cut off ({error})") from error
    declared = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"it has {len(entries):,} files inside; at most {MOST_ENTRIES:,} are read")
    _check_size(declared, len(data))
    made = 0
    for entry in entries:
        span = _Span() if "/worksheets/" in f"/{entry.filename}" else None
        for piece in _inflated(data, entry):
            made += len(piece)
            _check_size(made, len(data))
            if span is not None:
                span.add(piece)


def _check_size(made: int, packed: int) -> None:
    if made > MOST_BYTES or (made > FREE and made > packed * RATIO):
        raise ValueError(f"its {packed:,} bytes unpack to {made:,} or more: a zip bomb, or save it as CSV")


def _inflated(data: bytes, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack one entry as far as it goes, whatever it says of its size."""
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", data[entry.header_offset + 26 :][:4].ljust(4, b"\0")))
    packed = data[start : start + entry.compress_size]
    if entry.compress_type == zipfile.ZIP_STORED:
        yield packed
        return
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{entry.filename[:80]!r} in it is packed in a way that Excel does not use")
    unpacker = zlib.decompressobj(-15)
    while packed and not unpacker.eof:
        try:
            piece = unpacker.decompress(packed, 2**20)
        except zlib.error as error:
            raise ValueError(f"{entry.filename[:80]!r} in it is damaged ({error})") from error
        packed = unpacker.unconsumed_tail
        yield piece


class _Span:
    """The rectangle that the cells of a sheet span."""

    def __init__(self) -> None:
        self._rest = b""
        self._cells = 0
        self._columns: set[bytes] = set()
        self._low, self._high = 2**31, 0

    def add(self, piece: bytes) -> None:
        """Look at some more XML; raises ValueError once the rectangle is too large."""
        text = self._rest + piece
        self._rest = text[-400:]
        self._cells += len(_ANY_CELL.findall(piece))
        found = _CELL.findall(text)
        self._columns.update({letters for letters, _ in found})
        rows = [int(digits) for digits in {digits for _, digits in found}]
        self._low, self._high = min([self._low, *rows]), max([self._high, *rows])
        widths = [_column(letters) for letters in self._columns if letters]
        area = (max(widths) - min(widths) + 1) * (self._high - self._low + 1) if widths else 0
        if max(area, self._cells) > MOST_CELLS:
            said = f"{max(area, self._cells):,} cells; at most {MOST_CELLS:,} are read"
            raise ValueError(f"its cells span {said}; delete stray cells or save it as CSV")


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
