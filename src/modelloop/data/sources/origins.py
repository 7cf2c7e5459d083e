"""What is wrong with a source in itself: settings that its kind needs, or does not look at. Pure, and light to import.

A setting that could not be read is UNREADABLE and passed over: it is reported already. A mistake never repeats what may
be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from ...ground.core.errors import InvalidInput
from ...ground.core.toml import UNREADABLE
from ..formats.blocks import text_encoding
from ..mistakes import Wrong
from ..settings import Format, Mode, SourceKind, SourceSettings
from .query import secret_in, split, statement_of

_READ = ("format", "sheet", "separator", "encoding")
_NEEDS: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.FILES: ("path",),
    SourceKind.SQL: ("url", "query"),
    SourceKind.OBJECTS: ("url",),
    SourceKind.HTTP: ("url",),
    SourceKind.DATASET: ("of",),
}
_MAY: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.FILES: _READ,
    SourceKind.SQL: ("cursor", "secrets"),
    SourceKind.OBJECTS: (*_READ, "secrets", "max_bytes"),
    SourceKind.HTTP: (*_READ, "secrets", "max_bytes", "private_network"),
    SourceKind.DATASET: ("cursor",),
}
_OF_FORMAT = {"sheet": Format.EXCEL, "separator": Format.CSV, "encoding": Format.CSV}
_SCHEMES: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.SQL: ("sqlite", "postgresql", "postgres"),
    SourceKind.OBJECTS: ("s3", "gs", "az", "file"),
    SourceKind.HTTP: ("https", "http"),
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def source_mistakes(source: SourceSettings, given: Callable[[str], bool]) -> Iterator[Wrong]:
    """Yield what is wrong; `given` says whether the file itself has a setting."""
    if source.kind is UNREADABLE:
        return
    yield from _uses(source, given)
    yield from _url(source)
    if source.kind is SourceKind.SQL and _there(source.query):
        yield from _query(source.query or "")
    if _there(source.encoding) and text_encoding(source.encoding) is None:
        yield Wrong(("encoding",), f'"{source.encoding[:40]}"', "an encoding of text that Python knows: utf-8, cp1252")
    rows = source.kind in (SourceKind.SQL, SourceKind.DATASET)
    if rows and source.mode is Mode.APPEND and source.cursor is None:
        hint = "all rows come each time: replace takes them as the whole table, merge those with a key"
        yield Wrong(("mode",), '"append" without a cursor', 'cursor = "COLUMN", or mode "replace" or "merge"', hint)
    if _there(source.secrets):
        yield from _secrets(source.secrets)


def _there(value: object) -> bool:
    return value is not None and value is not UNREADABLE


def _uses(source: SourceSettings, given: Callable[[str], bool]) -> Iterator[Wrong]:
    kind = source.kind
    for name in _NEEDS[kind]:
        value = getattr(source, name)
        if value is None or value == "":
            found = "nothing" if value is None else '""'
            yield Wrong((name,), found, f'a value (a source of kind "{kind}" needs one)')
    wanted = {*_NEEDS[kind], *_MAY[kind]}
    others = {name for table in (_NEEDS, _MAY) for names in table.values() for name in names} - wanted
    for name in sorted(others):
        if given(name):
            yield Wrong((name,), f'a setting that "{kind}" does not use', f"with it: {', '.join(sorted(wanted))}")
    for name, form in _OF_FORMAT.items():
        if name in wanted and given(name) and source.format is not UNREADABLE and source.format is not form:
            yield Wrong((name,), f'a setting that format "{source.format}" does not use', f'format = "{form}"')


def _url(source: SourceSettings) -> Iterator[Wrong]:
    if source.kind not in _SCHEMES or not _there(source.url) or not source.url:
        return
    found = secret_in(source.url)
    if found:
        hint = 'this file is shown and shared; write secrets = { password = "NAME_OF_A_VARIABLE" }'
        yield Wrong(("url",), f"an address with {found} in it", "an address without, and `secrets`", hint)
        return
    schemes = _SCHEMES[source.kind]
    try:
        scheme = split(source.url).scheme
    except InvalidInput:
        scheme = ""
    if scheme not in schemes:
        allowed = ", ".join(f"{one}://" for one in schemes)
        yield Wrong(("url",), f'"{scheme}:"' if scheme else "no address", f"one that begins with {allowed}")


def _query(query: str) -> Iterator[Wrong]:
    try:
        statement_of(query)
    except InvalidInput as error:
        yield Wrong(("query",), "a query that cannot be asked", "one SELECT", error.message)


def _secrets(secrets: Mapping[str, str]) -> Iterator[Wrong]:
    for what, name in secrets.items():
        if _there(name) and not _NAME.fullmatch(name):
            hint = "the value itself belongs into the environment or .modelloop/secrets/sources.toml"
            yield Wrong(("secrets", what), "something that is no name", "the NAME of a variable", hint)
