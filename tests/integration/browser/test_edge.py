"""An edge bundle as a page: verified and answered by the browser alone, as the gateway answers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[2]))

from modelloop.deploy.edge.actions.building import build
from modelloop.deploy.edge.records import Wish
from modelloop.prepare import ops
from modelloop.prepare.columns import from_frame
from modelloop.prepare.transform import Transform
from modelloop.register import actions as register
from modelloop.register.package import load
from modelloop.testing.fakes import make_context
from modelloop.train.records import Candidate
from packages import logistic, make_candidate, make_evidence
from provision import web

ROWS: dict[str, list[Any]] = {
    "delay": [1.5, None, -2.0, 40.25],
    "distance": [100, 7, 900, 0],
    "carrier": ["AA", "ZZ", None, "UA"],
}
SHOTS = os.environ.get("MODELLOOP_SHOTS")


class Quiet(SimpleHTTPRequestHandler):
    """A folder, without a line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def candidate() -> Candidate:
    """Return a candidate whose transform has ops of all sorts: the browser's runtime must know their operators."""
    plain = make_candidate()
    steps = [
        ops.number("delay"),
        ops.log1p("distance"),
        ops.cyclic("distance", 24),
        ops.category("carrier"),
        ops.one_hot("carrier"),
        ops.flag_missing("delay"),
        ops.flag_missing("carrier"),
        ops.bins("distance", 3),
        ops.aside(ops.impute("delay", "mean", by="carrier", name="filled")),
        ops.scale("filled"),
        ops.ordinal("distance", (100.0, 7.0)),
        ops.lookup("carrier", {"AA": 3.0}, missing=0.5),
    ]
    transform = Transform(steps).fit(plain.sample)
    matrix = transform.apply(from_frame(plain.sample)).astype(np.float64)
    weights = [0.05 * (-1) ** at for at in range(matrix.shape[1])]
    expected = 1 / (1 + np.exp(-(matrix @ np.array(weights))))
    return replace(plain, transform=transform, onnx=logistic(weights), expected=expected)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Any]]:
    """A bundle with its page, the key that the visitor has, and what the gateway answers with."""
    place = web()
    if place is None and os.environ.get("CI") != "true":
        pytest.skip("no onnxruntime-web on this machine: python tests/provision.py fetches it")
    assert place is not None, "onnxruntime-web is missing: see what tests/provision.py said"
    folder = tmp_path_factory.mktemp("edge")
    context = make_context(folder / "project")
    register.register(context, "delay", candidate(), make_evidence())
    made = build(context, Wish("delay:1", folder / "bundle", web=place))
    yield folder / "bundle", made.key, load(context.blobs, made.package).scorer
    context.db.close()


@pytest.fixture(scope="module")
def address(bundle: tuple[Path, str, Any]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(bundle[0])))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_answers_as_the_gateway(page: Page, bundle: tuple[Path, str, Any], address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}#key={bundle[1]}")
    page.wait_for_selector("#ask:not([hidden])")
    assert page.inner_text("h1") == "delay:1"
    found = page.evaluate("rows => globalThis.edge.predict(rows)", ROWS)["score"]
    schema = {"delay": pl.Float64, "distance": pl.Int64, "carrier": pl.String}
    wanted = bundle[2].score(from_frame(pl.DataFrame(ROWS, schema=schema)))
    np.testing.assert_allclose(found["data"], wanted, rtol=1e-5)
    page.fill("input[name=delay]", "1.5")
    page.fill("input[name=distance]", "100")
    page.fill("input[name=carrier]", "AA")
    page.click("text=Predict")
    page.wait_for_selector("#answers dd")
    assert float(page.inner_text("#answers dd")) == pytest.approx(wanted[0], rel=1e-5)
    own = address.removesuffix("index.html")
    assert all(url.startswith((own, f"blob:{own}", "data:,")) for url in asked), asked
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/edge.png")


def test_bad_values_are_refused_in_a_sentence(page: Page, bundle: tuple[Path, str, Any], address: str) -> None:
    page.goto(f"{address}#key={bundle[1]}")
    page.wait_for_selector("#ask:not([hidden])")
    for change, said in (
        ({"distance": [None]}, "must have one"),
        ({"distance": [1.5]}, "whole number"),
        ({"carrier": ["a\0"]}, "without the character 0"),
        ({"delay": ["1"]}, "expected FP64"),
    ):
        rows = {"delay": [1.0], "distance": [1], "carrier": ["AA"]} | change
        ask = "rows => globalThis.edge.predict(rows).then(() => 'answered', (error) => error.message)"
        assert said in page.evaluate(ask, rows)


def test_changed_bytes_and_other_keys_are_refused(
    browser: Browser, bundle: tuple[Path, str, Any], address: str
) -> None:
    folder, key, _ = bundle
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    assert {"ort/ort-wasm-simd-threaded.wasm", "edge.js", "manifest.sig"} <= set(names)
    for path, name in zip(files, names, strict=True):
        data = path.read_bytes()
        # of the page's own script a byte in its first comment, so that it runs and has to find out
        at = 4 if name == "edge.js" else len(data) // 2
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        path.write_bytes(changed)
        try:
            assert "refused" in _told(browser, f"{address}#key={key}", edge=name == "index.html"), name
        finally:
            path.write_bytes(data)
    assert "not signed by this key" in _told(browser, f"{address}#key={'ab' * 32}")
    assert "not 64 hex digits" in _told(browser, f"{address}#key=short")


def _told(browser: Browser, address: str, *, edge: bool = False) -> str:
    """Return what a fresh page says; where the page itself was changed, what its script says."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    if edge:
        key = address.partition("#key=")[2]
        found = page.evaluate(
            "key => import('./edge.js').then(m => m.open(key)).then(() => '', e => `refused: ${e.message}`)", key
        )
    else:
        page.wait_for_selector("#refused:not(:empty), #ask:not([hidden])")
        found = page.inner_text("#refused")
    context.close()
    return str(found)
