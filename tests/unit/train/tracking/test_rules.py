"""What may be logged, which value is the latest, which paths are safe, what tokens are."""

from __future__ import annotations

import math
import posixpath
import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.tracking import checks, paging, projection
from modelloop.train.tracking.folding import Rows
from modelloop.train.tracking.names import name_for
from modelloop.train.tracking.paths import check_path
from modelloop.train.tracking.records import Batch, Metric, Param, Tag

RUN = "run_1"


@pytest.mark.parametrize(
    "name", ["loss", "train/loss", "a b", "ü", "日本語", "a.b-c_d", "system/gpu:0", "a" * 250, ".x"]
)
def test_names_that_may_be(name: str) -> None:
    assert checks.key(name, "metric") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 251,
        "a\nb",
        "a\n",
        "a\x00",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "..a",
        "a%",
        "a\\b",
        "😀",
        "\ud800",
    ],
)
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(InvalidInput):
        checks.key(name, "metric")


@given(st.text(st.sampled_from("ab./ -_:"), max_size=12))
def test_names_are_judged_as_mlflow_does(name: str) -> None:
    """Against MLflow's own definition: a name is what its normal form as a path is."""
    normal = posixpath.normpath(name)
    valid = bool(name) and normal == name and normal != "." and not normal.startswith(("..", "/"))
    try:
        checks.key(name, "metric")
    except InvalidInput:
        assert not valid
    else:
        assert valid


@pytest.mark.parametrize(
    "metric",
    [
        Metric("a", "0.5"),  # type: ignore[arg-type]
        Metric("a", True),
        Metric("a", 2**2000),
        Metric("a", 1.0, step=2**63),
        Metric("a", 1.0, step=1.5),  # type: ignore[arg-type]
        Metric("a", 1.0, at_ms=-1),
        Metric("a", 1.0, model_id="../x"),
        Metric("a/../b", 1.0),
    ],
)
def test_metrics_that_are_refused(metric: Metric) -> None:
    with pytest.raises(InvalidInput):
        checks.batch(Batch(RUN, metrics=[metric]))


def test_special_values_are_values() -> None:
    checks.batch(Batch(RUN, metrics=[Metric("a", value) for value in (math.nan, math.inf, -math.inf, 3, -0.0)]))


def test_a_param_of_a_megabyte_is_refused_with_its_name_and_limit() -> None:
    with pytest.raises(InvalidInput, match=r"Param 'text' has 1000000 characters.*6000") as caught:
        checks.batch(Batch(RUN, params=[Param("text", "x" * 1_000_000)]))
    assert len(str(caught.value)) < 400


def test_duplicate_params_in_a_batch() -> None:
    checks.batch(Batch(RUN, params=[Param("a", "1"), Param("a", "1")]))
    with pytest.raises(InvalidInput, match="Duplicate parameter keys"):
        checks.batch(Batch(RUN, params=[Param("a", "1"), Param("a", "2")]))


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (Batch(RUN, metrics=[Metric("m", 1.0)] * 1001), "at most 1000 metrics. Got 1001"),
        (Batch(RUN, params=[Param(f"p{n}", "") for n in range(101)]), "at most 100 params. Got 101"),
        (Batch(RUN, tags=[Tag(f"t{n}", "") for n in range(101)]), "at most 100 tags. Got 101"),
        (
            Batch(RUN, metrics=[Metric("m", 1.0)] * 950, tags=[Tag(f"t{n}", "") for n in range(60)]),
            "and tags. Got 1010",
        ),
    ],
)
def test_batches_have_mlflows_limits(batch: Batch, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        checks.batch(batch)
    checks.batch(batch, limits=False)


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d"])
def test_text_that_no_database_keeps(text: str) -> None:
    for batch in (Batch(RUN, params=[Param("a", text)]), Batch(RUN, tags=[Tag("a", text)]), Batch(RUN, name=text)):
        with pytest.raises(InvalidInput):
            checks.batch(batch)


def test_run_ids() -> None:
    assert checks.run_id("d2bd0b2a7bb14ae1ac54b4d0f1b2c3d4")
    for bad in ("", "-a", "a/b", "../a", "a" * 65, "a\n", "ü"):
        with pytest.raises(InvalidInput):
            checks.run_id(bad)


_POINTS = st.lists(
    st.builds(
        Metric,
        name=st.sampled_from(["a", "b"]),
        value=st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]),
        step=st.integers(-1, 2),
        at_ms=st.integers(0, 2),
    ),
    max_size=12,
)


