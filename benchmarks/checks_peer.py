"""The 40 checks by a peer, in its own environment: `python checks_peer.py NAME FILE` prints CPU seconds and findings.

Only the run is timed (imports and reading the file are not), the middle one of three after one for warmth. The peers
call each row of a repeated id a failure, the first one included: 400 rows for 200 ids that come again.
"""

# ruff: noqa: PLC0415, C901 - each peer is imported where it is installed, and asked in one piece

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

ALLOWED = {f"s{n}": [f"c{k:04}" for k in range(count)] for n, count in enumerate((2, 10, 50, 200))}
RANGES = {f"f{n}": (n - 12.0 * (n + 1), n + 12.0 * (n + 1)) for n in range(8)}
NUMBERS, WHOLE = [f"f{n}" for n in range(5)], ["id", "i1", "i2"]
PATTERN, FAR = r"^(?:c[0-9]{4})$", 15.0


def pandera(path: str) -> Callable[[], dict[str, int]]:
    """Return the checks as a pandera schema over Polars."""
    import pandera.polars as pa
    import polars as pl

    frame = pl.read_parquet(path)

    def column(data: Any, make: Callable[[pl.Expr], pl.Expr]) -> Any:
        return data.lazyframe.select(make(pl.col(data.key)))

    far = pa.Check(lambda data: column(data, lambda x: (x - x.mean()).abs() <= FAR * x.std()), name="zscore")
    rate = pa.Check(lambda data: column(data, lambda x: x.null_count() <= 0.05 * pl.len()), name="null_rate")

    def mean(n: int) -> pa.Check:
        return pa.Check(lambda data: column(data, lambda x: x.mean().is_between(n - 1, n + 1)), name="mean")

    columns: dict[str, pa.Column] = {}
    for n in range(8):
        name, checks = f"f{n}", [pa.Check.in_range(*RANGES[f"f{n}"], name="range")]
        checks += [far] * (n < 3) + [mean(n)] * (n in (3, 4)) + [rate] * (n >= 5)
        columns[name] = pa.Column(pl.Float64 if n < 5 else None, checks, nullable=n >= 5)
    columns["f8"] = pa.Column(None, rate, nullable=True)
    columns |= {name: pa.Column(pl.Int64) for name in ("i1", "i2")}
    columns["id"] = pa.Column(pl.Int64, unique=True)
    columns |= {name: pa.Column(None, pa.Check.isin(a, name="one_of"), nullable=True) for name, a in ALLOWED.items()}
    columns["s4"] = pa.Column(None, pa.Check.str_matches(PATTERN, name="pattern"), nullable=True)
    schema = pa.DataFrameSchema(columns, unique=["id", "i4"])

    def run() -> dict[str, int]:
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            counts = error.failure_cases.group_by("check").len().rows()
            return {str(name).split("(")[0]: int(rows) for name, rows in counts}
        return {}

    return run


def pointblank(path: str) -> Callable[[], dict[str, int]]:
    """Return the checks as a pointblank plan over Polars, without extracts."""
    import pointblank as pb
    import polars as pl

    frame = pl.read_parquet(path)

    def mean(n: int) -> Callable[[pl.DataFrame], bool]:
        return lambda data: n - 1 <= data[f"f{n}"].mean() <= n + 1

    def run() -> dict[str, int]:
        plan = pb.Validate(frame)
        for name in (*NUMBERS, *WHOLE):
            kind = "Float64" if name in NUMBERS else "Int64"
            plan = plan.col_schema_match(pb.Schema(columns=[(name, kind)]), complete=False, in_order=False)
        plan = plan.col_vals_not_null([*NUMBERS, *WHOLE])
        for name in ("f5", "f6", "f7", "f8"):
            plan = plan.col_vals_not_null(name, thresholds=0.05)
        for name, (low, high) in RANGES.items():
            plan = plan.col_vals_between(name, low, high, na_pass=True)
        for name, allowed in ALLOWED.items():
            plan = plan.col_vals_in_set(name, allowed)
        plan = plan.col_vals_regex("s4", PATTERN).rows_distinct("id").rows_distinct(["id", "i4"])
        for n in range(3):
            value = pl.col(f"f{n}")
            plan = plan.col_vals_expr((value - value.mean()).abs() <= FAR * value.std())
        for n in (3, 4):
            plan = plan.specially(mean(n))
        plan = plan.interrogate(collect_extracts=False)
        failed: dict[str, int] = {}
        for one in plan.validation_info:
            if one.n_failed and one.thresholds.warning is None:
                failed[one.assertion_type] = failed.get(one.assertion_type, 0) + int(one.n_failed)
        return failed

    return run


def great_expectations(path: str, *, form: str = "BOOLEAN_ONLY") -> Callable[[], dict[str, int]]:
    """Return the checks as a suite of Great Expectations over pandas; findings are the failed expectations."""
    import great_expectations as gx
    import pandas as pd

    frame = pd.read_parquet(path)
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("t")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    e, suite = gx.expectations, gx.ExpectationSuite("s")
    asked = [e.ExpectColumnValuesToBeOfType(column=name, type_="float64") for name in NUMBERS]
    asked += [e.ExpectColumnValuesToBeOfType(column=name, type_="int64") for name in WHOLE]
    asked += [e.ExpectColumnValuesToNotBeNull(column=name) for name in (*NUMBERS, *WHOLE)]
    asked += [e.ExpectColumnValuesToNotBeNull(column=f"f{n}", mostly=0.95) for n in range(5, 9)]
    asked += [e.ExpectColumnValuesToBeBetween(column=n, min_value=a, max_value=z) for n, (a, z) in RANGES.items()]
    asked += [e.ExpectColumnValuesToBeInSet(column=name, value_set=allowed) for name, allowed in ALLOWED.items()]
    asked += [e.ExpectColumnValuesToMatchRegex(column="s4", regex=PATTERN)]
    asked += [e.ExpectColumnValuesToBeUnique(column="id"), e.ExpectCompoundColumnsToBeUnique(column_list=["id", "i4"])]
    asked += [
        e.ExpectColumnValueZScoresToBeLessThan(column=f"f{n}", threshold=FAR, double_sided=True) for n in range(3)
    ]
    asked += [e.ExpectColumnMeanToBeBetween(column=f"f{n}", min_value=n - 1, max_value=n + 1) for n in (3, 4)]
    for one in asked:
        suite.add_expectation(one)

    def run() -> dict[str, int]:
        told = batch.validate(suite, result_format=form)
        failed = [one for one in told.results if not one.success]
        return {one.expectation_config.type: int((one.result or {}).get("unexpected_count", 1)) for one in failed}

    return run


def main(name: str, path: str, rounds: int = 3) -> dict[str, Any]:
    """Return what the peer found and the CPU seconds it took."""
    made = {"pandera": pandera, "pointblank": pointblank, "great-expectations": great_expectations}[name](path)
    found, spent = made(), []
    for _ in range(rounds):
        before = time.process_time()
        made()
        spent.append(time.process_time() - before)
    summary = great_expectations(path, form="SUMMARY")() if name == "great-expectations" else found
    return {"cpu": statistics.median(spent), "found": summary}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
