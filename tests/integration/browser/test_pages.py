"""Data, runs, triggers and cost in a real browser: what came in, what waits for an answer, what must stay inert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from lived import EVIL, Lived
from playwright.sync_api import Page, Response, expect
from serving import Serving

from modelloop.ground.core.records import Actor
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import Run
from modelloop.ground.store import audit
from modelloop.testing.fakes import make_context
from modelloop.web.routes import ROUTES

PAGES = ("/", "/data", "/data/orders", "/data/orders?version=1", "/data/orders/diff/1/2", "/runs", "/triggers", "/cost")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    ctx = make_context(folder)
    with pytest.MonkeyPatch.context() as patch:
        made = Lived(ctx, folder / "project", patch)
        made.orders()
        yield made
    ctx.db.close()


@pytest.fixture(scope="module")
def runs(life: Lived) -> Mapping[str, Run]:
    return life.runs()


@pytest.fixture(scope="module")
def served(life: Lived, runs: Mapping[str, Run]) -> Iterator[Serving]:
    assert runs
    made = Serving(life.ctx.by(Actor("control")), life.project, life.folder, ROUTES)
    yield made
    made.close()


@pytest.fixture
def inside(served: Serving, page: Page) -> Page:
    """A page with a session."""
    page.goto(served.address("/cost"))
    return page


def test_an_arrival_that_was_refused_and_one_with_rows_set_aside_show(served: Serving, inside: Page) -> None:
    inside.goto(served.at("/"))
    expect(inside.locator(".stage.alarm .word")).to_have_text("data")
    inside.locator(".alerts a").click()
    expect(inside).to_have_url(served.at("/data/orders#refused"))
    inside.get_by_role("link", name="Data", exact=True).first.click()
    row = inside.locator("tbody tr").filter(has_text="orders")
    expect(row.locator(".badge")).to_have_text("refused")
    expect(row).to_contain_text("at most 30.00% bad rows")
    expect(row.locator("code")).to_have_text(["amount", EVIL])
    row.get_by_role("link").click()
    expect(inside.locator("h1")).to_contain_text("rows set aside")
    expect(inside.locator(".trouble")).to_contain_text("The last arrival was refused")
    broken = inside.locator("main > .checks").first.locator("li")
    expect(broken.first).to_contain_text("amount range")
    expect(broken.first).to_contain_text("5000")
    assert [broken.nth(n).get_attribute("class") for n in range(5)] == [
        "quarantine",
        "quarantine",
        "warn",
        "warn",
        "warn",
    ]
    aside = inside.locator("#aside ~ .scroll").first.locator("tbody tr")
    expect(aside.filter(has_text="with v2")).to_have_count(2)
    expect(aside.filter(has_text="many")).to_contain_text("amount: type, expected float")
    expect(inside.locator("details.box[open]")).to_contain_text("expected at most 30.00% bad rows")
    inside.get_by_role("link", name="changes").click()
    expect(inside.locator("h1")).to_have_text("orders: v1 to v2")
    expect(inside.locator("dl")).to_contain_text("301")


def test_a_waiting_run_is_answered_on_the_page_and_goes_on(
    served: Serving, inside: Page, life: Lived, runs: Mapping[str, Run]
) -> None:
    run = life.run("weekly", town="Oslo").id
    inside.goto(served.at("/runs"))
    expect(inside.locator(".asked")).to_have_count(2)
    inside.goto(served.at(f"/runs/{run}"))
    expect(inside.locator(".asked .words")).to_have_text(f"Ship {EVIL}?")
    inside.get_by_label("Comment").fill(f"as {EVIL} said\nso")
    inside.wait_for_timeout(2600)  # the page refreshes itself, but not while somebody writes
    expect(inside.get_by_label("Comment")).to_have_value(f"as {EVIL} said\nso")
    inside.get_by_role("button", name="yes").click()
    expect(inside).to_have_url(served.at(f"/runs/{run}"))
    expect(inside.locator("h1 .badge")).to_have_text("queued")
    expect(inside.locator(".asked")).to_have_count(0)
    life.execute(run)
    expect(inside.locator("h1 .badge")).to_have_text("done", timeout=8000)
    expect(inside.locator("table")).to_contain_text(f"as {EVIL} said")
    with life.ctx.db.reading() as connection:
        (entry,) = [e for e in audit.entries(connection, subject=run) if e.action == "run.answered"]
    assert (entry.actor, entry.detail["answer"]) == ("browser", "yes")
    assert flow.result(life.ctx, run) == "yes"
    assert flow.waiting(life.ctx, runs["waiting"].id), "the other run still waits"


def test_a_run_is_cancelled_on_the_page(served: Serving, inside: Page, life: Lived) -> None:
    run = life.submit("weekly").id
    inside.goto(served.at(f"/runs/{run}"))
    inside.get_by_role("button", name="Cancel this run").click()
    expect(inside.locator("h1 .badge")).to_have_text("cancelled")
    expect(inside.get_by_role("button")).to_have_count(0)


def test_a_run_tells_why_its_steps_ran_and_what_failed(served: Serving, inside: Page, runs: Mapping[str, Run]) -> None:
    inside.goto(served.at(f"/runs/{runs['waiting'].id}"))
    step = inside.locator(".step").first
    expect(step.locator(".lines").first).to_be_hidden()
    step.locator("summary").click()
    assert step.locator(".lines .less").all_inner_texts() == [
        *("-RATE = 0.5", '-    return float(orders["amount"].sum()) * RATE')
    ]
    expect(step).to_contain_text("compared with")
    expect(inside.locator(".step").nth(1)).to_contain_text("kept result")
    expect(inside.get_by_role("link", name="orders v2")).to_have_attribute("href", "/data/orders?version=2")
    expect(inside.locator("dl").first).to_contain_text("1.42 EUR")
    inside.goto(served.at(f"/runs/{runs['failed'].id}"))
    expect(inside.locator(".trouble").first).to_contain_text("ZeroDivisionError in divided")
    expect(inside.locator(".trace").first).to_contain_text("return a / b")


def test_what_a_run_kept_never_acts_as_a_page_of_ours(served: Serving, inside: Page, runs: Mapping[str, Run]) -> None:
    inside.goto(served.at(f"/runs/{runs['done'].id}"))
    kept = inside.locator("ul.plain li")
    expect(kept).to_have_count(3)
    with inside.expect_download() as saved:
        kept.filter(has_text="report.html").get_by_role("link").first.click()
    assert saved.value.suggested_filename == "report.html"
    assert "<script>" in Path(saved.value.path()).read_text()
    with inside.expect_download() as saved:
        kept.filter(has_text=".svg").get_by_role("link").first.click()
    assert "/" not in saved.value.suggested_filename
    other = inside.context.new_page()  # what the browser says there of blocked scripts is as it should be
    answers: list[Response] = []

    def note(answer: Response) -> None:
        answers.append(answer)

    other.on("response", note)
    for name in ("report.html", f"../{EVIL}.svg"):
        answers.clear()
        link = kept.filter(has_text=name).get_by_role("link", name="look at it").get_attribute("href")
        asked = other.goto(served.at(link or ""))
        assert asked is not None
        assert asked.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert asked.headers["x-content-type-options"] == "nosniff"
        assert [one.url for one in answers if not one.url.startswith("data:")] == [asked.url], "nothing is fetched"
        other.wait_for_timeout(200)
    other.goto(served.at(f"/api/runs/{runs['done'].id}/artifact?name=report.html&show=1"))
    assert other.title() == "calm"
    assert other.evaluate("origin") == "null"
    other.get_by_role("button", name="send").click()
    assert "report.html" in other.url, "its forms go nowhere"
    other.close()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_text_from_outside_is_text_and_nothing_lies_beside_a_page(
    served: Serving, inside: Page, runs: Mapping[str, Run], width: int, *, dark: bool
) -> None:
    inside.set_viewport_size({"width": width, "height": 900})
    inside.emulate_media(color_scheme="dark" if dark else "light")
    for path in (*PAGES, *(f"/runs/{run.id}" for run in runs.values())):
        answer = inside.goto(served.at(path))
        assert answer is not None
        assert answer.status == 200, path
        for details in inside.locator("details").all():
            details.evaluate("one => one.open = true")
        assert inside.locator("main img, main script").count() == 0, path
        assert inside.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        twin = inside.locator("footer a").get_attribute("href")
        assert inside.request.get(served.at(twin or "")).ok, path
    inside.goto(served.at("/data/orders"))
    expect(inside.locator("main")).to_contain_text(EVIL)


def test_triggers_and_cost(served: Serving, inside: Page, runs: Mapping[str, Run]) -> None:
    inside.goto(served.at("/triggers"))
    trigger = inside.locator("#each-morning")
    expect(trigger).to_contain_text("30 6 * * 1 (Europe/Berlin)")
    expect(trigger).to_contain_text("19 Jan 2026 05:30")
    expect(trigger.locator(".badge")).to_have_text(["fired", "begun"])
    expect(trigger.get_by_role("link")).to_have_attribute("href", f"/runs/{runs['failed'].id}")
    inside.goto(served.at("/cost"))
    expect(inside.locator("table").first).to_contain_text("2026-01")
    expect(inside.locator("table").last).to_contain_text("1.42 EUR")


def test_a_form_of_another_site_changes_nothing(served: Serving, inside: Page, runs: Mapping[str, Run]) -> None:
    action = served.at(f"/runs/{runs['waiting'].id}/answers")
    fields = "<input name=name value=ship><button name=choice value=yes>go</button>"
    other = inside.context.new_page()
    other.set_content(f"<form method=post action='{action}'>{fields}</form>")
    with other.expect_response(action) as answered:
        other.get_by_role("button", name="go").click()
    assert answered.value.status == 403
    assert answered.value.json()["code"] == "ML401"
    other.close()
