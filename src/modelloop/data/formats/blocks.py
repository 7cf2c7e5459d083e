"""Bytes on their way to becoming rows: unpacked within limits, decoded, and never more than a block at a time. Pure."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterable, Iterator

BLOCK = 2**24
"""16 MiB of text; a frame made of it takes at most sixteen times as much."""
GUNZIP = 31
"""zlib's word for the gzip format."""
FREE = 2**26
"""Up to so many unpacked bytes nobody asks how well they were packed."""
RATIO = 200
"""More often than this no table repeats itself; gzip can do 1,032."""
MOST_UNPACKED = 2**36


def blocks_of(data: bytes) -> Iterator[bytes]:
    """Cut bytes that are in memory into blocks."""
    for start in range(0, len(data), BLOCK):
        yield data[start : start + BLOCK]


def unpacked(blocks: Iterable[bytes], most: int = MOST_UNPACKED) -> Iterator[bytes]:
    """Unpack gzip, member by member; raises ValueError where it is damaged, cut off, or a bomb."""
    unpacker, packed, made = zlib.decompressobj(GUNZIP), 0, 0
    began = False
    for block in blocks:
        packed += len(block)
        rest = block
        while rest:
            began = True
            try:
                made_now = unpacker.decompress(rest, BLOCK)
            except zlib.error as error:
                raise ValueError(f"it is no sound gzip ({error})") from error
            rest = unpacker.unconsumed_tail
            made += len(made_now)
            _check_bomb(packed, made, most)
            if made_now:
                yield made_now
            if unpacker.eof:
                rest = unpacker.unused_data.lstrip(b"\0")
                unpacker, began = zlib.decompressobj(GUNZIP), False
    if began or not packed:
        raise ValueError("it is cut off: the gzip has no end")


def _check_bomb(packed: int, made: int, most: int) -> None:
    if made > most:
        raise ValueError(f"unpacked it is more than {most:,} bytes")
    if made > FREE and made > packed * RATIO:
        raise ValueError(f"{packed:,} bytes unpack to more than {made:,}: a zip bomb, or unpack it yourself")


def decoded(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Return the text as UTF-8 without a mark; raises ValueError, with the line, where it is of another encoding."""
    name = text_encoding(encoding)
    if name is None:
        raise ValueError(f"no encoding of text is called {encoding[:40]!r}")
    return _checked(blocks) if name in ("utf-8", "utf-8-sig") else _translated(blocks, encoding)


def text_encoding(encoding: str) -> str | None:
    """Return what Python calls an encoding of text; None if there is none of that name."""
    try:
        codecs.getincrementaldecoder(encoding)
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        return None


def _translated(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    for block, last in _with_last(blocks):
        for start in range(0, len(block) or 1, 2**20):
            piece = block[start : start + 2**20]
            try:
                text = decoder.decode(piece, final=last and start + 2**20 >= len(block))
            except (UnicodeError, AssertionError) as error:
                raise ValueError(f"after line {line} it is not {encoding} ({_reason(error)})") from error
            line += text.count("\n")
            if text:
                yield text.encode("utf-8", "surrogatepass")


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, UnicodeDecodeError) else str(error)


def _checked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Let UTF-8 pass: what else it may be would have to be guessed."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    line, first = 1, True
    for block, last in _with_last(blocks):
        if first and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError('it is UTF-16; expected UTF-8 (encoding = "utf-16" reads it)')
        line = _check_utf8(decoder, block, line, last=last)
        yield block.removeprefix(codecs.BOM_UTF8) if first else block
        first = False


def _check_utf8(decoder: codecs.IncrementalDecoder, block: bytes, line: int, *, last: bool) -> int:
    """Return the line that the next block begins in."""
    waiting = decoder.getstate()[0]
    if waiting or not block.isascii():
        for start in range(0, len(block) or 1, 2**20):
            piece = block[start : start + 2**20]
            held = decoder.getstate()[0]
            try:
                decoder.decode(piece, final=last and start + 2**20 >= len(block))
            except UnicodeDecodeError as error:
                byte = (held + piece)[error.start]
                before = line + block.count(b"\n", 0, start) + piece.count(b"\n", 0, max(error.start - len(held), 0))
                said = f"line {before} has the byte 0x{byte:02x}, which is not UTF-8"
                raise ValueError(f"{said}; for another encoding set `encoding`") from error
    return line + block.count(b"\n")


def _with_last(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Say of each block whether it is the last; an empty one ends what has none."""
    before: bytes | None = None
    for block in blocks:
        if before is not None:
            yield before, False
        before = block
    yield before or b"", True
