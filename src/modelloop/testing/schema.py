"""Stores whose schema is there at once: the migrations run once in a process, each new SQLite file is a copy."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import get_ident
from typing import Any

from ..ground.store.db import Database
from ..ground.store.migrate import migrate

ROOMS = (
    "data",
    "label",
    "prepare",
    "train",
    "train.studies",
    "train.tracking",
    "evaluate",
    "register",
    "deploy",
    "monitor",
    "retrain",
    "govern",
    "ground.catalogue",
    "ground.flow",
    "ground.pool",
)


@cache
def declare_tables() -> None:
    """Import the tables of every room that has some, so that the one metadata knows them all."""
    import_module("modelloop.ground.store.audit")
    for room in ROOMS:
        if find_spec(f"modelloop.{room}") and find_spec(f"modelloop.{room}.tables"):
            import_module(f"modelloop.{room}.tables")


def provide(db: Database) -> None:
    """Do what `migrate` does. A SQLite file that is not there yet becomes a copy: 2 ms of work in place of 90."""
    if db.is_sqlite and db.url.database and not Path(db.url.database).exists():
        _put(Path(db.url.database))
    migrate(db)


def _put(path: Path) -> None:
    """Write the copy whole, unless somebody was faster: then `migrate` waits for them."""
    made = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}.new")
    made.write_bytes(_migrated())
    try:
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink()


@cache
def _migrated() -> bytes:
    """Return the bytes of an empty store that the migrations made."""
    declare_tables()
    with tempfile.TemporaryDirectory(prefix="modelloop-schema-") as folder:
        db = Database(f"sqlite:///{folder}/facts.sqlite")
        try:
            migrate(db)
            with closing(db.driver()) as connection:
                driver: Any = connection.driver_connection
                found: bytes = driver.serialize()
        finally:
            db.close()
    return found
