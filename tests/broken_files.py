"""A corpus of broken files: name -> what a source may find in its folder, and what must be said of it.

Every one must be refused with its name and a reason, quickly and in bounded memory. `build` writes them as a tree.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from modelloop.data.settings import Format

LIE = 2**27 + 0x345678


@dataclass(frozen=True)
class Broken:
    """A file that no source may take in. `said` is part of the reason."""

    name: str
    format: Format
    data: bytes
    said: str
    encoding: str = "utf-8"


@cache
def broken_files() -> list[Broken]:
    """Return the corpus; the largest is 1 MB, whatever it unpacks to."""
    return [*_csv(), *_packed(), *_json(), *_parquet(), *_excel()]


def build(folder: Path) -> dict[str, Path]:
    """Write each file into a folder of its own, beside nothing else, and return these by name."""
    made = {}
    for one in broken_files():
        place = folder / one.name.replace(".", "-")
        place.mkdir(parents=True)
        (place / one.name).write_bytes(one.data)
        made[one.name] = place
    return made


def _csv() -> Iterator[Broken]:
    def csv(name: str, data: bytes, said: str, encoding: str = "utf-8") -> Broken:
        return Broken(f"{name}.csv", Format.CSV, data, said, encoding)

    yield csv("empty", b"", "empty CSV")
    yield csv("blank", b"\n\n\n", "empty CSV")
    yield csv("long-row", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header has 2")
    yield csv("short-row", b"a,b\n1,2\n1\n3,4\n", "line 3 has 1 field, the header has 2")
    yield csv("empty-line", b"a,b\n1,2\n\n3,4\n", "line 3 is empty")
    yield csv("same-names", b"a,b,a\n1,2,3\n", "'a' stands in the header twice, as columns 1 and 3")
    yield csv("open-quote", b'a,b\n1,"2\n3,4\n', "line 2 opens a quote that is never closed")
    yield csv("stray-quote", b'a,b\n1,2"\n3,4\n', "quote")
    yield csv("after-quote", b'a,b\n"1"x,2\n', '"1"x')
    yield csv("latin", "a,b\n1,2\né,3\n".encode("latin-1"), "line 3 has the byte 0xe9, which is not UTF-8")
    yield csv("half-character", b"a,b\n1,\xe2\x82", "line 2 has the byte 0xe2")
    yield csv("mixed", "a,b\né,1\n".encode() + "é,2\n".encode("latin-1"), "line 3 has the byte 0xe9")
    yield csv("utf-16", "a,b\n1,2\n".encode("utf-16"), "it is UTF-16")
    yield csv("utf-16-unmarked", "a,b\n1,2\n".encode("utf-16-le"), "NUL bytes")
    yield csv("not-ascii", "a\né\n".encode(), "it is not ascii", "ascii")
    yield csv("zeros", bytes(4096), "NUL bytes")
    yield csv("carriage-returns", b"a,b\r1,2\r3,4\r", "CR alone")
    yield csv("too-many-columns", ",".join(f"c{n}" for n in range(30_000)).encode() + b"\n", "30,000 columns")
    yield csv("picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "which is not UTF-8")


def _packed() -> Iterator[Broken]:
    rows = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    yield Broken("cut.csv.gz", Format.CSV, rows[:-12], "cut off")
    yield Broken("plain.csv.gz", Format.CSV, b"a,b\n1,2\n", "no sound gzip")
    yield Broken("wrong-sum.csv.gz", Format.CSV, rows[:-8] + bytes(4) + rows[-4:], "no sound gzip")
    yield Broken("bomb.csv.gz", Format.CSV, _gzip_bomb(b"a,b\n", b"1,2\n", 2**26 + 2**24), "zip bomb")
    yield Broken("bomb-of-one-line.csv.gz", Format.CSV, _gzip_bomb(b"a", b"a", 2**28), "zip bomb")
    yield Broken("bomb.jsonl.gz", Format.JSONL, _gzip_bomb(b"", b"[" * 64, 2**28), "zip bomb")


def _gzip_bomb(first: bytes, repeated: bytes, size: int) -> bytes:
    """Return a sound gzip file. One block is packed, and its packed form stands there as often as it takes."""
    block = repeated * (2**20 // len(repeated))
    count = size // len(block)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(first)
    for _ in range(count):
        check = zlib.crc32(block, check)
    trailer = struct.pack("<II", check, len(first) + count * len(block))
    return gzip.compress(b"")[:10] + head + packed * count + packer.flush() + trailer


def _json() -> Iterator[Broken]:
    def lines(name: str, data: bytes, said: str) -> Broken:
        return Broken(f"{name}.jsonl", Format.JSONL, data, said)

    yield lines("nothing", b"", "no rows")
    yield lines("cut", b'{"a": 1}\n{"a": ', "line 2 is not JSON")
    yield lines("array", b'[{"a": 1}]\n', "line 1 is not a JSON object")
    yield lines("pretty", b'{\n  "a": 1\n}\n', "line 1 is not JSON")
    yield lines("nameless", b"{}\n{}\n", "no names")
    yield lines("deep", b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply")
    yield lines("half-surrogate", b'{"a": "\\ud800"}', "half a character")
    yield lines("names-as-values", b"\n".join(b'{"k%d": 1}' % n for n in range(25_000)), "more than 20,000 names")
    yield lines("latin", b'{"a": "\xe9"}', "line 1 has the byte 0xe9")


def parquet(rows: int = 1000) -> bytes:
    """Return a sound Parquet file."""
    buffer = io.BytesIO()
    pl.DataFrame({"a": range(rows), "b": [f"value {n % 7}" for n in range(rows)]}).write_parquet(buffer)
    return buffer.getvalue()


def _parquet() -> Iterator[Broken]:
    sound = parquet()

    def table(name: str, data: bytes, said: str = "cannot be read as parquet") -> Broken:
        return Broken(f"{name}.parquet", Format.PARQUET, data, said)

    yield table("empty", b"")
    yield table("cut-behind", sound[: len(sound) // 2])
    yield table("cut-before", sound[len(sound) // 2 :])
    yield table("only-marks", b"PAR1PAR1")
    yield table("text", b"a,b\n1,2\n")
    yield table("footer-too-long", sound[:-8] + b"\xff\xff\xff\x7fPAR1")
    yield table("damaged-page", sound[:40] + bytes(200) + sound[240:])
    yield table("damaged-footer", sound[:-60] + b"\xff" * 40 + sound[-20:])


def xlsx(sheets: dict[str, list[list[object]]], extra: bytes = b"") -> bytes:
    """Return an Excel file; `extra` is put behind the last row of each sheet as it is."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    names = list(sheets)
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(names, 1))
    related = "".join(
        f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(names) + 1)
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{related}</Relationships>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
        for number, rows in enumerate(sheets.values(), 1):
            body = "".join(_row(place, row) for place, row in enumerate(rows, 1)).encode() + extra
            head = f'<?xml version="1.0"?><worksheet xmlns="{main}"><sheetData>'.encode()
            archive.writestr(f"xl/worksheets/sheet{number}.xml", head + body + b"</sheetData></worksheet>")
    return buffer.getvalue()


