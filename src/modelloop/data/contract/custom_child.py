"""The other end of a custom check: `custom_child PARENT PROJECT MODULE:FUNCTION ROWS ANSWER`.

The user's code runs here and nowhere else: each check in a process of its own, with the code as it is now.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ...ground.core.hashing import canonical_json
from ...ground.core.later import polars as pl
from ...ground.flow.failure import attempt, describe
from ...ground.flow.process import die_with_parent
from ...ground.flow.project import load_function


def main(words: list[str]) -> None:
    """Call the function with the rows; write what it said."""
    parent, project, reference, rows, answer = words
    die_with_parent(int(parent))
    said, raised = attempt(lambda: load_function(Path(project), reference)(pl.read_ipc(rows)))
    told: dict[str, Any]
    if raised is not None:
        error = describe(raised)
        told = {"error": f"{error.kind}: {error.message}", "traceback": error.traceback}
    else:
        told = _plain(said)
    Path(answer).write_bytes(canonical_json(told))


def _plain(said: object) -> dict[str, Any]:
    """Return the answer as JSON: which rows are bad, or whether the table is good, or what is wrong with it."""
    if isinstance(said, pl.Series) and said.dtype == pl.Boolean:
        return {"length": len(said), "bad": (~said.fill_null(value=True)).arg_true().to_list()}
    if isinstance(said, bool | str):
        return {"table": said}
    return {"error": f"it returned {type(said).__name__}; expected a Boolean Polars series, True, False or a sentence"}


if __name__ == "__main__":
    main(sys.argv[1:])
