"""The API of versions and of rows that were set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelloop.data import actions
from modelloop.data.routes import ROUTES
from modelloop.data.settings import ContractSettings, Format, Severity, SourceSettings
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.core.rights import Right
from modelloop.ground.http import Call
from modelloop.ground.replies import plain
from modelloop.ground.store.context import Context
from versioned import PEOPLE, make

LENIENT = ContractSettings(PEOPLE.columns, key=("id",), on_violation=Severity.QUARANTINE, max_quarantined=0.9)


@dataclass(frozen=True)
class Project:
    sources: Mapping[str, SourceSettings]
    contracts: Mapping[str, ContractSettings]


FEED = SourceSettings(path="in", dataset="people", contract="people", format=Format.CSV)
PROJECT = Project({"feed": FEED}, {"people": LENIENT})


class Caller:
    """Calls routes as control does."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        self.ctx, self.folder = ctx, folder

    def __call__(self, method: str, path: str, **body: Any) -> Any:
        for route in ROUTES:
            asked, has = route.path.split("/"), path.split("/")
            fits = len(asked) == len(has) and all(a == b or a.startswith("{") for a, b in zip(asked, has, strict=True))
            if route.method == method and fits:
                segments = {a[1:-1]: b for a, b in zip(asked, has, strict=True) if a.startswith("{")}
                return plain(route.action(Call(self.ctx, PROJECT, self.folder, segments, {}, body)))
        raise AssertionError(path)


@pytest.fixture
def call(ctx: Context, tmp_path: Path) -> Caller:
    make(ctx, [(1, "ann", 30.0)], contract=LENIENT)
    return Caller(ctx, tmp_path)


def test_versions_by_the_api(call: Caller) -> None:
    assert call("POST", "/data/people/branches", branch="trial")["head"] == 1
    make(call.ctx, [(2, "bob", 1.0)], how="append", branch="trial")
    assert [one["name"] for one in call("GET", "/data/people/branches")["branches"]] == ["main", "trial"]
    assert call("GET", "/data/people/diff/1/2")["changes"]["added"] == 1
    assert call("POST", "/data/people/merge", branch="trial", message="fine")["number"] == 3
    assert call("POST", "/data/people/tags", tag="release", number=3)["number"] == 3
    assert call("POST", "/data/people/restore", number=1)["number"] == 4
    assert call("GET", "/data/people/versions/4")["message"] == "restored people:1"
    assert len(call("GET", "/data/people/tags")["tags"]) == 1
    call("POST", "/data/people/tags/drop", tag="release")
    call("POST", "/data/people/branches/drop", branch="trial")
    done = call("POST", "/data/people/erasures", column="name", value="bob", reason="a letter")
    assert call("GET", "/data/people/erasures")["erasures"] == [done]
    for path, body in (
        ("restore", {}),
        ("restore", {"number": True}),
        ("branches", {"branch": "b", "start": "1"}),
        ("erasures", {"column": "name", "value": "x"}),
        ("quarantine/drop", {"rows": [{"arrival": "a"}]}),
        ("quarantine/readmit", {"rows": [{"arrival": "a", "file": "f", "row": 1, "changes": {"id": 4}}]}),
    ):
        with pytest.raises(InvalidInput):
            call("POST", f"/data/people/{path}", **body)
    with pytest.raises(NotFound):
        call("POST", "/data/nobody/merge", branch="trial")


def test_quarantine_by_the_api(call: Caller) -> None:
    (call.folder / "in").mkdir()
    (call.folder / "in" / "a.csv").write_text("id,name,age\n5,eve,999\n6,flo,998\n7,gus,9\n")
    actions.ingest(call.ctx, "feed", FEED, LENIENT, root=call.folder)
    one, two = (
        {name: row[name] for name in ("arrival", "file", "row")}
        for row in call("GET", "/data/people/quarantine")["rows"]
    )
    assert call("POST", "/data/people/quarantine/readmit", rows=[one | {"changes": {"age": "99"}}])["rows"] == 1
    assert call("POST", "/data/people/quarantine/drop", rows=[two]) == {"dataset": "people", "dropped": 1}
    assert [row["settled"] for row in call("GET", "/data/people/quarantine")["rows"]] == ["readmitted", "dropped"]


def test_who_may_what() -> None:
    rights = {(route.method, route.path): route.right for route in ROUTES}
    assert {right for (method, _), right in rights.items() if method == "GET"} == {Right.READ}
    assert rights["POST", "/data/{name}/erasures"] is Right.ADMIN
    assert Right.READ not in {right for (method, _), right in rights.items() if method == "POST"}