def _row(place: int, row: list[object]) -> str:
    return f'<row r="{place}">{"".join(_cell(n, place, value) for n, value in enumerate(row))}</row>'


def _cell(column: int, row: int, value: object) -> str:
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f'<c r="{letters}{row}"><v>{value}</v></c>'
    text = str(value).replace("&", "&amp;").replace("<", "&lt;")
    return f'<c r="{letters}{row}" t="inlineStr"><is><t>{text}</t></is></c>'


def _excel() -> Iterator[Broken]:
    sound = xlsx({"One": [["a", "b"], [1, 2]]})
    corner = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'

    def book(name: str, data: bytes, said: str) -> Broken:
        return Broken(f"{name}.xlsx", Format.EXCEL, data, said)

    yield book("empty-sheet", xlsx({"One": []}), "sheet is empty")
    yield book("same-names", xlsx({"One": [["a", "a"], [1, 2]]}), "stands in the header twice")
    yield book("nameless", xlsx({"One": [["a", None], [1, 2]]}), "column 2 has values and no name")
    yield book("cut", sound[: len(sound) // 2], "zip is damaged or cut off")
    yield book("old", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "no .xlsx file")
    yield book("corners", xlsx({"One": [["a", "b"], [1, 2]]}, corner), "17,179,869,184 cells")
    yield book("other-zip", _zip({"readme.txt": b"no sheet"}), "cannot be read as excel")
    yield book("bomb", _zip({"xl/worksheets/sheet1.xml": bytes(2**27)}), "zip bomb")
    yield book("bomb-that-lies", _lying(_zip({"xl/worksheets/sheet1.xml": bytes(LIE)}), LIE), "zip bomb")


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _lying(data: bytes, size: int) -> bytes:
    """Say of what unpacks to `size` bytes that it is 100."""
    return data.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
