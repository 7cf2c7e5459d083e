"""The table and the 40 checks that validation is measured with: 500 values out of range, 100 unknown, 200 ids again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Severity

ROWS = 1_000_000
FOUND = {"range": 500, "one_of": 100, "unique": 200}
CATEGORIES = (2, 10, 50, 200, 1_000)
CACHE = Path(__file__).parent.parent / "build" / "bench"
RANGES = {f"f{n}": (float(n) - 12 * (n + 1), float(n) + 12 * (n + 1)) for n in range(8)}
PATTERN = "c[0-9]{4}"
ZSCORE = 15.0


def table(seed: int = 4) -> pl.DataFrame:
    """Return a million rows: 10 float, 5 integer, 5 string columns; five of the floats have missing values."""
    random = np.random.default_rng(seed)
    values: dict[str, np.ndarray] = {"id": random.permutation(ROWS).astype(np.int64)}
    values |= {f"i{n}": random.integers(0, 10 ** (2 * n), ROWS) for n in range(1, 5)}
    values |= {f"f{n}": np.clip(random.normal(n, n + 1, ROWS), n - 10 * (n + 1), n + 10 * (n + 1)) for n in range(10)}
    places = random.permutation(ROWS)
    values["f0"][places[:500]] = 12.5  # 12.5 deviations: out of its range, within the z-score
    values["id"][places[1_000:1_200]] = values["id"][places[2_000:2_200]]
    frame = pl.DataFrame(values)
    words = [np.array([f"c{k:04}" for k in range(count)])[random.integers(0, count, ROWS)] for count in CATEGORIES]
    words[1][places[3_000:3_100]] = "c9999"
    frame = frame.with_columns(pl.Series(f"s{n}", one) for n, one in enumerate(words))
    missing = [
        pl.when(pl.Series(random.random(ROWS) >= 0.02)).then(pl.col(f"f{n}")).alias(f"f{n}") for n in range(5, 10)
    ]
    return frame.with_columns(missing)


def stored() -> Path:
    """Return the table as a Parquet file, written once."""
    path = CACHE / "mixed-1.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        table().write_parquet(path)
    return path


def allowed(n: int) -> list[str]:
    """Return the categories of a string column."""
    return [f"c{k:04}" for k in range(CATEGORIES[n])]


def contract() -> ContractSettings:
    """Return the 40 checks: 8 types, 8 not-null, 4 null-rate, 8 range, 4 set, 1 regex, 1 unique, 1 key, 3 z-score,
    2 mean. (Types of the other columns, and their not-null, are checked besides: a contract lists every column.)"""
    columns: dict[str, ColumnSettings] = {}
    for n in range(10):
        low, high = RANGES.get(f"f{n}", (None, None))
        columns[f"f{n}"] = ColumnSettings(
            ColumnType.FLOAT,
            nullable=n >= 5,
            min=low,
            max=high,
            max_null_rate=0.05 if 5 <= n <= 8 else None,
            max_zscore=ZSCORE if n < 3 else None,
            mean=(n - 1.0, n + 1.0) if n in (3, 4) else None,
        )
    columns["id"] = ColumnSettings(ColumnType.INTEGER, unique=True)
    columns |= {f"i{n}": ColumnSettings(ColumnType.INTEGER) for n in range(1, 5)}
    columns |= {f"s{n}": ColumnSettings(ColumnType.STRING, one_of=tuple(allowed(n))) for n in range(4)}
    columns["s4"] = ColumnSettings(ColumnType.STRING, pattern=PATTERN)
    return ContractSettings(columns, unique=(("id", "i4"),), on_violation=Severity.QUARANTINE, max_quarantined=0.1)


def by_hand(frame: pl.DataFrame) -> dict[str, int]:
    """Check the table as somebody would who knows Polars well: one query, duplicates looked for if a count says so."""
    asked = [pl.col(name).null_count().alias(f"null {name}") for name in frame.columns]
    for name, (low, high) in RANGES.items():
        asked.append(((pl.col(name) < low) | (pl.col(name) > high)).sum().alias(f"range {name}"))
    asked += [(~pl.col(f"s{n}").is_in(allowed(n))).sum().alias(f"one_of s{n}") for n in range(4)]
    asked.append((~pl.col("s4").unique().str.contains(f"^(?:{PATTERN})$")).any().alias("pattern s4"))
    for name in ("f0", "f1", "f2"):
        far = (pl.col(name) - pl.col(name).mean()).abs() > ZSCORE * pl.col(name).std()
        asked.append(far.sum().alias(f"zscore {name}"))
    asked += [pl.col(name).mean().alias(f"mean {name}") for name in ("f3", "f4")]
    asked.append(pl.col("id").n_unique().alias("ids"))
    told = frame.lazy().select(asked).collect().row(0, named=True)
    again = pl.DataFrame()
    if told["ids"] < frame.height:
        again = frame.lazy().filter(pl.col("id").is_duplicated()).select("id", "i4").collect()
    compound = int(again.is_duplicated().sum()) if again.height else 0
    return {
        "range": sum(v for k, v in told.items() if k.startswith("range")),
        "one_of": sum(v for k, v in told.items() if k.startswith("one_of")),
        "unique": frame.height - told["ids"],
        "other": compound + int(told["pattern s4"]) + sum(v for k, v in told.items() if k.startswith("zscore"))
        + sum(told[f"null {name}"] > 0 for name in ("f0", "f1", "f2", "f3", "f4", "id", "i1", "i2"))
        + sum(told[f"null f{n}"] > 0.05 * frame.height for n in range(5, 9))
        + sum(not n - 1 <= told[f"mean f{n}"] <= n + 1 for n in (3, 4))
        + sum(frame.schema[name] not in (pl.Float64, pl.Int64, pl.String) for name in frame.columns),
    }  # fmt: skip
