"""Experiments in a real browser: the leaderboard, runs side by side, one run; names from outside stay inert."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from lived import EVIL, Lived
from playwright.sync_api import Page, expect
from serving import Serving

from modelloop.ground.core.records import Actor
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from modelloop.train.tracking.actions import artifacts, experiments, logging, runs
from modelloop.train.tracking.records import Metric, Owner, Param, TrackedState
from modelloop.web.routes import ROUTES


def fill(ctx: Context) -> None:
    """Log runs of three depths with three seeds each; the deeper, the better."""
    number, noise = experiments.create_experiment(ctx, f"trees {EVIL}"), random.Random(3)
    for depth in (2, 4, 8):
        for seed in range(3):
            made = runs.create_run(ctx, number, name=f"depth {depth} {EVIL}", user="ada", start_ms=1_700_000_000_000)
            points = [
                Metric("loss", math.exp(-step / 9) / depth + noise.random() / 50, step, step) for step in range(40)
            ]
            auc = Metric("auc", 0.7 + math.log(depth) / 40 + noise.gauss(0, 0.002), 0, 1)
            logging.log_batch(ctx, made.id, [auc, *points], [Param("depth", str(depth)), Param("seed", str(seed))], [])
            artifacts.put(ctx, Owner("run", made.id), "notes.html", b"<p>hello</p>")
            runs.update_run(ctx, made.id, status=TrackedState.FINISHED, end_ms=1_700_000_060_000)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("tried")
    ctx = make_context(folder)
    fill(ctx)
    with pytest.MonkeyPatch.context() as patch:
        life = Lived(ctx, folder / "project", patch)
        made = Serving(ctx.by(Actor("control")), life.project, life.folder, ROUTES)
        yield made
        made.close()
    ctx.db.close()


@pytest.fixture
def inside(served: Serving, page: Page) -> Page:
    page.goto(served.address("/experiments"))
    return page


def test_from_the_list_over_the_board_to_runs_side_by_side(served: Serving, inside: Page) -> None:
    inside.get_by_role("link", name="trees").click()
    expect(inside.locator("tbody tr")).to_have_count(3)
    first = inside.locator("tbody tr").first
    expect(first).to_contain_text("depth 8")
    expect(first).to_contain_text("3 repeats")
    expect(first.locator(".badge")).to_have_text("first")
    expect(inside.locator("svg.parallel polyline.way")).to_have_count(3)
    for box in inside.get_by_role("checkbox").all():
        box.check()
    inside.get_by_role("button", name="Compare the marked runs").click()
    expect(inside.locator("h1")).to_have_text("Runs side by side")
    expect(inside.locator("tr").filter(has_text="auc").locator("td.best")).to_have_count(1)
    expect(inside.locator("tr").filter(has_text="depth").last).to_be_visible()
    inside.get_by_role("link", name="loss", exact=True).click()
    expect(inside.locator("svg.chart polyline.value")).to_have_count(3)


def test_one_run_shows_its_file_in_a_sandbox(served: Serving, inside: Page) -> None:
    inside.get_by_role("link", name="trees").click()
    inside.locator("tbody tr").first.get_by_role("link").click()
    expect(inside.locator("h1 .badge")).to_have_text("finished")
    expect(inside.locator("main")).to_contain_text("auc")
    with inside.expect_response(lambda answer: "/file?" in answer.url) as waited:
        inside.get_by_role("link", name="notes.html").click()
    assert waited.value.headers["content-security-policy"].startswith("sandbox")


def test_a_filter_of_no_form_is_told_with_its_place(served: Serving, inside: Page) -> None:
    inside.get_by_role("link", name="trees").click()
    answer = inside.request.get(f"{inside.url}?where=metrics.auc >> 3")
    assert answer.status == 400
    assert "character" in answer.text()


def test_a_filter_narrows(served: Serving, inside: Page) -> None:
    inside.get_by_role("link", name="trees").click()
    inside.get_by_label("Only runs where").fill("params.depth = '4'")
    inside.get_by_role("button", name="Show").click()
    expect(inside.locator("tbody tr")).to_have_count(1)


def test_pages_without_anything_are_pages(tmp_path: Path, page: Page) -> None:
    ctx = make_context(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        life = Lived(ctx, tmp_path / "project", patch)
        empty = Serving(ctx.by(Actor("control")), life.project, life.folder, ROUTES)
        try:
            page.goto(empty.address("/experiments"))
            expect(page.locator("h1")).to_have_text("Experiments")
        finally:
            empty.close()
    ctx.db.close()


def test_links_that_mlflows_client_prints_lead_to_our_pages(served: Serving, inside: Page) -> None:
    inside.goto(served.at("/#/experiments/1"))
    inside.wait_for_url(served.at("/experiments/1"))
    run = inside.locator("tbody tr").first.get_by_role("link").inner_text()
    inside.goto(served.at("/cost"))
    inside.goto(served.at(f"/#/experiments/1/runs/{run}"))
    inside.wait_for_url(served.at(f"/tracked/{run}"))
