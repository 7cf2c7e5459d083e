"""What a hostile but honest user tries on real processes, by command line and HTTP: each is refused and told why.

Refused means: 4xx or exit code 1, one sentence that says what was expected, nothing half done, and everything goes on.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelloop.cli import main

from .player import Player, make_project, modelloop, up

pytestmark = pytest.mark.timeout(300)

MORE_STEPS = """

class Thing:
    pass


@step
def look_up(rides: pl.DataFrame) -> int:
    return {"here": 1}["there"]


@pipeline
def raises(rides: pl.DataFrame, *, how: int = 1) -> int:
    return look_up(rides)


@step
def make_thing(rides: pl.DataFrame) -> object:
    return {"part": [Thing()]}


@pipeline
def unsafe(rides: pl.DataFrame) -> object:
    return make_thing(rides)


@pipeline
def needy(rides: pl.DataFrame, *, months: int) -> int:
    return look_up(rides)
"""
MORE_PIPELINES = "".join(
    f'\n[pipelines.{name}]\nfunction = "{function}"\ninputs = {{ rides = "rides" }}\n'
    for name, function in {
        "raises": "steps:raises",
        "unsafe": "steps:unsafe",
        "needy": "steps:needy",
        "half-written": "half_written:train",
        "nowhere": "nowhere:train",
        "misspelt": "steps:trian",
    }.items()
)


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """Return the bikes project with a live model, and pipelines that go wrong."""
    project = make_project(tmp_path_factory.mktemp("bad") / "bikes")
    with (project / "steps.py").open("a") as steps, (project / "modelloop.toml").open("a") as declared:
        steps.write(MORE_STEPS)
        declared.write(MORE_PIPELINES)
    (project / "half_written.py").write_text("def train(rides:\n    return rides\n")
    with up(project) as state:
        played = Player(project, state)
        played.first_model("2011-03-01")
        before = [(p["kind"], p["pid"]) for p in state()["processes"]]
        yield played
        played.control.close()
        assert [(p["kind"], p["pid"]) for p in state()["processes"]] == before, "no process fell over any of this"


def cli(player: Player, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said."""
    capfd.readouterr()
    code = main([*words, "--project", str(player.project)])
    seen = capfd.readouterr()
    assert "Traceback" not in seen.err
    return code, seen.out + seen.err


# The project file


MISTAKES = {
    'task = "regression"': ('task = "regresion"', "objective.task", 'did you mean "regression"?'),
    'metric = "mae"': ('metrc = "mae"', "objective.metrc", 'did you mean "metric"?'),
    "max = 23 }": ('max = "23" }', "contracts.rides.columns.hour.max", ""),
    "canary = [0.5]": ("canary = [1.5]", "endpoints.demand.rollout.canary[0]", ""),
    'monitor = "quality"': ('monitor = "qualty"', "triggers.off-the-mark.monitor", 'did you mean "quality"?'),
}


def test_five_mistakes_are_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "bikes")
    file = project / "modelloop.toml"
    for right, (wrong, _, _) in MISTAKES.items():
        assert right in file.read_text()
        file.write_text(file.read_text().replace(right, wrong, 1))
    before = sorted(project.rglob("*"))
    lines = file.read_text().splitlines()
    for words in (["status"], ["up"], ["run", "train"], ["data", "ingest"], ["worker"], ["control"]):
        told = modelloop(*words, "--json", project=project)
        assert told.returncode == 1
        found = {mistake["where"]: mistake for mistake in json.loads(told.stdout)["detail"]["mistakes"]}
        for wrong, where, hint in MISTAKES.values():
            mistake = found[where]
            assert (mistake["file"], mistake["hint"]) == ("modelloop.toml", hint)
            assert wrong.split(" = ")[0] in lines[mistake["line"] - 1]
            assert mistake["found"]
            assert mistake["allowed"]
            assert f"modelloop.toml:{mistake['line']}  {where}: found {mistake['found']}" in told.stderr
        assert len(found) == len(MISTAKES)
    assert sorted(project.rglob("*")) == before


# Source files


HEAD = "at,hour,weekday,workingday,temp,humidity,wind,bikers"
GOOD = "2011-03-01T00:00:00Z,0,2,yes,0.2,0.5,0.1,20"
LATER = GOOD.replace("01T00", "01T01")


