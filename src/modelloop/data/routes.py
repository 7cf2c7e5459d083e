"""Faces of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ground.core.errors import InvalidInput
from ..ground.core.ids import check_name
from ..ground.core.rights import Right
from ..ground.http import Call, Route, number
from . import actions
from .contract.declared import declared
from .records import MAIN
from .versions.correcting import RowName


def datasets(call: Call) -> dict[str, Any]:
    """List datasets."""
    return {"datasets": actions.datasets(call.ctx)}


def dataset(call: Call) -> dict[str, Any]:
    """Show the versions of a dataset."""
    name = check_name(call.path["name"], "dataset")
    return {"dataset": name, "versions": actions.versions(call.ctx, name)}


def report(call: Call) -> Any:
    """Show what was checked on the arrival that made a version."""
    name = check_name(call.path["name"], "dataset")
    return actions.report(call.ctx, name, number(call.path["number"], "version"))


def quarantine(call: Call) -> dict[str, Any]:
    """List rows that broke a dataset's contract, and arrivals that were refused."""
    name = check_name(call.path["name"], "dataset")
    rows = actions.quarantined(call.ctx, name, limit=call.limit())
    return {"dataset": name, "rows": rows, "refused": actions.refused(call.ctx, name)}


def shown(call: Call) -> Any:
    """Show one version: what it holds, how it came to be, its report."""
    name = _name(call)
    return actions.version(call.ctx, name, number(call.path["number"], "version"))


def diff(call: Call) -> Any:
    """Show what is different between two versions: columns, counts, distributions, rows by key."""
    one, other = (number(call.path[side], "version") for side in ("before", "after"))
    return actions.diff(call.ctx, _name(call), one, other, examples=call.limit(10))


def branches(call: Call) -> dict[str, Any]:
    """List the branches of a dataset."""
    return {"branches": actions.branches(call.ctx, _name(call))}


def begin_branch(call: Call) -> Any:
    """Begin a branch at a version, the newest of main if none is given."""
    return actions.branch(call.ctx, _name(call), call.text("branch"), _whole(call, "start"))


def drop_branch(call: Call) -> dict[str, Any]:
    """Forget a branch; its versions stay until retention lets them go."""
    name, branch = _name(call), call.text("branch")
    actions.drop_branch(call.ctx, name, branch)
    return {"dataset": name, "dropped": branch}


def merge(call: Call) -> Any:
    """Bring what a branch changed into another, once the result keeps the contract."""
    name = _name(call)
    contract = declared(call.project.sources, call.project.contracts, name).contract
    into, message = call.text("into", MAIN), _text(call, "message")
    return actions.merge(
        call.ctx, name, call.text("branch"), contract=contract, into=into, message=message, root=call.project_dir
    )


def tags(call: Call) -> dict[str, Any]:
    """List the tags of a dataset."""
    return {"tags": actions.tags(call.ctx, _name(call))}


def tag(call: Call) -> Any:
    """Name a version; a tag that names another one moves only with "move": true."""
    chosen, move = _whole(call, "number"), call.body.get("move") is True
    return actions.tag(call.ctx, _name(call), call.text("tag"), chosen, message=_text(call, "message"), move=move)


def untag(call: Call) -> dict[str, Any]:
    """Forget a tag."""
    name, gone = _name(call), call.text("tag")
    actions.untag(call.ctx, name, gone)
    return {"dataset": name, "dropped": gone}


def restore(call: Call) -> Any:
    """Make an old version the newest one of a branch."""
    chosen = _whole(call, "number")
    if chosen is None:
        raise InvalidInput("The body's 'number' is missing.", hint='Expected {"number": 3}.')
    branch, message = call.text("branch", MAIN), _text(call, "message")
    return actions.restore(call.ctx, _name(call), chosen, message=message, branch=branch)


