"""40 checks of a table of 1,000,000 x 20 beside one hand-written Polars query that counts the same."""

import time

import polars as pl

from modelloop.data.contract.checks import check
from modelloop.data.contract.judge import Before, Judge

from ..measure import Measured, Work, paired, versions
from ..mixed import FOUND, by_hand, contract, stored


def ours(frame: pl.DataFrame) -> float:
    """Return the CPU seconds of our checks, with counts, examples and the reasons of each bad row."""
    before = time.process_time()
    found = {one.check: one.violations for one in check(frame, contract()).results if not one.holds}
    spent = time.process_time() - before
    assert found == FOUND, found
    return spent


def _hand(frame: pl.DataFrame) -> float:
    before = time.process_time()
    found = by_hand(frame)
    spent = time.process_time() - before
    assert found == FOUND | {"other": 0}, found
    return spent


def _whole(frame: pl.DataFrame) -> float:
    """Return the CPU seconds of an arrival: checked, sorted into good and bad rows, described, reported."""
    before = time.process_time()
    judge = Judge(contract(), Before())
    parts = judge.take(frame, "file")
    report = judge.report()
    spent = time.process_time() - before
    assert (len(parts.good), report.quarantined) == (len(frame) - len(parts.bad), len(parts.bad))
    return spent


def _run() -> Measured:
    frame = pl.read_parquet(stored())
    mine, reference = paired(lambda: ours(frame), lambda: _hand(frame), rounds=9)
    whole, _ = paired(lambda: _whole(frame), lambda: 0.0, rounds=5)
    return Measured(
        mine, reference, "CPU s",
        {"found": str(FOUND), "a whole arrival, sorted into good and bad rows and described, CPU s": round(whole, 3)},
    )  # fmt: skip


WORK = Work(
    "40 checks of 1,000,000 x 20",
    f"one hand-written Polars query, duplicates looked for only if a count says so ({versions('polars')})",
    1.3,
    _run,
)
