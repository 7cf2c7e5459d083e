"""What each op answers, against scikit-learn, the calendar, or arithmetic on paper."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare import ops
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import aside
from modelloop.prepare.transform import FittedTransform, Transform

NAN = math.nan


def words(*values: str | None) -> Any:
    return np.array(values, object)


def made(op: Any, **columns: Any) -> list[Any]:
    given = {name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in columns.items()}
    (found,) = op.fit(given)(given).values()
    return found.tolist()  # type: ignore[no-any-return]


def test_impute() -> None:
    x = [1.0, NAN, 2.0, 6.0, math.inf]
    assert made(ops.impute("x", "mean"), x=x) == [1, 3, 2, 6, math.inf]
    assert made(ops.impute("x"), x=x) == [1, 2, 2, 6, math.inf]
    assert made(ops.impute("x", "constant", -1), x=x)[1] == -1
    assert made(ops.impute("x", "most_frequent"), x=[NAN, 2.0, 1.0, 2.0, 1.0])[0] == 1
    assert made(ops.impute("s", "most_frequent"), s=words("b", None, "b", "a")) == ["b", "b", "b", "a"]
    by = words("g", "g", "h", None, "h")
    assert made(ops.impute("x", "mean", by="g"), x=[1.0, NAN, NAN, NAN, NAN], g=by) == [1, 1, 1, 1, 1]
    fitted = ops.impute("x", "mean", by="g").fit({"x": np.array([1.0, 3.0, 8.0]), "g": words("g", "g", "h")})
    found = fitted({"x": np.array([NAN] * 4), "g": words("g", "h", "new", None)})
    assert found["impute(x)"].tolist() == [2, 8, 4, 4]


@pytest.mark.parametrize(
    ("how", "estimator"), [("standard", StandardScaler()), ("robust", RobustScaler()), ("min_max", MinMaxScaler())]
)
@settings(deadline=None, max_examples=100)
@given(values=st.lists(st.integers(-(10**7), 10**7).map(lambda n: n / 1000), min_size=1, max_size=30))
def test_scale_is_scikit_learns(how: Any, estimator: Any, values: list[float]) -> None:
    x = np.array(values)
    expected = estimator.fit_transform(x[:, None])[:, 0]
    assert made(ops.scale("x", how), x=x) == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)


def test_scale_of_equal_missing_and_infinite_values() -> None:
    assert made(ops.scale("x"), x=[0.1, 0.1, 0.1, NAN])[:3] == pytest.approx([0, 0, 0])
    found = made(ops.scale("x"), x=[1.0, 3.0, NAN, math.inf])
    assert found[:2] == [-1, 1]
    assert math.isnan(found[2])
    assert found[3] == math.inf


def test_bins() -> None:
    x = np.random.default_rng(0).normal(size=500)
    for how, strategy in (("quantile", "quantile"), ("uniform", "uniform")):
        peer = KBinsDiscretizer(5, encode="ordinal", strategy=strategy, quantile_method="linear")
        assert made(ops.bins("x", 5, how), x=x) == peer.fit_transform(x[:, None])[:, 0].tolist()  # type: ignore[arg-type]
    assert made(ops.bins("x", edges=[0, 10]), x=[-1.0, 0.0, 9.9, 10.0, math.inf, -math.inf, NAN]) == [
        0,
        1,
        1,
        2,
        2,
        0,
        -1,
    ]
    assert made(ops.bins("x", 4), x=[5.0, 5.0, 5.0]) == [1, 1, 1]


def test_clip() -> None:
    assert made(ops.clip("x", 0, 2), x=[-1.0, 1.0, math.inf])[:3] == [0, 1, 2]
    x = [float(n) for n in range(101)]
    assert (
        min(made(ops.clip("x", quantiles=(0.1, 0.9)), x=x)),
        max(made(ops.clip("x", quantiles=(0.1, 0.9)), x=x)),
    ) == (
        10,
        90,
    )
    assert made(ops.clip("x", high=3.0), x=[-9.0, 9.0]) == [-9, 3]


def test_encodings() -> None:
    assert made(ops.ordinal("s", ["low", "high"]), s=words("high", "low", "?", None)) == [1, 0, -1, -1]
    assert made(ops.frequency("s"), s=words("a", "a", "b", None)) == [0.5, 0.5, 0.25, 0]
    assert made(ops.frequency("x", "count"), x=[1.0, 1.0, NAN, math.inf]) == [2, 2, 0, 0]
    fitted = ops.frequency("s").fit({"s": words("a")})
    assert fitted({"s": words("new")})["frequency(s)"].tolist() == [0]
    buckets = made(ops.hashed("s", 8), s=words("a", "b", "a", None, ""))
    assert buckets[0] == buckets[2] == 3  # CRC-32 is the same on every machine
    assert buckets[3] == -1
    assert all(0 <= one < 8 for one in (*buckets[:3], buckets[4]))
    assert made(ops.hashed("n", 64), n=[1, 2]) == made(ops.hashed("n", 64), n=[1.0, 2.0])


def test_target_is_the_smoothed_mean() -> None:
    columns = {"s": words("a", "a", "b", None), "y": np.array([1.0, 0.0, 1.0, 0.0])}
    fitted = ops.target("s", "y", smoothing=2.0).fit(columns)
    assert [one.name for one in fitted.inputs] == ["s"]
    found = fitted({"s": words("a", "b", "new", None)})["target(s)"].tolist()
    assert found == pytest.approx([(1 + 2 * 0.5) / 4, (1 + 2 * 0.5) / 3, 0.5, 0.5])


def test_target_never_tells_a_training_row_its_own_label() -> None:
    chance = np.random.default_rng(3)
    rows = 1000
    s, y = words(*(f"id{k}" for k in range(rows))), (chance.random(rows) < 0.5).astype(float)
    transform = Transform([ops.target("s", "y", smoothing=0.0)])
    fitted, matrix = transform.fit_apply({"s": s, "y": y})
    leaked = fitted.apply({"s": s})[:, 0]
    assert np.array_equal(leaked, y.astype(np.float32))
    assert abs(np.corrcoef(matrix[:, 0], y)[0, 1]) < 0.2
    # changing a row's label changes the features of others, never its own
    for at in (0, 17):
        turned = y.copy()
        turned[at] = 1 - turned[at]
        assert transform.fit_apply({"s": s, "y": turned})[1][at] == matrix[at]


def test_target_with_groups_never_tells_a_group_its_labels() -> None:
    group = np.repeat(np.arange(40), 25)
    y = (group % 2).astype(float)
    columns = {"s": words(*(f"g{k}" for k in group)), "g": group, "y": y}
    (_, matrix) = Transform([ops.target("s", "y", by="g", smoothing=0.0)]).fit_apply(columns)
    turned = np.where(group == 7, 1 - y, y)
    (_, other) = Transform([ops.target("s", "y", by="g", smoothing=0.0)]).fit_apply(columns | {"y": turned})
    assert np.array_equal(matrix[group == 7], other[group == 7])


moments = st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1))  # noqa: DTZ001
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
PARTS: dict[str, Any] = {
    "year": lambda t: t.year,
    "quarter": lambda t: (t.month + 2) // 3,
    "month": lambda t: t.month,
    "week": lambda t: t.isocalendar().week,
    "day": lambda t: t.day,
    "day_of_year": lambda t: t.timetuple().tm_yday,
    "weekday": lambda t: t.isoweekday(),
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "second": lambda t: t.second,
    "is_weekend": lambda t: float(t.isoweekday() > 5),
    "epoch": lambda t: t.timestamp(),
}


@pytest.mark.parametrize("part", list(PARTS))
@settings(deadline=None, max_examples=100)
@given(moment=moments, zone=zones)
def test_date_parts_are_the_calendars(part: Any, moment: datetime, zone: str) -> None:
    aware = moment.replace(tzinfo=UTC)
    expected = [PARTS[part](aware.astimezone(ZoneInfo(zone)))]
    micros = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    frame = pl.DataFrame({"t": [aware]}).with_columns(local=pl.col("t").dt.convert_time_zone("Asia/Kolkata"))
    assert made(ops.date_part("t", part, zone), t=words(aware.isoformat())) == pytest.approx(expected)
    assert made(ops.date_part("t", part, zone, "us"), t=[micros]) == pytest.approx(expected)
    for name in ("t", "local"):
        op = ops.date_part(name, part, zone)
        (found,) = op.fit(frame)(from_frame(frame, [name])).values()
        assert found.tolist() == pytest.approx(expected)


def test_clock_time_without_a_zone_and_dates() -> None:
    assert made(ops.date_part("t", "hour", "Europe/Berlin"), t=words("2013-07-01T05:30", None))[0] == 5
    assert made(ops.date_part("t", "epoch", "Europe/Berlin"), t=words("1970-01-01T01:00")) == [0]
    frame = pl.DataFrame({"d": [datetime(2013, 5, 6)]}).with_columns(pl.col("d").cast(pl.Date))  # noqa: DTZ001
    assert Transform([ops.date_part("d", "weekday")]).fit(frame).apply(from_frame(frame)).tolist() == [[1.0]]


def test_elapsed() -> None:
    t, u = words("2013-01-03T00:00:00Z", None), words("2013-01-01T12:00:00+00:00", "2013-01-01")
    assert made(ops.elapsed("t", "u"), t=t, u=u)[0] == 1.5
    assert math.isnan(made(ops.elapsed("t", "u"), t=t, u=u)[1])
    assert made(ops.elapsed("t", datetime(2013, 1, 1, tzinfo=UTC), "hours"), t=t)[0] == 48
    assert made(ops.elapsed("t", datetime(2013, 1, 1), "hours", zone="Europe/Berlin"), t=t)[0] == 49  # noqa: DTZ001


@pytest.mark.parametrize("bad", ["yesterday", "2013-13-01", "", "0000-01-01", "2013-01-01T25:00"])
def test_what_is_no_time_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="no date or time"):
        made(ops.date_part("t", "hour"), t=words("2013-01-01", bad))
    with pytest.raises(InvalidInput, match="years"):
        made(ops.date_part("t", "hour"), t=[1e15])
    with pytest.raises(InvalidInput, match="years"):
        made(ops.date_part("t", "hour"), t=[math.inf])


def test_text() -> None:
    clean = ops.text("s", ["nfkc", "trim", "casefold", "no_accents", "no_punctuation", "one_space"])
    assert made(clean, s=words("  Café-Ⅳ!  ", "STRASSE ﬁ", "!!", None, "")) == [
        "cafe iv",
        "strasse fi",
        None,
        None,
        None,
    ]
    assert made(ops.text("s", ["upper"], [(r"(\d+)\s*KM", r"\1km")], empty="keep"), s=words("12 km", "")) == [
        "12km",
        "",
    ]
    assert made(ops.text_length("s"), s=words("ab c", "")) == [4, 0]
    assert made(ops.text_length("s", "words"), s=words("ab  c", "")) == [2, 0]
    with pytest.raises(InvalidInput, match="characters"):
        made(clean, s=words("x" * 100_001))
    with pytest.raises(InvalidInput, match="holds int"):
        clean.fit({"s": words("a")})({"s": np.array([1], object)})


def test_arithmetic() -> None:
    assert made(ops.ratio("a", "b"), a=[6.0, 1.0, 0.0], b=[3.0, 0.0, 0.0])[0] == 2
    assert all(map(math.isnan, made(ops.ratio("a", "b"), a=[6.0, 1.0, 0.0], b=[3.0, 0.0, 0.0])[1:]))
    assert made(ops.difference("a", "b"), a=[6, 1], b=[True, False]) == [5, 1]
    assert made(ops.product("a", "b"), a=[6, 1], b=[0.5, 2.0]) == [3, 2]


def test_ops_read_what_earlier_ops_made() -> None:
    frame = pl.DataFrame({"city": [" Köln", "KÖLN ", "Bonn"], "a": [1.0, 2.0, 3.0], "b": [2.0, 2.0, 2.0]})
    steps = [
        ops.text("city", ["trim", "casefold"], name="clean"),
        ops.category("clean"),
        aside(ops.ratio("a", "b", name="r")),
        ops.scale("r"),
        ops.bins("scale(r)", edges=[0.0]),
    ]
    fitted = Transform(steps).fit(frame)
    assert fitted.names == ("clean", "scale(r)", "bins(scale(r))")
    assert [one.name for one in fitted.inputs] == ["city", "a", "b"]
    assert fitted.apply(from_frame(frame))[:, 0].tolist() == [1, 1, 0]
    assert FittedTransform.from_bytes(fitted.to_bytes()) == fitted


def test_a_lazy_frame_gives_what_is_read_and_no_more() -> None:
    def never(column: pl.Series) -> pl.Series:
        raise AssertionError(column.name)

    lazy = pl.LazyFrame({"x": [1.0, 2.0], "other": ["a", "b"]})
    lazy = lazy.with_columns(pl.col("other").map_batches(never, return_dtype=pl.String))
    assert Transform([ops.scale("x")]).fit(lazy).apply({"x": np.array([1.5])}).tolist() == [[0.0]]


def test_times_are_read_by_those_who_read_times() -> None:
    frame = pl.DataFrame({"t": [datetime(2013, 1, 1)]})  # noqa: DTZ001
    for op in (ops.category("t"), ops.number("t"), ops.hashed("t")):
        with pytest.raises(InvalidInput, match="date_part"):
            Transform([op]).fit(frame)
    assert Transform([ops.flag_missing("t")]).fit(frame).apply(from_frame(frame)).tolist() == [[0.0]]


X = np.random.default_rng(0).lognormal(size=(400, 2))
COLUMNS = {"a": X[:, 0], "b": X[:, 1]}


def test_scikit_learn_answers_as_it_does_itself() -> None:
    for estimator in (PCA(2), StandardScaler(), QuantileTransformer(n_quantiles=30)):
        fitted = ops.sklearn(estimator, ["a", "b"], name="f").fit(COLUMNS)
        found = np.stack(list(fitted(COLUMNS).values()), axis=1)
        assert np.abs(found - estimator.fit(X).transform(X)).max() < 1e-4
        assert len(fitted.names) == 2
    assert not hasattr(estimator.__class__(), "quantiles_"), "a copy is fitted, not what was handed over"


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (SplineTransformer(), "SplineTransformer cannot be used"),
        (RandomForestClassifier(), "RandomForestClassifier is no scikit-learn transformer"),
        (PCA(5), "PCA cannot be fitted"),
        (object(), "object is no"),
    ],
)
def test_a_transformer_that_cannot_be_used_is_named(estimator: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        ops.sklearn(estimator, ["a", "b"]).fit(COLUMNS)


def test_a_graph_that_differs_is_refused() -> None:
    far = {"a": X[:, 0] + 1e12, "b": X[:, 1]}
    with pytest.raises(InvalidInput, match="KMeans cannot be used"):
        ops.sklearn(KMeans(3, n_init=1), ["a", "b"], tolerance=0.0).fit(far)


def test_a_broken_graph_is_refused() -> None:
    body = Transform([ops.sklearn(StandardScaler(), ["a", "b"])]).fit(COLUMNS).to_json()
    for onnx in ("", "AAAA", "not base64", 3):
        (op,) = body["ops"]
        with pytest.raises(InvalidInput):
            FittedTransform.from_json(body | {"ops": [op | {"onnx": onnx}]})


@pytest.mark.parametrize(("library", "extra"), [("skl2onnx", "ml"), ("onnxruntime", "serve")])
def test_a_library_that_is_not_installed_is_named(library: str, extra: str) -> None:
    code = f"""
