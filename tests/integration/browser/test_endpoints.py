"""An endpoint's page in a real browser: what it shows at each stage, and every step that a person may take there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from serving import Serving

from modelloop.deploy import actions
from modelloop.deploy.records import Rollout, Stage
from modelloop.ground.core.records import Actor
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock, make_context
from modelloop.web.routes import ROUTES
from served import ENDPOINT, POLICY, Gateway, dull, fair, make_project, put_version

EVIL = "<img src=x onerror=boom()>"
PROJECT = make_project(replace(POLICY, canary=(0.2, 0.5), bake_rows=40))


class Place:
    """An endpoint at which delay:1 answers and delay:2 wants to."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        self.ctx = ctx
        self.gateway = Gateway(ctx, {"delay:1": dull, "delay:2": fair})
        put_version(ctx, 1)
        self.rollout = actions.start_rollout(ctx, PROJECT, ENDPOINT, "delay:1", reason="first")
        self.turn(asked=0)
        assert isinstance(ctx.clock, FakeClock)
        ctx.clock.advance(timedelta(seconds=1))  # of two that start at one instant nobody knows which is the newer
        put_version(ctx, 2)
        self.serving = Serving(ctx.by(Actor("control")), PROJECT, folder, ROUTES)

    def turn(self, asked: int = 25) -> Rollout:
        self.gateway.report()
        told = self.gateway.ask(asked) if asked else []
        actions.collect(self.ctx)
        self.gateway.tell(told)
        self.rollout = actions.advance(self.ctx, self.rollout.id)
        return self.rollout

    def until(self, stage: Stage) -> None:
        for _ in range(60):
            if self.rollout.stage is stage:
                return
            self.turn()
        raise AssertionError(self.rollout.verdicts[-1].reason)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    ctx = make_context(tmp_path)
    made = Place(ctx, tmp_path)
    yield made
    made.serving.close()
    ctx.db.close()


def test_a_rollout_from_its_start_to_the_way_back_by_forms(place: Place, page: Page) -> None:
    at = place.serving.at
    page.goto(place.serving.address("/endpoints"))
    page.get_by_role("link", name=ENDPOINT, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("delay live")

    page.get_by_label("Version").select_option("delay:2")
    page.get_by_label("Why").first.fill(f"better {EVIL}")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(at(f"/endpoints/{ENDPOINT}"))
    place.rollout = actions.open_rollouts(place.ctx)[0]
    expect(page.locator(".leg.here .stagename")).to_have_text("check")
    expect(page.locator("#rollout")).to_contain_text(EVIL)
    expect(page.get_by_role("button", name="Promote now")).to_have_count(0)

    place.until(Stage.SHADOW)
    place.turn(asked=15)
    page.goto(at(f"/endpoints/{ENDPOINT}"))
    expect(page.locator(".leg.here .stagename")).to_have_text("shadow")
    assert page.locator("svg.interval").count() == 1
    assert page.locator("svg.scores rect").count() == 40
    expect(page.locator("tbody tr").filter(has_text="g1").first).to_contain_text("done")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h1 .badge.paused")).to_be_visible()
    place.turn()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("h1 .badge.paused")).to_have_count(0)
    place.until(Stage.CANARY)
    page.goto(at(f"/endpoints/{ENDPOINT}"))
    expect(page.locator(".leg.here .stagename")).to_have_text("canary 1")
    page.locator("#rollout").get_by_label("Why").fill("sure")
    page.get_by_role("button", name="Promote now").click()
    expect(page.locator(".leg.here .stagename")).to_have_text("bake")
    page.get_by_role("button", name="Send it back").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("delay live")
    expect(page.locator("dl.facts").first).to_contain_text("delay:1")
    page.get_by_label("To").select_option("delay:2")
    page.get_by_role("button", name="Roll back at once").click()
    expect(page.locator("dl.facts").first).to_contain_text("delay:2")
    page.get_by_role("link", name="2026").first.click()
    expect(page.locator(".leg.back .stagename")).to_have_text("bake")
