"""The page in a real browser: opens once, shows the loop, refreshes itself, breaks no rule of its policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from serving import Serving

from modelloop.data.records import Dataset
from modelloop.deploy.records import Arm, EndpointState, GatewayReport, Live, Rollout, Route, Stage, StageVerdict
from modelloop.evaluate.settings import Task
from modelloop.ground.core.records import Verdict
from modelloop.ground.core.rights import Right
from modelloop.ground.flow.records import InputRef, Run, RunState, Usage
from modelloop.ground.http import Page as Shown
from modelloop.ground.http import Route as Address
from modelloop.ground.store.context import Context
from modelloop.monitor.records import Alert, Signal, Window
from modelloop.project import Project, read_project
from modelloop.register.records import ModelVersion
from modelloop.retrain.records import Episode, EpisodeState, Result, Turn
from modelloop.scaffold import scaffold
from modelloop.web.picture import Facts, picture

START = datetime(2013, 3, 1, tzinfo=UTC)
WEEKS = timedelta(weeks=4)


def version(number: int) -> str:
    return f"trial:{number}"


def facts(project: Project) -> Facts:
    """Return a loop in its sixth turn, with everything a page can show."""
    now = datetime.now(UTC)
    values = ((0.735, 1), (0.712, 1), (0.668, 1), (0.731, 2), (0.742, 2), (0.681, 2), (0.744, 4))
    signals = [
        Signal(
            id=f"signal_{n}",
            monitor="quality",
            kind="quality",
            window=Window("trial", START + n * WEEKS, START + (n + 1) * WEEKS),
            version=version(number),
            verdict=Verdict.FAIL if value < 0.7 else Verdict.PASS,
            value=value,
            low=value - 0.018,
            high=value + 0.017,
            bound=0.7,
            rows=3400,
            reason=f"auc is {value}",
            detail={},
            measured_at=now,
        )
        for n, (value, number) in enumerate(values)
    ]
    versions = [
        ModelVersion(
            model="trial",
            number=number,
            digest="d" * 64,
            verdict=Verdict.FAIL if number == 3 else Verdict.PASS,
            run=f"run_{number}",
            headline=0.7 + number / 100,
            made_at=now - timedelta(minutes=10 - number),
            made_by="worker",
            trained_from=START,
            trained_until=START,
            lineage={},
        )
        for number in range(5, 0, -1)
    ]
    rollout = Rollout(
        id="rollout_5",
        endpoint="trial",
        champion=version(4),
        challenger=version(5),
        stage=Stage.CANARY,
        step=0,
        started_at=now,
        stage_since=now,
        verdicts=(
            StageVerdict("better", "Its golden rows answer as expected.", {"stage": "check", "gateways": 1}),
            StageVerdict("better", "Its loss is not larger.", {"stage": "shadow", "difference": -0.0041}),
            StageVerdict("not yet", "58 of 60 requests.", {"stage": "canary", "step": 0, "asked": 58}),
        ),
        reason="quality-fell",
        actor="worker",
    )
    live = Live("trial", version(4), version(2), now, START + 6 * WEEKS, "r", "r", "w")
    return Facts(
        project=project,
        now=now,
        datasets=[Dataset("trial", 31, 284_000, now)],
        runs=[
            Run(
                id=f"run_{n}",
                pipeline="train",
                function="steps:train",
                project_dir="/x",
                state=RunState.RUNNING if n == 6 else RunState.DONE,
                params={},
                inputs={"rows": InputRef("trial", n, "d")},
                seed=7,
                time_limit=timedelta(hours=1),
                episode=None,
                queued_at=now,
                usage=Usage(8.1, 412_000_000, 9.2),
                metrics={"auc": 0.73},
            )
            for n in range(6, 0, -1)
        ],
        versions=versions,
        endpoints=[EndpointState("trial", "trial", "binary", version(4), "rollout_5")],
        routes={"trial": Route("trial", Arm(version(4), "d"), Arm(version(5), "d"), Stage.CANARY, 0.2)},
        rollouts=[rollout],
        lives=[live, replace(live, version=version(1), before=None, event_time=START)],
        reports=[GatewayReport("g1", 5, now, "http://127.0.0.1:8901", 1, (version(4),), {}, 62_120, 0, 0, 0)],
        predictions=62_120,
        outcomes=58_840,
        signals=signals,
        alerts=[
            Alert("alert_1", "quality", "trial", "alert", "signal_5", START, now, None, "auc fell <b>from 0.742</b>.")
        ],
        episodes=[
            episode(6, None, "rollout_5"),
            episode(5, Result.PROMOTED),
            episode(4, Result.REFUSED),
            episode(3, Result.ROLLED_BACK),
        ],
        turn=Turn(412, now, True, 62_120, 58_840, START, {}),
    )


def episode(number: int, result: Result | None, rollout: str | None = None) -> Episode:
    verdict = "fail" if result is Result.REFUSED else "pass"
    reason = "It is worse than the champion by 0.031." if result is Result.REFUSED else "It is better by 0.024."
    gates = [
        {"gate": "not-worse", "check": "champion", "verdict": verdict, "reason": reason, "value": 0.024, "rows": 8120},
        {"gate": "carriers", "check": "slice", "verdict": "missing evidence", "reason": "Few rows.", "rows": 20},
    ]
    return Episode(
        id=f"episode_{number:026d}",
        number=number,
        endpoint="trial",
        pipeline="train",
        state=EpisodeState.CLOSED if result else EpisodeState.ROLLING,
        trigger="quality-fell",
        signal="signal_2",
        reason="auc fell to 0.668 in the window",
        params={},
        event_time=START + number * WEEKS,
        opened_at=START,
        run=f"run_{number}",
        version=version(number),
        rollout=rollout,
        result=result,
        evidence={
            "judgement": {
                "verdict": verdict,
                "gates": gates,
                "headline": {"metric": "auc", "value": 0.742, "rows": 8120},
            },
            "result": {"result": str(result), "reason": reason},
        },
    )


class Served(Serving):
    """The page on what a test says the facts are."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        scaffold(folder / "project", "trial", task=Task.BINARY)
        self.project = read_project(folder / "project" / "modelloop.toml")
        self.facts = facts(self.project)
        routes = [
            Address("GET", "/picture", lambda _call: picture(self.facts), Right.READ, Shown("/", "loop.html")),
            Address("GET", "/empty", lambda _call: picture(self.empty()), Right.READ, Shown("/empty", "loop.html")),
        ]
        super().__init__(ctx, self.project, folder, routes)

    def empty(self) -> Facts:
        return Facts(self.project, datetime.now(UTC))


