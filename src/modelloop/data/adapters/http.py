"""A file behind an address: asked for only if it changed, from hosts that may be asked, and no more of it than allowed.

The connection goes to the very address that was looked up and checked, hop by hop: neither a name that resolves anew
nor a redirect leads into a private network. Credentials go to the host they are meant for, and not along a redirect.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin

import httpx

from ...ground.core.errors import AddressRefused, DataRefused, ModelloopError, StoreUnavailable
from ...ground.store.outward import Unresolved, outward
from ..formats.blocks import unpacked
from ..formats.parse import Written
from ..records import Taken
from ..settings import Mode
from ..sources.query import secret_in, split
from ..sources.secrets import Credentials
from .copies import Fetched, fetched
from .items import Asked, Item, Reading

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_PRIVATE = "Set private_network = true where the source may be in your own network."
SECONDS = 1800.0
"""That all of it may take."""
TRIES, HOPS = 4, 5
PAUSE = 0.5
"""Seconds before the second try; each further one waits twice as long."""
_AGAIN = (429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)


class _Failed(Exception):
    """It did not work, and may the next time."""


def read_http(asked: Asked) -> Reading:
    """Return what the address answers as one item; none if it answers that nothing changed, or what is known."""
    url = asked.source.url or ""
    found = secret_in(url)
    if found:
        raise AddressRefused(f"The url of the source {asked.name!r} holds {found}; use `secrets`.")
    credentials = asked.secrets.of(asked.name, asked.source.secrets)
    error: ModelloopError
    try:
        got = _fetch(asked, url, credentials)
    except (_Failed, httpx.HTTPError, httpx.InvalidURL) as failed:
        told = credentials.redacted(str(failed)).strip().rstrip(".") or type(failed).__name__
        error = StoreUnavailable(
            f"The source {asked.name!r} got no answer from {url}: {told[:300]}.",
            hint="It is asked again the next time.",
        )
    except ValueError as failed:
        error = DataRefused(
            f"The source {asked.name!r} got an answer that cannot be read: {credentials.redacted(str(failed))}."
        )
    else:
        return Reading([], asked.cursor) if got is None else _reading(asked, url, *got)
    raise error


def _reading(asked: Asked, url: str, copy: Fetched, cursor: dict[str, str] | None) -> Reading:
    source = asked.source
    name = unquote(PurePosixPath(split(url).path).name) or split(url).netloc
    shown = f"{copy.content[:8]}-{name}" if source.mode is Mode.APPEND else name
    taken = Taken(shown, copy.content, copy.size, 0)
    if asked.knows(taken):
        return Reading([], cursor)
    return Reading([Item(shown, taken, copy.frames(taken, Written.of(source)))], cursor)


def _fetch(asked: Asked, url: str, credentials: Credentials) -> tuple[Fetched, dict[str, str] | None] | None:
    """Ask up to TRIES times; None if nothing changed."""
    until = time.monotonic() + SECONDS
    for attempt in range(TRIES):
        try:
            return _ask(asked, url, credentials, until)
        except (_Failed, httpx.TransportError):
            pause = PAUSE * 2**attempt
            if attempt == TRIES - 1 or time.monotonic() + pause > until:
                raise
            time.sleep(pause)
    raise _Failed("it was not asked")


def _ask(
    asked: Asked, url: str, credentials: Credentials, until: float
) -> tuple[Fetched, dict[str, str] | None] | None:
    headers = _headers(asked, credentials)
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        for _ in range(HOPS):
            got = _hop(client, asked, url, headers, until=until)
            if not isinstance(got, str):
                return got
            url, headers = got, _headers_onward(asked, url, got, headers)
    raise DataRefused(f"The source {asked.name!r} is sent on more than {HOPS} times, last to {url[:200]}.")


def _hop(
    client: httpx.Client, asked: Asked, url: str, headers: dict[str, str], *, until: float
) -> tuple[Fetched, dict[str, str] | None] | str | None:
    """Return what is answered at one address, or the address that it sends on to."""
    with _answer(client, asked, url, headers) as answer:
        if answer.status_code in _REDIRECTS:
            return str(urljoin(url, answer.headers.get("location", "")))
        return _taken_in(asked, answer, until)


def _headers_onward(asked: Asked, url: str, onward: str, headers: dict[str, str]) -> dict[str, str]:
    """Return what is sent along a redirect: to another host nothing that it need not know."""
    if (split(url).scheme, split(onward).scheme) == ("https", "http"):
        raise AddressRefused(f"The source {asked.name!r} is sent on from https to {onward[:200]}, in the clear.")
    if _place(split(onward)) == _place(split(url)):
        return headers
    return {name: value for name, value in headers.items() if name in ("Accept", "Accept-Encoding")}


def _place(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port


def _headers(asked: Asked, credentials: Credentials) -> dict[str, str]:
    """Return what is sent along: who we are, and what we have."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    token, user, password = (credentials.get(what) for what in ("token", "user", "password"))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    elif user is not None or password is not None:
        headers["Authorization"] = httpx.BasicAuth(user or "", password or "")._auth_header
    for what, value in credentials.all().items():
        if what.startswith("header:"):
            headers[what.removeprefix("header:")] = value
    known = asked.cursor if isinstance(asked.cursor, dict) else {}
    for header, what in (("If-None-Match", "etag"), ("If-Modified-Since", "modified")):
        if what in known and known.get("url") == asked.source.url:
            headers[header] = known[what]
    return headers


@contextmanager
def _answer(client: httpx.Client, asked: Asked, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    try:
        place = outward(url, private=asked.source.private_network, hint=_PRIVATE)
    except Unresolved as error:
        raise _Failed(str(error)) from None
    extensions: dict[str, Any] = {"sni_hostname": place.name}
    with client.stream("GET", place.target, headers={**headers, "Host": place.host}, extensions=extensions) as answer:
        yield answer


def _taken_in(asked: Asked, answer: httpx.Response, until: float) -> tuple[Fetched, dict[str, str] | None] | None:
    if answer.status_code == 304:
        return None
    if answer.status_code in _AGAIN:
        raise _Failed(f"it answers {answer.status_code} {answer.reason_phrase}")
    if answer.status_code != 200:
        raise DataRefused(
            f"The source {asked.name!r} is answered {answer.status_code} {answer.reason_phrase} at {asked.source.url}.",
            hint="Is the address right, and may its token or user read it?",
        )
    pieces = _pieces(answer, until)
    packing = answer.headers.get("content-encoding", "identity").lower()
    if packing not in ("identity", "", "gzip"):
        raise DataRefused(f"The source {asked.name!r} is answered in {packing!r}, although it was not asked for.")
    most = asked.source.max_bytes
    name = f"The answer to the source {asked.name!r}"
    copy = fetched(unpacked(pieces, most) if packing == "gzip" else pieces, most, name)
    sent = answer.headers.get("content-length")
    if packing != "gzip" and sent is not None and sent.isdigit() and int(sent) != copy.size:
        raise _Failed(f"it sent {copy.size} of {sent} bytes")
    return copy, _cursor(asked, answer)


def _pieces(answer: httpx.Response, until: float) -> Iterator[bytes]:
    for piece in answer.iter_raw(2**20):
        if time.monotonic() > until:
            raise _Failed(f"it sends for longer than {SECONDS:g} seconds")
        yield piece


def _cursor(asked: Asked, answer: httpx.Response) -> dict[str, str] | None:
    said = {"etag": answer.headers.get("etag"), "modified": answer.headers.get("last-modified")}
    kept = {what: value for what, value in said.items() if value}
    return {"url": asked.source.url or "", **kept} if kept else None