def csv(*rows: str, head: str = HEAD) -> bytes:
    return "".join(f"{line}\n" for line in (head, *rows)).encode()


SOURCES: dict[str, tuple[bytes, str, int]] = {
    # what lands; what is said of it; how many rows are listed
    "missing column": (csv(GOOD[:-3], head=HEAD[:-7]), "lacks the column bikers", 0),
    "wrong type": (csv(GOOD, LATER.replace(",0,", ",noon,")), "expected integer", 1),
    "out of range": (csv(GOOD.replace(",0,", ",24,").replace("0.1", "7")), "at least 0 and at most 23", 1),
    "unknown value": (csv(GOOD.replace("yes", "perhaps")), "one of yes, no", 1),
    "key twice in the file": (csv(GOOD, GOOD), "no other row with the same key", 1),
    "key of an earlier file": (csv(GOOD.replace("2011-03", "2011-02")), "the dataset has already", 1),
    "null": (csv(GOOD.replace(",0,", ",,")), "expected a value", 1),
    "empty": (b"", "empty CSV", 0),
    "no rows": (csv(), "at least 1 rows", 0),
    "ragged": (csv(GOOD, f"{LATER},7,7"), "line 3 has 10 fields, the header has 8", 0),
    "cut off": (csv(GOOD, LATER[:16]), "line 3 has 1 field, the header has 8", 0),
    "a name twice": (csv(GOOD, head=HEAD.replace("wind", "temp")), "'temp' stands in the header twice", 0),
    "open quote": (csv(GOOD, LATER.replace("yes", '"yes')), "line 3 opens a quote that is never closed", 0),
    "two encodings": (csv(GOOD.replace("yes", "jé")) + LATER.replace("yes", "jé").encode("latin-1"), "line 3 has", 0),
    "year 0": (csv(GOOD.replace("2011-03-01", "0000-01-01")), "expected time", 1),
    "number as text": (csv(GOOD, LATER.replace("0.2", '"0,2"')), "expected float", 1),
    "no number": (csv(GOOD, LATER.replace("0.2", "inf")), "expected float", 1),
    "not UTF-8": (csv(GOOD).replace(b"yes", b"\xffes"), "line 2 has the byte 0xff", 0),
    "UTF-16": (csv(GOOD).decode().encode("utf-16"), "it is UTF-16; expected UTF-8", 0),
    "no text": (bytes(range(256)) * 8, "not UTF-8", 0),
}


def test_bad_sources_stop_the_episode_before_training(player: Player, capfd: pytest.CaptureFixture[str]) -> None:
    landed = player.project / "landing" / "2011-03-01.csv"
    dataset = player.get("/api/data/rides")["versions"]
    runs = [one["id"] for one in player.get("/api/runs")["runs"]]
    listed = len(player.get("/api/data/rides/quarantine")["rows"])
    for name, (data, said, rows) in SOURCES.items():
        landed.with_suffix(".part").write_bytes(data)
        landed.with_suffix(".part").replace(landed)
        opened = player.post("/api/episodes", {"pipeline": "train", "endpoint": "demand", "reason": name})
        ended = player.wait_for(lambda: closed(player, opened["id"]), name)  # noqa: B023 - called at once
        assert (ended["result"], ended["run"]) == ("failed", None), name
        assert said in ended["result_text"], (name, ended["result_text"])
        quarantine = player.get("/api/data/rides/quarantine")
        assert said in " ".join(quarantine["refused"][0]["reasons"]), name
        assert len(quarantine["rows"]) == listed + rows, name
        listed += rows
        code, told = cli(player, capfd, "data", "quarantine", "rides", "--limit", "1", "--json")
        assert code == 0
        shown = json.loads(told)
        assert shown["refused"][0]["files"] == [landed.name]
        if rows:
            assert any(said in reason for reason in shown["rows"][0]["reasons"]), name
            assert shown["rows"][0]["file"] == landed.name
        assert player.get("/api/data/rides")["versions"] == dataset, "nothing is half-committed"
    assert [one["id"] for one in player.get("/api/runs")["runs"]] == runs, "nothing was trained"

    landed.unlink()
    player.land("2011-03-01", "2011-04-01")
    params = {"as_of": "2011-04-01T00:00:00Z"}
    again = player.post("/api/episodes", {"pipeline": "train", "endpoint": "demand", "params": params})
    made = player.wait_for(lambda: rolling_or_closed(player, again["id"]), "the mended file")
    assert made["version"] == "demand:2", made
    assert player.get("/api/data/rides")["versions"][0]["number"] == dataset[0]["number"] + 1
    if made["state"] == "rolling":
        player.post("/api/rollback", {"endpoint": "demand", "reason": "enough"})
        player.wait_for(lambda: closed(player, again["id"]), "the rollback")


