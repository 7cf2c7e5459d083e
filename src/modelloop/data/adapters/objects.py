"""Objects of a bucket (S3, GCS, Azure, or a folder as one): those under a prefix, as files of a folder that grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from ...ground.core.errors import InvalidInput, ModelloopError, StoreUnavailable
from ..formats.parse import Written
from ..records import Taken
from ..sources.query import secret_in, split
from ..sources.secrets import Credentials
from .copies import Folder, changed, fetched, too_large
from .files import ENDINGS, read_files
from .items import Asked, Item, Reading

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

MOST_OBJECTS = 100_000
_PIECE = 2**23
_SCHEMES = ("s3", "gs", "az", "file")


def read_objects(asked: Asked) -> Reading:
    """Return the objects that are not known, in name order; each is fetched before this returns.

    An object whose size and time of change are those of a known one is not fetched again.
    """
    url = asked.source.url or ""
    if url.startswith("file:"):
        return read_files(replace(asked, source=replace(asked.source, path=unquote(split(url).path))))
    credentials = asked.secrets.of(asked.name, asked.source.secrets)
    error: ModelloopError
    try:
        store = _open(url, credentials)
        return Reading(list(_items(asked, store)))
    except (BaseError, OSError, ValueError, TypeError) as failed:
        told = re.sub(r"\s+", " ", credentials.redacted(str(failed))).strip().rstrip(".")[:300]
        error = StoreUnavailable(
            f"The source {asked.name!r} cannot be read from its bucket: {told}.",
            hint="Does it answer, are the keys right, may they list and read the prefix?",
        )
    raise error


def _open(url: str, credentials: Credentials) -> ObjectStore:
    parts = split(url)
    found = secret_in(url)
    if found or parts.username:
        raise InvalidInput(f"The url of a bucket holds {found or 'a user'}; give keys by `secrets`.")
    if parts.scheme not in _SCHEMES:
        raise InvalidInput(f"{parts.scheme!r} is no kind of bucket; expected {', '.join(_SCHEMES)}.")
    config: Any = dict(parse_qsl(parts.query)) | credentials.all()
    client: ClientConfig = {"connect_timeout": "5s", "timeout": "60s"}
    if config.pop("allow_http", "") == "true":
        client["allow_http"] = True
    retry: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
    plain = f"{parts.scheme}://{parts.netloc}{parts.path}"
    store: ObjectStore = from_url(plain, config=config or None, client_options=client, retry_config=retry)
    return store


def _items(asked: Asked, store: ObjectStore) -> Iterator[Item]:
    folder = Folder()
    for name, meta in _listed(asked, store):
        modified = int(meta["last_modified"].timestamp() * 1_000_000) * 1000
        if asked.looks_known(name, meta["size"], modified):
            continue
        item = _item(asked, store, meta, Taken(name, "", meta["size"], modified), folder)
        if not asked.knows(item.taken):
            yield item


def _listed(asked: Asked, store: ObjectStore) -> list[tuple[str, Any]]:
    endings = ENDINGS[asked.source.format]
    found = []
    for batch in store.list():
        for meta in batch:
            name = meta["path"]
            finished = not any(part.startswith((".", "_")) for part in name.split("/"))
            if finished and name.isprintable() and name.lower().endswith(endings):
                found.append((name, meta))
        if len(found) > MOST_OBJECTS:
            raise ValueError(f"there are more than {MOST_OBJECTS:,} objects under the prefix; use a longer one")
    return sorted(found, key=lambda one: one[0])


def _item(asked: Asked, store: ObjectStore, meta: Any, taken: Taken, folder: Folder) -> Item:
    """Fetch an object, the very one that was listed."""
    if taken.size > asked.source.max_bytes:
        raise too_large(taken.name, asked.source.max_bytes)
    try:
        got = store.get(taken.name)
    except FileNotFoundError:
        raise changed(taken.name) from None
    if (got.meta["size"], got.meta["e_tag"]) != (meta["size"], meta["e_tag"]):
        raise changed(taken.name)
    copy = fetched(
        (bytes(piece) for piece in got.stream(min_chunk_size=_PIECE)), asked.source.max_bytes, taken.name, folder
    )
    if copy.size != taken.size:
        raise changed(taken.name)
    known = Taken(taken.name, copy.content, taken.size, taken.modified)
    return Item(known.name, known, copy.frames(known, Written.of(asked.source)))