import sys
from sklearn.preprocessing import StandardScaler
from modelloop.ground.core.errors import ExtraMissing
from modelloop.prepare import ops
from modelloop.prepare.ops.foreign import FittedSklearn
sys.modules[{library!r}] = None
try:
    ops.sklearn(StandardScaler(), ["a"]).fit({{"a": __import__("numpy").arange(3.0)}})
    if {extra!r} == "serve":
        FittedSklearn((), "", (), False, "")
except ExtraMissing as error:
    sys.exit({library!r} not in str(error) or "modelloop[" not in str(error))
sys.exit(1)
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("op", "says"),
    [
        (ops.impute("x", "mode"), "mode"),  # type: ignore[arg-type]
        (ops.impute("s", "mean"), "strings"),
        (ops.impute("x", "constant"), "value="),
        (ops.impute("empty"), "none of 2 rows"),
        (ops.clip("x"), "neither"),
        (ops.clip("x", 2, 1), "empty"),
        (ops.clip("x", quantiles=(0.9, 0.1)), "rising"),
        (ops.scale("s"), "needs numbers"),
        (ops.scale("x", "log"), "log"),  # type: ignore[arg-type]
        (ops.bins("x", edges=[2, 1]), "do not rise"),
        (ops.bins("x", 1), "2 to 10,000"),
        (ops.ordinal("s", []), "no value"),
        (ops.ordinal("s", ["a", "a"]), "twice"),
        (ops.hashed("s", 1), "buckets"),
        (ops.target("s", "nowhere"), "no column 'nowhere'"),
        (ops.target("s", "s"), "needs numbers"),
        (ops.target("s", "empty"), "no row has a finite"),
        (ops.target("s", "x", folds=1), "2 folds"),
        (ops.date_part("s", "eon"), "eon"),  # type: ignore[arg-type]
        (ops.date_part("s", "hour", "Mars/Base"), "time zone"),
        (ops.date_part("s", "hour", "../../etc/passwd"), "time zone"),
        (ops.text("x"), "needs strings"),
        (ops.text("s", ["shout"]), "shout"),  # type: ignore[list-item]
        (ops.text("s", replace=[("(", "")]), "regular expression"),
        (ops.text("s", replace=[("a", r"\7")]), "regular expression"),
        (ops.ratio("x", "s"), "needs numbers"),
        (ops.sklearn(StandardScaler(), ["x", "s"]), "together"),
        (ops.sklearn(StandardScaler(), "x"), "list of columns"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(op: Any, says: str) -> None:
    columns = {"x": np.array([1.0, 2.0]), "s": words("a", "b"), "empty": np.array([NAN, NAN])}
    with pytest.raises(InvalidInput, match=says):
        op.fit(columns)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([ops.text("s")], "at least one feature"),
        ([aside(ops.number("x"))], "at least one feature"),
        ([ops.scale("x"), ops.scale("x", "robust")], "Two features have the name 'scale\\(x\\)'"),
        ([ops.scale("later"), ops.clip("x", 0, 1, name="later")], "no column 'later'"),
        ([ops.text("s", name="x"), ops.category("x")], "is made by text too"),
        ([ops.text("s", name="t"), ops.scale("t")], "needs numbers"),
    ],
)
def test_what_cannot_be_composed_is_refused_in_words(steps: list[Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Transform(steps).fit({"x": np.array([1.0, 2.0]), "s": words("a", "b")})