def closed(player: Player, episode: str) -> dict[str, Any] | None:
    told = player.get(f"/api/episodes/{episode}")
    return told if told["state"] == "closed" else None


def rolling_or_closed(player: Player, episode: str) -> dict[str, Any] | None:
    told = player.get(f"/api/episodes/{episode}")
    return told if told["state"] in ("rolling", "closed") else None


# Inference


def tensor(name: str, kind: str, data: Any, shape: list[Any] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": shape or [len(data)], "data": data}


def asked(rows: int = 1, **other: dict[str, Any]) -> dict[str, Any]:
    """Return a request as it must be, except for the tensors given."""
    values = {"hour": ("INT64", 7), "weekday": ("INT64", 3), "workingday": ("BYTES", "yes")}
    values |= dict.fromkeys(("temp", "humidity", "wind"), ("FP64", 0.4))
    return {"inputs": [other.get(name) or tensor(name, kind, [value] * rows) for name, (kind, value) in values.items()]}


def raw(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode()


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 1_000_000


INFER = "/v2/models/demand/infer"
REQUESTS: dict[str, tuple[bytes | Callable[[], Iterator[bytes]], int, str]] = {
    "missing input": (raw({"inputs": asked()["inputs"][1:]}), 400, "missing: hour"),
    "unknown input": (raw({"inputs": [*asked()["inputs"], tensor("huor", "INT64", [1])]}), 400, "Did you mean 'hour'?"),
    "input twice": (raw({"inputs": asked()["inputs"] * 2}), 400, "twice"),
    "text for a number": (raw(asked(hour=tensor("hour", "INT64", ["7"]))), 400, "Expected INT64"),
    "number for a text": (raw(asked(workingday=tensor("workingday", "BYTES", [1]))), 400, "Expected BYTES"),
    "true for a number": (raw(asked(hour=tensor("hour", "INT64", [True]))), 400, "Expected INT64"),
    "half for a whole": (raw(asked(hour=tensor("hour", "FP64", [7.5]))), 400, "Expected whole numbers"),
    "other datatype": (raw(asked(hour=tensor("hour", "BYTES", ["7"]))), 400, "Expected INT64"),
    "no datatype": (raw(asked(hour=tensor("hour", "INT65", [7]))), 400, "Known are BOOL"),
    "beyond 64 bits": (raw(asked(hour=tensor("hour", "INT64", [2**70]))), 400, "Expected INT64"),
    "null where none may be": (raw(asked(hour=tensor("hour", "INT64", [None]))), 400, "null"),
    "shape of other length": (raw(asked(hour=tensor("hour", "INT64", [7, 8], [1]))), 400, "Expected 1 value"),
    "three dimensions": (raw(asked(hour=tensor("hour", "INT64", [7], [1, 1, 1]))), 400, "Expected [rows]"),
    "negative shape": (raw(asked(hour=tensor("hour", "INT64", [7], [-1]))), 400, "Expected [rows]"),
    "no rows": (raw(asked(0, hour=tensor("hour", "INT64", [], [0]))), 400, "at least one row"),
    "unequal rows": (raw(asked(hour=tensor("hour", "INT64", [7, 8]))), 400, "the same rows"),
    "too many rows": (raw(asked(1001)), 400, "at most 1000"),
    "NaN": (raw(asked(temp=tensor("temp", "FP64", [float("nan")]))), 400, "no NaN"),
    "infinity": (raw(asked(temp=tensor("temp", "FP64", [float("inf")]))), 400, "no NaN or Infinity"),
    "bad JSON": (b'{"inputs": [', 400, "Expected {"),
    "empty body": (b"", 400, "Expected {"),
    "a list": (b"[]", 400, "Expected {"),
    "deep": (b"[" * 100_000, 400, "Expected {"),
    "not UTF-8": (b'{"id": "\xff"}', 400, "UTF-8"),
    "no inputs": (b"{}", 400, "Expected a list of tensors: hour INT64"),
    "bad time": (raw(asked() | {"parameters": {"event_time": "yesterday"}}), 400, "Expected ISO 8601"),
    "bad id": (raw(asked() | {"id": 7}), 400, "Expected a string"),
    "unknown output": (raw(asked() | {"outputs": [{"name": "other"}]}), 400, "'score'"),
    "large, with its length": (b"x" * 12_000_000, 413, "larger than 1000000 bytes"),
    "a little too large": (b"x" * 1_000_001, 413, "larger than 1000000 bytes"),
    "large, in chunks": (lambda: chunks(12), 413, "larger than 1000000 bytes"),
}


def test_bad_requests_are_answered_and_the_gateway_goes_on(player: Player) -> None:
    with httpx.Client(base_url=player.gateway, trust_env=False, timeout=30) as caller:
        for name, (body, status, said) in REQUESTS.items():
            answer = caller.post(INFER, content=body if isinstance(body, bytes) else body())
            assert answer.status_code == status, (name, answer.text)
            assert said in answer.json()["error"], (name, answer.text)
        for method, path, status, said in (
            ("GET", INFER, 405, "Use POST"),
            ("PUT", INFER, 405, "Use POST"),
            ("DELETE", "/v2", 405, "Use GET"),
            ("POST", "/v2/models/demnd/infer", 404, "Did you mean 'demand'?"),
            ("POST", "/v2/models/%2e%2e%2f%2e%2e%2fetc/infer", 404, "Did you mean '/v2/models/demand/infer'?"),
            ("POST", "/v2/models/demand/versions/99/infer", 404, "Loaded: "),
            ("POST", "/v2/models/demand/infre", 404, "/infer"),
            ("GET", "/etc/passwd", 404, "/v2/models/ENDPOINT/infer"),
        ):
            answer = caller.request(method, path, content=raw(asked()) if method == "POST" else None)
            assert answer.status_code == status, (path, answer.text)
            assert said in answer.json()["error"], (path, answer.text)
        for header in ({"host": "elsewhere.example"}, {"origin": "http://elsewhere.example"}):
            answer = caller.post(INFER, content=raw(asked()), headers=header)
            assert (answer.status_code, answer.json()["code"]) == (403, "ML402")
        assert caller.post(INFER, content=raw(asked())).status_code == 200


# Outcomes and the API


def test_bad_outcomes_are_told_and_the_known_are_kept(player: Player) -> None:
    answer = httpx.post(player.gateway + INFER, content=raw(asked(2)), trust_env=False).json()
    known = answer["parameters"]["prediction_id"]

    def outcome(**other: Any) -> dict[str, Any]:
        return {"prediction_id": known, "label": 20, "event_time": "2011-03-02T00:00:00Z", "row": 0} | other

    with api(player) as caller:

        def post(*outcomes: dict[str, Any], endpoint: Any = "demand") -> httpx.Response:
            return caller.post("/api/outcomes", json={"endpoint": endpoint, "outcomes": list(outcomes)})

        unknown = post(outcome(prediction_id=known[:-1] + ("0" if known[-1] != "0" else "1")))
        assert (unknown.status_code, unknown.json()["code"]) == (404, "ML201")
        mixed = post(outcome(), outcome(prediction_id="../../etc"))
        assert (mixed.status_code, mixed.json()) == (200, {"accepted": 1, "unknown": ["../../etc"], "waiting": 1})
        assert post(outcome()).json() == {"accepted": 1, "unknown": [], "waiting": 0}, "sent twice is no error"
        assert len(told_of(player, known)) == 1, "sent twice counts once"
        for wrong, said in (
            ({"label": "twenty"}, "Expected a finite number"),
            ({"label": None}, "outcomes[0].label is missing"),
            ({"label": [20]}, "Expected a number"),
            ({"row": -1}, "Expected 0, 1, 2"),
            ({"row": "0"}, "Expected 0, 1, 2"),
            ({"event_time": "yesterday"}, "outcomes[0].event_time is 'yesterday'. Expected a time"),
            ({"event_time": "0001-01-01T00:00:00+10:00"}, "Expected a time"),
            ({"prediction_id": 7}, "outcomes[0].prediction_id is '7'"),
        ):
            refused = post(outcome(**wrong))
            assert refused.status_code == 400, (wrong, refused.text)
            assert said in refused.json()["error"], (wrong, refused.text)
        assert post(outcome(label=21), outcome(label="x")).status_code == 400
        assert post(outcome(), endpoint="demnd").status_code == 404
        assert post(outcome(row=7)).status_code == 404
        for label in ("NaN", "Infinity", "1" + "0" * 400):
            body = json.dumps({"endpoint": "demand", "outcomes": [outcome(label=0)]}).replace(
                '"label": 0', f'"label": {label}'
            )
            refused = caller.post("/api/outcomes", content=body)
            assert refused.status_code == 400, (label, refused.text)
        assert [one["label"] for one in told_of(player, known)] == [20], "nothing of a refused call was kept"


def told_of(player: Player, prediction: str) -> list[dict[str, Any]]:
    return list(player.get(f"/api/predictions/{prediction}")["outcomes"])


def api(player: Player, token: str | None = None) -> httpx.Client:
    chosen = (player.project / ".modelloop" / "secrets" / "token").read_text().strip() if token is None else token
    headers = {"authorization": f"Bearer {chosen}"} if chosen else {}
    return httpx.Client(base_url=player.control.url, headers=headers, trust_env=False, timeout=30)


def test_the_api_refuses_with_one_shape(player: Player) -> None:
    for token in ("", "wrong"):
        with api(player, token) as stranger:
            for path in ("/api/loop", "/api/nothing/../loop", "/api/openapi.json"):
                answer = stranger.get(path)
                assert (answer.status_code, answer.json()["code"]) == (401, "ML400"), path
            assert stranger.post("/api/rollback", json={"endpoint": "demand"}).status_code == 401
    with api(player) as caller:
        for header, value, code in (
            ("host", "elsewhere.example", "ML402"),
            ("host", "[::1", "ML402"),
            ("origin", "http://elsewhere.example", "ML401"),
            ("origin", "null", "ML401"),
            ("origin", "http://[x", "ML401"),
        ):
            refused = caller.post("/api/rollback", json={"endpoint": "demand"}, headers={header: value})
            assert (refused.status_code, refused.json()["code"]) == (403, code), value
        for kind in ("runs", "episodes", "rollouts", "predictions", "data", "models"):
            for name in ("..%2f..%2fetc", "%2e%2e", "nope", "%00", "a" * 300, "99999999999999999999"):
                answer = caller.get(f"/api/{kind}/{name}")
                assert answer.status_code in (400, 404), (kind, name, answer.text)
                assert answer.json()["error"], (kind, name)
        for path in (
            "/api/nope",
            "/api/data/rides/versions/99/report",
            "/api/data/nope/quarantine",
            "/api/models/demand/99",
        ):
            assert caller.get(path).status_code == 404, path
        for limit in ("0", "-1", "x", "1001", ""):
            assert caller.get("/api/episodes", params={"limit": limit}).status_code == 400
        wrong = caller.delete("/api/outcomes")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert wrong.json()["error"].endswith("Use POST.")
        bodies: tuple[tuple[bytes, int], ...] = (
            (b"", 400), (b"[]", 400), (b"{", 400), (b"\xff", 400), (b'{"a":' * 50_000, 400),
            (b'{"endpoint": "\\ud800"}', 400),
            (b'{"endpoint": "demand", "reason": "a\\u0000b"}', 400), (b"x" * 9_000_000, 413),
        )  # fmt: skip
        for body, status in bodies:
            answer = caller.post("/api/episodes", content=body)
            assert answer.status_code == status, (body[:60], answer.text)
            assert answer.json()["error"]
        assert caller.post("/api/episodes", content=chunks(9)).status_code == 413
        for episode, said in (
            ({"pipeline": "trian", "endpoint": "demand"}, "Did you mean 'train'?"),
            ({"pipeline": "train", "endpoint": "demnd"}, "Did you mean 'demand'?"),
            ({"pipeline": "raises", "endpoint": "demand"}, "makes no model"),
            ({"pipeline": 5, "endpoint": "demand"}, 'Expected {"pipeline"'),
            ({"pipeline": "train", "endpoint": "demand", "params": []}, 'Expected {"params"'),
        ):
            answer = caller.post("/api/episodes", json=episode)
            assert answer.status_code in (400, 404), answer.text
            assert said in answer.json()["error"]
        assert caller.get("/api/loop").status_code == 200


# The command line


COMMANDS = (
    (["runs", "show", "../../etc"], "ML106"),
    (["runs", "show", "run_01KAQ7AAAAAAAAAAAAAAAAAAAA"], "ML200"),
    (["models", "show", "demand:99"], "ML200"),
    (["models", "card", "demand"], "A version is MODEL:NUMBER"),
    (["data", "show", "rdies"], "Did you mean 'rides'?"),
    (["data", "quarantine", "rdies"], "Did you mean 'rides'?"),
    (["data", "ingest", "rdies"], "There are: rides"),
    (["data", "show", "rides:99"], "It has 1 to "),
    (["data", "show", "rides@2001-01-01"], "had no version at"),
    (["data", "show", "rides:trial"], "no tag 'trial'"),
    (["data", "show", "../etc"], "names no version"),
    (["data", "diff", "rides:1", "rides:99"], "It has 1 to "),
    (["data", "branch", "rides", "main"], "from the beginning"),
    (["data", "branch", "rides", "../etc"], "ML1"),
    (["data", "merge", "rides", "trial"], "no branch 'trial'"),
    (["data", "restore", "rides:99"], "It has 1 to "),
    (["data", "tag", "rides:99", "good"], "It has 1 to "),
    (["data", "erase", "rides", "person", "ann", "--reason", "a letter"], "no column 'person'"),
    (["data", "erase", "rides", "bikers", "20", "--reason", " "], "needs a reason"),
    (["data", "readmit", "rides", "nowhere.csv"], "nowhere.csv"),
    (["episodes", "show", "999"], "ML200"),
    (["rollback", "demnd"], "ML200"),
    (["rollback", "demand", "--to", "demand:99"], "never answered"),
    (["deploy", "demand:99"], "ML200"),
    (["deploy", "demand:1"], "already answers"),
    (["deploy", "demand:1", "--endpoint", "demnd"], "Did you mean 'demand'?"),
    (["deploy", "nothing:1"], "ML100"),
    (["approve", "demand"], "ML300"),
    (["run", "trian"], "Did you mean 'train'?"),
    (["run", "train", "-P", "trees"], "NAME=VALUE"),
    (["up"], "already runs"),
)


def test_commands_refuse_shortly(player: Player, capfd: pytest.CaptureFixture[str]) -> None:
    for words, said in COMMANDS:
        code, told = cli(player, capfd, *words)
        assert code == 1, (words, told)
        assert said in told, (words, told)
        assert len(told.splitlines()) <= 4, told
    for words in (
        ["runs", "--limit", "0"],
        ["data", "show", "rides", "--version", "-1"],
        ["control", "--port", "70000"],
    ):
        code, told = cli(player, capfd, *words)
        assert code == 2, (words, told)
        assert "Must be" in told
    assert cli(player, capfd, "episodes", "show", "\udcff") == (2, "error: '\\udcff' is not UTF-8.\n")


def test_pipelines_that_go_wrong_are_told_as_the_user_wrote_them(
    player: Player, capfd: pytest.CaptureFixture[str]
) -> None:
    tried = {
        ("raises",): "KeyError: 'there'",
        ("raises", "-P", "hwo=1"): "raises has no parameter 'hwo'. Did you mean 'how'?",
        ("unsafe",): "Step make_thing returned what cannot be kept. The part ['part'][0] is a steps.Thing",
        ("half-written",): "half_written.py",
        ("nowhere",): "there is no nowhere.py",
        ("misspelt",): "Did you mean steps:train?",
        ("needy",): "months",
        ("needy", "-P", "months=some"): "months",
    }
    queued: dict[tuple[str, ...], str] = {}
    for words, said in tried.items():
        code, told = cli(player, capfd, "run", *words, "--no-wait", "--json")
        if code == 1:  # known before anything is queued
            assert said in told, told
            continue
        queued[words] = json.loads(told)["run"]["id"]
    assert len(queued) >= 2, "what only a run can find"
    for words, run in queued.items():
        said = tried[words]
        player.wait_for(lambda: player.get(f"/api/runs/{run}")["run"]["state"] == "failed", said)  # noqa: B023
        code, told = cli(player, capfd, "runs", "show", run)
        assert code == 0
        assert said in " ".join(told.split()), told
        assert "modelloop/ground" not in told, "no frame of ours"
        assert "importlib" not in told
    code, told = cli(player, capfd, "runs", "show", queued[("raises",)])
    assert 'return {"here": 1}["there"]' in told


def test_a_refused_version_is_not_deployed(player: Player, capfd: pytest.CaptureFixture[str]) -> None:
    """One tree is worse than the champion: the gate says so, and nobody gets it out by accident."""
    params = {"as_of": "2011-03-01T00:00:00Z", "trees": 1}
    opened = player.post("/api/episodes", {"pipeline": "train", "endpoint": "demand", "params": params})
    ended = player.wait_for(lambda: closed(player, opened["id"]), "the verdict")
    assert ended["result"] == "refused", ended
    code, told = cli(player, capfd, "deploy", ended["version"])
    assert code == 1
    assert "ML302" in told
    assert "not pass" in told


# Places


def run(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody for whom read-only means read-only (root is nobody special for a moment)."""
    argv = [sys.executable, "-m", "modelloop", *words]
    return subprocess.run(
        argv, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=give_up_rights if os.geteuid() == 0 else None,
    )  # fmt: skip


def give_up_rights() -> None:
    """Drop the capabilities to pass over file modes: after exec, root obeys them like anybody."""
    import ctypes  # noqa: PLC0415 - between fork and exec

    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def test_places_that_do_not_serve(tmp_path: Path) -> None:
    outside = run("status", cwd=tmp_path)
    assert (outside.returncode, outside.stderr.splitlines()[0][:11]) == (1, "error ML200")
    project = make_project(tmp_path / "bikes")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refusals = {
            "another machine could": run("up", cwd=project, MODELLOOP_HOST="0.0.0.0"),
            f"Port {port} on 127.0.0.1 is taken": run("up", cwd=project, MODELLOOP_CONTROL_PORT=port),
            f"cannot listen on 127.0.0.1:{port}": run("control", "--port", port, cwd=project),
            "did you mean MODELLOOP_HOST?": run("status", cwd=project, MODELLOOP_HSOT="x"),
        }
    refusals["can be reached from other machines"] = refusals.pop("another machine could")
    for said, told in refusals.items():
        assert told.returncode == 1, (said, told.stderr)
        assert said in told.stderr
        assert "Traceback" not in told.stderr


@pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "bikes")
    (project / "landing" / "a.csv").write_text(f"{HEAD}\n{GOOD}\n")
    project.chmod(0o555)
    try:
        for words in (["status"], ["up"], ["data", "ingest"], ["init", "below"]):
            told = run(*words, cwd=project)
            assert (told.returncode, "Traceback" in told.stderr) == (1, False), told.stderr
            assert "Permission denied" in told.stderr
        project.chmod(0o755)
        (project / "landing" / "a.csv").chmod(0)
        unread = run("data", "ingest", cwd=project)
        assert (unread.returncode, "error ML500" in unread.stderr) == (1, True), unread.stderr
        (project / "landing" / "a.csv").chmod(0o644)
        assert run("data", "ingest", cwd=project).returncode == 0
    finally:
        project.chmod(0o755)


def test_a_part_that_is_not_installed(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "onnxruntime"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text(
        'raise ModuleNotFoundError("No module named onnxruntime", name="onnxruntime")\n'
    )
    told = run("demo", "flights", cwd=tmp_path, PYTHONPATH=str(absent.parent))
    assert told.returncode == 1
    assert "error ML910" in told.stderr
    assert "pip install 'modelloop[serve]'" in told.stderr