@pytest.fixture
def served(ctx: Context, tmp_path: Path) -> Iterator[Served]:
    made = Served(ctx, tmp_path)
    yield made
    made.close()


def test_the_page_shows_the_loop_and_opens_with_its_address_once(served: Served, page: Page) -> None:
    address = served.address()
    page.goto(address)
    assert "token" not in page.url
    words = page.locator(".loop svg .word").all_text_contents()
    assert words == [
        *("data", "label", "prepare", "train", "evaluate"),
        *("register", "deploy", "monitor", "retrain"),
    ]
    expect(page.locator(".headline strong")).to_have_text("0.744")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Will it happen?")
    expect(page.locator(".stage.alarm")).to_have_count(1)
    expect(page.locator(".endpoint")).to_contain_text("canary: 20 % of requests")
    assert page.locator(".chart .dot.fail").count() == 2
    assert page.locator(".chart .promotion").count() == 2


def test_an_episode_opens_and_shows_its_evidence(served: Served, page: Page) -> None:
    page.goto(served.address())
    assert page.locator(".episode").count() == 4
    refused = page.locator("#episode-4")
    expect(refused.locator("table").first).to_be_hidden()
    refused.locator("summary").click()
    expect(refused).to_contain_text("worse than the champion by 0.031")
    assert refused.locator(".badge").all_inner_texts() == ["refused", "fail", "missing evidence", "refused"]
    expect(page.locator("#episode-6 table").nth(1)).to_contain_text("canary 1")


def test_it_refreshes_itself_and_keeps_open_what_was_opened(served: Served, page: Page) -> None:
    page.goto(served.address())
    page.locator("#episode-4 summary").click()
    last = served.facts.signals[-1]
    served.facts = replace(served.facts, signals=[*served.facts.signals[:-1], replace(last, value=0.699)])
    expect(page.locator(".headline strong")).to_have_text("0.699", timeout=8000)
    assert page.locator("#episode-4").get_attribute("open") is not None
    assert page.locator("#episode-3").get_attribute("open") is None


def test_text_from_outside_is_text(served: Served, page: Page) -> None:
    page.goto(served.address())
    expect(page.locator(".alerts li").first).to_contain_text("<b>from 0.742</b>")


def test_a_project_without_anything_has_a_page_too(served: Served, page: Page) -> None:
    page.goto(served.address("/empty"))
    expect(page.locator(".headline")).to_contain_text("no version answers yet")
    expect(page.locator(".stage.idle")).to_have_count(9)


def test_nothing_lies_beside_the_page_on_a_phone(served: Served, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(served.address())
    expect(page.locator(".loop > ol li")).to_have_count(9)
    expect(page.locator(".loop > svg")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nobody_sees_anything_without_a_session(served: Served, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(f"http://127.0.0.1:{served.port}/")
    assert answer is not None
    assert answer.status == 401
    expect(page.locator("main")).to_contain_text("modelloop page")
    assert not re.search("trial:4", page.content())
    context.close()