def latest_of(points: list[Metric]) -> dict[str, tuple[int, int, float, bool]]:
    """The rule in plain words: the greatest step, then time, then value; NaN counts as 0, just above it."""
    best: dict[str, tuple[int, int, float, bool]] = {}
    for point in points:
        nan = math.isnan(point.value)
        place = (point.step, point.at_ms, 0.0 if nan else point.value, nan)
        best[point.name] = max(best.get(point.name, place), place)
    return best


@given(_POINTS, st.randoms())
def test_the_latest_value_does_not_depend_on_the_order(points: list[Metric], order: random.Random) -> None:
    shuffled = points[:]
    order.shuffle(shuffled)
    rows = Rows()
    half = len(shuffled) // 2
    for part in (shuffled[:half], shuffled[half:]):
        rows.add(Batch(RUN, metrics=part))
    assert {name: point for (_, name), point in rows.latest.items()} == latest_of(points)


def test_the_last_tag_holds_and_names_the_run() -> None:
    rows = Rows()
    rows.add(Batch(RUN, tags=[Tag("a", "1"), Tag("a", "2"), Tag("mlflow.runName", "x")], dropped_tags=["b"]))
    rows.add(Batch(RUN, tags=[Tag("b", "3")]))
    parts = rows.parts()
    assert dict(parts)["tags"] == [(RUN, "a", "2"), (RUN, "mlflow.runName", "x"), (RUN, "b", "3")]
    assert parts["dropped"] == []
    assert parts["changes"] == [(None, None, "x", RUN)]


@pytest.mark.parametrize("path", ["a", "a/b.txt", "ü/日本.png", "a b/c", "100%25.txt", "..a", "a..b/...", "x" * 1000])
def test_paths_that_may_be(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../a",
        "a/..",
        "a//b",
        "/a",
        "a/",
        "a\\b",
        "C:/a",
        "c:a",
        "a\x00",
        "a\nb",
        "x" * 1001,
        "日" * 900,
        "\ud800",
    ],
)
def test_paths_that_may_not_be(path: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid artifact path"):
        check_path(path)


@given(st.sampled_from(["../a", "a/../b", "/etc/passwd", "a\\..\\b", "a\x00b", "C:/x", "a/./b"]), st.integers(1, 8))
def test_encoding_does_not_hide_a_path(path: str, times: int) -> None:
    for _ in range(times):
        path = quote(path, safe="").replace(".", "%2e")
    with pytest.raises(InvalidInput):
        check_path(path)


@given(st.text(max_size=40))
def test_a_path_that_passes_stays_below_its_root(path: str) -> None:
    try:
        check_path(path)
    except InvalidInput:
        return
    assert posixpath.normpath(posixpath.join("/root", path)).startswith("/root/")


@given(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    )
)
def test_tokens_come_back(keys: tuple[int, float, str]) -> None:
    assert paging.read(paging.write(keys), (int, float, str)) == keys


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda data: data.hex()))
def test_other_tokens_are_refused(token: str) -> None:
    if token:
        with pytest.raises(InvalidInput, match="page token"):
            paging.read(token, (int, str))


def test_tokens_of_another_order_are_refused() -> None:
    with pytest.raises(InvalidInput, match="page token"):
        paging.read(paging.write((1, 2)), (int, str))
    assert paging.read(None, (int,)) is None


def test_made_up_names() -> None:
    assert name_for("run_1") == name_for("run_1")
    assert len({name_for(f"run_{number}") for number in range(500)}) > 490
    checks.line(name_for("run_1"), "name", 100)


@given(st.text(min_size=1, max_size=60))
def test_what_pipelines_log_is_taken(name: str) -> None:
    """Names and values of pipelines are freer than MLflow's: they are changed, not refused."""
    checks.key(projection.key(name), "metric")
    checks.value(projection.cut(name * 200, 6000), "x", 6000)
    check_path(projection.path(name))


def test_long_values_say_that_they_were_cut() -> None:
    assert projection.cut("x" * 7000, 6000).endswith("... (7000 characters in all)")
    assert len(projection.cut("x" * 7000, 6000)) == 6000
    assert projection.shown({"a": [1, None]}) == '{"a": [1, null]}'
    assert projection.shown("text") == "text"