def readmit(call: Call) -> Any:
    """Judge rows that were set aside again; the good ones become a new version."""
    name = _name(call)
    of = declared(call.project.sources, call.project.contracts, name, _text(call, "source") or None)
    corrections = {_row_name(row): dict(_changes(row)) for row in call.rows("rows")}
    return actions.readmit(
        call.ctx,
        of.name,
        of.source,
        of.contract,
        root=call.project_dir,
        rows=list(corrections),
        corrections=corrections,
    )


def drop(call: Call) -> dict[str, Any]:
    """Settle rows that were set aside: nothing more will be done about them."""
    name = _name(call)
    rows = [_row_name(row) for row in call.rows("rows")]
    return {"dataset": name, "dropped": actions.drop(call.ctx, name, rows, reason=_text(call, "reason"))}


def erasures(call: Call) -> dict[str, Any]:
    """List what was erased from a dataset; the values are known only by their keyed hashes."""
    return {"erasures": actions.erasures(call.ctx, _name(call))}


def erase(call: Call) -> Any:
    """Take the rows of a person out of every version, for good."""
    return actions.erase(call.ctx, _name(call), call.text("column"), call.text("value"), reason=call.text("reason"))


def _name(call: Call) -> str:
    return check_name(call.path["name"], "dataset")


def _text(call: Call, name: str) -> str:
    return call.text(name) if call.body.get(name) else ""


def _whole(call: Call, name: str) -> int | None:
    value = call.body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9):
        raise InvalidInput(f"The body's {name!r} is {str(value)[:40]!r}.", hint="Expected a version: 1, 2, 3, ...")
    return value


def _row_name(row: Mapping[str, Any]) -> RowName:
    arrival, file, place = row.get("arrival"), row.get("file"), row.get("row")
    whole = isinstance(place, int) and not isinstance(place, bool) and 0 <= place < 2**63
    if not isinstance(arrival, str) or not isinstance(file, str) or not isinstance(place, int) or not whole:
        raise InvalidInput(
            f"{str(dict(row))[:80]} names no row that was set aside.",
            hint='Expected {"arrival": "arr_...", "file": "a.csv", "row": 3}.',
        )
    return arrival, file, place


def _changes(row: Mapping[str, Any]) -> Mapping[str, str | None]:
    changes = row.get("changes") or {}
    plain = isinstance(changes, Mapping) and all(isinstance(one, str) or one is None for one in changes.values())
    if not isinstance(changes, Mapping) or not plain:
        raise InvalidInput("'changes' of a row are not texts.", hint='Expected {"changes": {"COLUMN": "text"}}.')
    return changes


ROUTES = (
    Route("GET", "/data", datasets, Right.READ),
    Route("GET", "/data/{name}", dataset, Right.READ),
    Route("GET", "/data/{name}/versions/{number}", shown, Right.READ),
    Route("GET", "/data/{name}/versions/{number}/report", report, Right.READ),
    Route("GET", "/data/{name}/diff/{before}/{after}", diff, Right.READ),
    Route("GET", "/data/{name}/branches", branches, Right.READ),
    Route("POST", "/data/{name}/branches", begin_branch, Right.RUN),
    Route("POST", "/data/{name}/branches/drop", drop_branch, Right.RUN),
    Route("POST", "/data/{name}/merge", merge, Right.RUN),
    Route("GET", "/data/{name}/tags", tags, Right.READ),
    Route("POST", "/data/{name}/tags", tag, Right.RUN),
    Route("POST", "/data/{name}/tags/drop", untag, Right.RUN),
    Route("POST", "/data/{name}/restore", restore, Right.RUN),
    Route("GET", "/data/{name}/quarantine", quarantine, Right.READ),
    Route("POST", "/data/{name}/quarantine/readmit", readmit, Right.RUN),
    Route("POST", "/data/{name}/quarantine/drop", drop, Right.RUN),
    Route("GET", "/data/{name}/erasures", erasures, Right.READ),
    Route("POST", "/data/{name}/erasures", erase, Right.ADMIN),
)
