"""Where nothing changed, at most the promised share of reports says that anything did.

Each simulation makes 200 reports at false_alarms = 0.1 and no margin. Were the true share 0.1, more than 34 alarms
would come up by chance less than once in a thousand times (binomial). The bound is loose: far fewer come up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from modelloop.data.insight.drift import compare, drift_exact
from modelloop.data.insight.profile import profile
from modelloop.data.settings import SourceDriftSettings

REPORTS, LEVEL, MOST = 200, 0.1, 34
SETTINGS = SourceDriftSettings(false_alarms=LEVEL, margin=0.0)


def independent(random: np.random.Generator, rows: int) -> pl.DataFrame:
    columns: dict[str, object] = {f"x{k}": random.normal(size=rows) for k in range(4)}
    columns |= {f"n{k}": random.poisson(3, rows) for k in range(2)}
    columns |= {f"c{k}": [f"v{v}" for v in random.zipf(1.5, rows) % 40] for k in range(3)}
    return with_gaps(pl.DataFrame(columns), random)


def dependent(random: np.random.Generator, rows: int) -> pl.DataFrame:
    """Every column is a copy of one of two, some turned: the worst case for procedures that need independence."""
    shared = random.normal(size=rows)
    columns: dict[str, object] = {f"x{k}": shared * (-1) ** k + 0.1 * random.normal(size=rows) for k in range(6)}
    columns["c"] = np.where(shared > 0, "up", "down")
    return pl.DataFrame(columns)


def with_gaps(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.Series(random.random(len(frame)) >= rate)).then(pl.col(name)).alias(name)
        for name, rate in (("x0", 0.3), ("x1", 0.01), ("c0", 0.1))
    )


@pytest.mark.parametrize("draw", [independent, dependent])
@pytest.mark.parametrize(("before", "after"), [(400, 150), (60, 60)])
@pytest.mark.parametrize("exact", [True, False])
def test_false_alarms_stay_at_the_promised_level(
    draw: Callable[[np.random.Generator, int], pl.DataFrame], before: int, after: int, exact: bool
) -> None:
    random = np.random.default_rng([before, after, exact])
    alarms = 0
    for _ in range(REPORTS):
        reference, now = draw(random, before), draw(random, after)
        report = drift_exact(reference, now, SETTINGS) if exact else compare(profile(reference), now, SETTINGS)
        alarms += bool(report.drifted)
    assert alarms <= MOST


def test_one_reference_for_many_arrivals_keeps_the_promise_on_average() -> None:
    """Arrivals share a reference, so they are right or wrong together: many references are drawn."""
    random = np.random.default_rng(12)
    alarms = 0
    for _ in range(40):
        reference = profile(independent(random, 400))
        alarms += sum(bool(compare(reference, independent(random, 150), SETTINGS).drifted) for _ in range(5))
    assert alarms <= MOST
