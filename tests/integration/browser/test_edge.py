"""An edge bundle as a page: verified and answered by the browser alone, as the gateway answers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[2]))

from edge_graphs import identity
from modelloop.deploy.edge.actions import building
from modelloop.deploy.edge.actions.building import build
from modelloop.deploy.edge.graph import bundled
from modelloop.deploy.edge.records import FORM_OF_KINDS, MISSING, Wish
from modelloop.prepare import ops
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops.moments import Part
from modelloop.prepare.transform import FittedTransform, Transform
from modelloop.register import actions as register
from modelloop.register.package import load
from modelloop.register.records import Signature, TensorSpec
from modelloop.testing.fakes import make_context
from modelloop.train.records import Candidate
from packages import logistic, make_candidate, make_evidence
from provision import web

ROWS: dict[str, list[Any]] = {
    "delay": [1.5, None, -2.0, 40.25],
    "distance": [100, 7, 900, 0],
    "carrier": ["AA", "ZZ", None, "UA"],
}
TIMES: list[str | None] = [
    "2013-01-01", "0001-01-01T00:00Z", "2198-12-30T23:59:59.999999", "1969-12-31T23:59:59.999999", "2000-02-29T12:00Z",
    "1900-03-01", "2013-03-31T02:30:00", "2013-10-27T02:30:00", "2013-10-27T00:30:00Z", "2013-03-10 02:59:59-05:00",
    "2012-12-31T23:00:00.1234567", "2012-12-31T23:00:00,5+05:30", "2016-01-03T00:00:00-00:00:30", "1883-11-18T12:03:57",
    "2199-12-31T00:00:00+01:00", "2009-12-31", "2021-01-03", None,
]  # fmt: skip
NUMBERS = [
    *(0.0, -0.0, 1.0, -1.5, 7.1e9, -123456789.015625, -6.02e10, 1e-4, 1e-5, 5e-324, 0.1, 2.5e-7, None, 7.0, 1e9, 3.25),
    *(2e8, -9.0),
]
LARGE = [
    *(0.0, -0.0, 1.0, -1.5, 1e15, 1e16, 123456789012345680.0, 1e-4, 1e-5, 5e-324, 0.1, 1e300, None, 9007199254740993.0),
    *(1e21, 1.7976931348623157e308, -1e-7, 123456.789),
]
KNOWN = pl.DataFrame(
    {"t": TIMES, "u": [*TIMES[1:], "2013-06-01"], "n": NUMBERS, "h": LARGE},
    schema={"t": pl.String, "u": pl.String, "n": pl.Float64, "h": pl.Float64},
)
WRONG: list[Any] = [
    "", "soon", "2013-1-1", "2013-02-30", "2013-01-01T24:00", "2013-01-01T05", "20130101", "0000-01-01", " 2013-01-01",
    "2013-01-01T05:00:60", "2013-01-01T05:00+25:00", "2013-01-01Z", "2013-01-01T05:00:00.", "2013-01-01\n", 5,
    "٢٠١٣-01-01",
]  # fmt: skip
PARTS: tuple[Part, ...] = get_args(Part)
ZONES = ("UTC", "Europe/Berlin")
BEGUN = datetime(2013, 1, 1)  # noqa: DTZ001 - clock time of the zone
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


def timed() -> FittedTransform:
    """Return a transform of times and buckets: the browser reads them itself, before its runtime sees anything."""
    steps: list[Any] = [ops.date_part("t", part, zone, name=f"{part} {zone}") for part in PARTS for zone in ZONES]
    steps += [ops.date_part("n", "hour", ZONES[1]), ops.hashed("t", 100, 5), ops.hashed("h", 4096)]
    steps += [ops.elapsed("t", "u", "days", ZONES[1]), ops.elapsed("n", BEGUN, "hours", ZONES[1])]
    return Transform(steps).fit(KNOWN)


def features_bundle(transform: FittedTransform, place: Path, folder: Path) -> str:
    """Write a bundle that answers its own features; return its key."""
    labels = tuple(transform.names)
    outputs = (TensorSpec("probabilities", "FP32", (-1, len(labels))), TensorSpec("label", "BYTES", (-1,)))
    signature = Signature(transform.inputs, "probabilities", "multiclass", outputs=outputs, labels=labels)
    graph = bundled({"model.onnx": identity(len(labels)), "transform.json": transform.to_bytes()}, signature)
    manifest = {
        "form": FORM_OF_KINDS,
        "version": "times:1",
        "package": "0" * 64,
        "inputs": [asdict(one) for one in graph.inputs],
        "outputs": [{"name": "probabilities"}],
        "missing": MISSING,
        "zones": dict(graph.zones),
        "by_row": False,
        "parity": {"rows": 1, "largest": 0.0},
        "made_at": "2026-01-01",
    }
    files = {"model.onnx": graph.onnx, "index.html": building._own("index.html"), "edge.js": building._own("edge.js")}
    context = make_context(folder / "project")
    made = building._written(context, folder / "bundle", manifest, files | building._web(place))
    context.db.close()
    return made.key


def test_times_and_buckets_are_those_of_the_package(page: Page, tmp_path: Path) -> None:
    place = web()
    if place is None and os.environ.get("CI") != "true":
        pytest.skip("no onnxruntime-web on this machine: python tests/provision.py fetches it")
    assert place is not None
    transform = timed()
    key = features_bundle(transform, place, tmp_path)
    with served(tmp_path / "bundle") as address:
        page.goto(f"{address}#key={key}")
        page.wait_for_selector("#ask:not([hidden])")
        assert page.locator("#inputs input").count() == 4, "a column that is read in several ways is one field"
        rows = {name: KNOWN[name].to_list() for name in KNOWN.columns}
        dims = page.evaluate("rows => globalThis.edge.predict(rows).then((a) => a.probabilities.dims)", rows)
        plain = "a.probabilities.data.map((v) => Number.isNaN(v) ? 'nan' : v)"
        numbers = page.evaluate(f"rows => globalThis.edge.predict(rows).then((a) => {plain})", rows)
        wanted = transform.apply(from_frame(KNOWN))
        assert dims == list(wanted.shape)
        got = np.array([float(one) for one in numbers]).reshape(wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
        ask = "rows => globalThis.edge.predict(rows).then(() => 'answered', (error) => error.message)"
        for change, said in (
            *(({"t": [one]}, "expected YYYY-MM-DD") for one in WRONG),
            ({"t": ["2201-01-01T00:00Z"]}, "beyond what the bundle knows of"),
            ({"n": [1e15]}, "years 1 to 9999 in s"),
        ):
            assert said in page.evaluate(ask, {"t": ["2013-01-01"], "u": [None], "n": [0.0], "h": [0.0]} | change), (
                change
            )


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
    with served(bundle[0]) as found:
        yield found


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder; the address of its page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/index.html"
    finally:
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
