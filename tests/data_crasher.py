"""A process that carries out verbs of data and kills itself with SIGKILL just before its n-th effect on the outside.

`python data_crasher.py` imports everything once, then forks a child for each line of JSON it reads. An effect is a blob
that is put or removed, a transaction that is about to commit, and one that has committed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import polars as pl

from modelloop.data import actions
from modelloop.data.settings import (
    ColumnSettings,
    ColumnType,
    ContractSettings,
    Format,
    Mode,
    RetentionSettings,
    Severity,
    SourceSettings,
)
from modelloop.ground.core.errors import DataRefused
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.ground.store.db import Database
from modelloop.testing.fakes import declare_tables, make_context

CONTRACT = ContractSettings(
    {
        "id": ColumnSettings(ColumnType.INTEGER),
        "name": ColumnSettings(ColumnType.STRING),
        "x": ColumnSettings(ColumnType.FLOAT, min=0),
        "scan": ColumnSettings(ColumnType.BINARY, nullable=True),
    },
    key=("id",),
    on_violation=Severity.QUARANTINE,
    max_quarantined=0.5,
)
KEYLESS = ContractSettings(CONTRACT.columns, on_violation=Severity.QUARANTINE, max_quarantined=0.5)


Row = tuple[int, str, float, bytes]


def source(mode: Mode, dataset: str) -> SourceSettings:
    return SourceSettings(path=f"in-{dataset}", dataset=dataset, contract="rows", format=Format.PARQUET, mode=mode)


def put(folder: Path, dataset: str, name: str, *some: Row) -> None:
    place = folder / f"in-{dataset}"
    place.mkdir(exist_ok=True)
    pl.DataFrame(some, schema=["id", "name", "x", "scan"], orient="row").write_parquet(place / name)


def rows(first: int, last: int, x: float = 1.0) -> list[Row]:
    return [(n, f"person {n % 7}", x, b"picture %d" % (n % 3)) for n in range(first, last)]


class Verb:
    """What is there before, and the command that is killed."""

    def __init__(self, ctx: Context, folder: Path, dataset: str) -> None:
        self.ctx, self.folder, self.dataset = ctx, folder, dataset

    def put(self, name: str, *some: Row) -> None:
        put(self.folder, self.dataset, name, *some)

    def ingest(self, mode: Mode, contract: ContractSettings = CONTRACT, **more: Any) -> None:
        actions.ingest(self.ctx, f"feed-{self.dataset}", source(mode, self.dataset), contract, root=self.folder, **more)

    # append: with a row that is set aside

    def append_before(self) -> None:
        self.put("1.parquet", *rows(0, 20))
        self.ingest(Mode.APPEND)
        self.put("2.parquet", *rows(20, 40), (40, "bad", -1.0, b"picture of its own"))

    def append(self) -> None:
        self.ingest(Mode.APPEND)

    # replace: with and without a key

    def replace_before(self) -> None:
        self.put("t.parquet", *rows(0, 30))
        self.ingest(Mode.REPLACE)
        self.put("t.parquet", *rows(0, 3, 2.0), *rows(5, 32))

    def replace(self) -> None:
        self.ingest(Mode.REPLACE)

    def rewrite_before(self) -> None:
        self.put("t.parquet", *rows(0, 30))
        self.ingest(Mode.REPLACE, KEYLESS)
        self.put("t.parquet", *rows(0, 3, 2.0), *rows(3, 30))

    def rewrite(self) -> None:
        self.ingest(Mode.REPLACE, KEYLESS)

    # merge: two files, two versions

    def merge_before(self) -> None:
        self.put("1.parquet", *rows(0, 20))
        self.ingest(Mode.MERGE)
        self.put("2.parquet", *rows(18, 25, 2.0))
        self.put("3.parquet", *rows(24, 28, 3.0))

    def merge(self) -> None:
        self.ingest(Mode.MERGE)

    # an arrival that is refused

    def refuse_before(self) -> None:
        self.append_before()
        self.put("2.parquet", *rows(20, 22), *((n, "bad", -1.0, b"") for n in range(30, 40)))

    def refuse(self) -> None:
        try:
            self.ingest(Mode.APPEND)
        except DataRefused:
            return
        raise AssertionError("it was taken in")

    # rows that were set aside

    def readmit_before(self) -> None:
        self.append_before()
        self.ingest(Mode.APPEND)

    def readmit(self) -> None:
        waiting = actions.quarantined(self.ctx, self.dataset, waiting=True)
        corrections: dict[tuple[str, str, int], dict[str, str | None]] = {
            (one.arrival, one.file, one.row): {"x": "5"} for one in waiting
        }
        made = source(Mode.APPEND, self.dataset)
        actions.readmit(self.ctx, f"feed-{self.dataset}", made, CONTRACT, root=self.folder, corrections=corrections)

    # a branch that is merged

    def join_before(self) -> None:
        self.put("1.parquet", *rows(0, 20))
        self.ingest(Mode.MERGE)
        actions.branch(self.ctx, self.dataset, "trial")
        self.put("2.parquet", *rows(0, 3, 9.0))
        self.ingest(Mode.MERGE, branch="trial")
        self.put("3.parquet", *rows(15, 22, 8.0))
        self.ingest(Mode.MERGE)

    def join(self) -> None:
        if len(actions.versions(self.ctx, self.dataset)) == 3:
            actions.merge(self.ctx, self.dataset, "trial", contract=CONTRACT)

    # a person's rows are erased

    def erase_before(self) -> None:
        self.join_before()
        self.put("4.parquet", *rows(40, 44), (44, "person 3", -1.0, b"picture of its own"))
        self.ingest(Mode.MERGE)

    def erase(self) -> None:
        actions.erase(self.ctx, self.dataset, "name", "person 3", reason="a letter", secret=b"key")

    # old versions go

    def retain_before(self) -> None:
        for turn in range(4):
            self.put("t.parquet", *rows(turn * 30, turn * 30 + 30), (999, "odd", 1.0, b"only in %d" % turn))
            self.ingest(Mode.REPLACE)

    def retain(self) -> None:
        actions.prune(self.ctx, self.dataset, RetentionSettings(versions=2))
        actions.sweep(self.ctx, timedelta(0))

    # back to an older version

    def restore_before(self) -> None:
        self.retain_before()

    def restore(self) -> None:
        if len(actions.versions(self.ctx, self.dataset)) == 4:
            actions.restore(self.ctx, self.dataset, 2)


VERBS = (
    "append", "replace", "rewrite", "merge", "refuse", "readmit", "join", "erase", "retain", "restore",
)  # fmt: skip


class Effects:
    """Counts effects, and ends the process just before the n-th."""

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0

    def one(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(self) -> None:
        """Count from now on."""
        for name in ("put", "remove"):
            setattr(Blobs, name, self._counted(getattr(Blobs, name)))
        real = Database.transaction

        @contextmanager
        def transaction(db: Database) -> Iterator[Any]:
            with real(db) as connection:
                yield connection
                self.one()
            self.one()

        Database.transaction = transaction  # type: ignore[method-assign]

    def _counted(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any) -> Any:
            self.one()
            return act(*given)

        return counted


def carry_out(asked: dict[str, Any]) -> int:
    """Do what a line says; return the exit status."""
    folder = Path(asked["folder"])
    ctx = make_context(folder, database_url=asked["database"], blobs_url=asked["blobs"])
    effects = Effects(asked.get("kill", 0))
    verb = Verb(ctx, folder, asked["dataset"])
    act = getattr(verb, asked["verb"])
    effects.hook()
    act()
    ctx.db.close()
    (folder / "effects").write_text(str(effects.count))
    return 0


def main() -> None:
    declare_tables()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = carry_out(json.loads(line))
            except BaseException:  # noqa: BLE001 - the edge of this process
                traceback.print_exc()
            os._exit(status)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
