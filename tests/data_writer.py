"""Processes that write to a dataset others write to. `python data_writer.py` forks one for each line of JSON it reads.

They and the test talk by files in FOLDER/signs. A writer works once there is a file `go`; one that is to hold makes
`NUMBER-held` just before it commits and waits for `NUMBER-go`; all end with `NUMBER-told`, which says what happened.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelloop.data import actions
from modelloop.data.actions import branching, intake
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, Mode, SourceSettings
from modelloop.ground.core.errors import Conflict, StaleState
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import declare_tables, make_context

CONTRACT = ContractSettings(
    {"id": ColumnSettings(ColumnType.INTEGER), "by": ColumnSettings(ColumnType.INTEGER)}, key=("id",)
)
TURNS = 4


def source(number: int, mode: Mode) -> SourceSettings:
    return SourceSettings(path=f"in-{number}", dataset="rows", contract="rows", format=Format.CSV, mode=mode)


def put(folder: Path, number: int, name: str, ids: range) -> None:
    place = folder / f"in-{number}"
    place.mkdir(exist_ok=True)
    (place / name).write_text("id,by\n" + "".join(f"{one},{number}\n" for one in ids))


def ingest(ctx: Context, folder: Path, number: int, mode: Mode = Mode.APPEND) -> None:
    actions.ingest(ctx, f"feed-{number}", source(number, mode), CONTRACT, root=folder)


def append(ctx: Context, folder: Path, number: int) -> None:
    for turn in range(TURNS):
        put(folder, number, f"{turn}.csv", range(1000 * number + 10 * turn, 1000 * number + 10 * turn + 10))
        again(ingest, ctx, folder, number)


def merge(ctx: Context, folder: Path, number: int) -> None:
    """Change rows that all change, and add some of one's own."""
    put(folder, number, "0.csv", range(20))
    put(folder, number, "1.csv", range(1000 * number, 1000 * number + 20))
    again(ingest, ctx, folder, number, Mode.MERGE)


def branch(ctx: Context, folder: Path, number: int) -> None:
    """Go one's own way, and bring it home."""
    actions.branch(ctx, "rows", f"own-{number}")
    put(folder, number, "0.csv", range(1000 * number, 1000 * number + 20))
    mine = source(number, Mode.MERGE)
    again(lambda: actions.ingest(ctx, f"feed-{number}", mine, CONTRACT, root=folder, branch=f"own-{number}"))
    again(lambda: actions.merge(ctx, "rows", f"own-{number}", contract=CONTRACT))


def once(ctx: Context, folder: Path, number: int) -> None:
    put(folder, number, "0.csv", range(1000 * number, 1000 * number + 10))
    ingest(ctx, folder, number)


def same_branch(ctx: Context, _folder: Path, _number: int) -> None:
    actions.branch(ctx, "rows", "trial")


def bring_home(ctx: Context, _folder: Path, _number: int) -> None:
    actions.merge(ctx, "rows", "trial", contract=CONTRACT)


ATTEMPTS = 0


def again(act: Callable[..., Any], *given: Any) -> None:
    """Do as the error says: repeat it."""
    global ATTEMPTS  # noqa: PLW0603 - told at the end
    for _ in range(200):
        ATTEMPTS += 1
        try:
            act(*given)
        except StaleState:
            continue
        return
    raise AssertionError("others always came first")


def hold_before_commit(signs: Path, number: int) -> None:
    """Stop where everything is ready to be committed."""

    def told(act: Callable[..., Any]) -> Callable[..., Any]:
        def held(*given: Any) -> Any:
            made = act(*given)
            (signs / f"{number}-held").touch()
            wait_for(signs / f"{number}-go")
            return made

        return held

    intake._next_version = told(intake._next_version)
    branching.judge_kept = told(branching.judge_kept)  # type: ignore[attr-defined]


def wait_for(sign: Path) -> Path:
    """Wait until there is a file; return its path."""
    deadline = time.monotonic() + 120
    while not sign.exists():
        assert time.monotonic() < deadline, f"no {sign.name}"
        time.sleep(0.005)
    return sign


def write(asked: dict[str, Any]) -> None:
    """Be one of the writers."""
    folder, number = Path(asked["folder"]), asked["number"]
    signs = folder / "signs"
    ctx = make_context(folder, database_url=asked["database"])
    if asked["hold"]:
        hold_before_commit(signs, number)
    wait_for(signs / "go")
    said = ""
    try:
        globals()[asked["verb"]](ctx, folder, number)
    except Conflict as error:
        said = f"{type(error).__name__}: {error}"
    ctx.db.close()
    draft = signs / f"{number}-draft"
    draft.write_text(json.dumps({"said": said, "attempts": ATTEMPTS}))
    draft.rename(signs / f"{number}-told")


def main() -> None:
    declare_tables()
    children = []
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                write(json.loads(line))
                status = 0
            except BaseException:  # noqa: BLE001 - the edge of this process
                traceback.print_exc()
            os._exit(status)
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


if __name__ == "__main__":
    main()
