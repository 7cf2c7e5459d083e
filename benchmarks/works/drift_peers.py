"""Drift of 1M against 1M rows, all statistics, beside what Evidently and NannyML do when asked for all of theirs.

Both sides count the comparison alone: tables are loaded, libraries imported.
"""

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from modelloop.data.insight.drift import drift_exact
from modelloop.data.settings import SourceDriftSettings

from ..measure import Measured, Work, environ
from ..peers import peer
from .drift import ROWS, table, timed

EVIDENTLY = "evidently==0.7.23"
NANNYML = "nannyml==0.13.1"
_LOAD = """
import json, sys, time
import pandas as pd
reference, now = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
"""
_EVIDENTLY = (
    _LOAD
    + """
from evidently import Report
from evidently.presets import DataDriftPreset
before = time.process_time()
found = Report([DataDriftPreset()]).run(now, reference)
found.json()
print(json.dumps(time.process_time() - before))
"""
)
_NANNYML = (
    _LOAD
    + """
import nannyml
calculator = nannyml.UnivariateDriftCalculator(
    column_names=list(reference.columns), chunk_number=1,
    continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
    categorical_methods=["chi2", "jensen_shannon"],
)
before = time.process_time()
calculator.fit(reference)
calculator.calculate(now).to_df()
print(json.dumps(time.process_time() - before))
"""
)


def _peer_seconds(name: str, script: str, requirements: tuple[str, ...], files: list[Path]) -> float:
    python = peer(name, *requirements)
    ran = subprocess.run([python, "-c", script, *files], check=True, capture_output=True, text=True, env=environ())
    return float(json.loads(ran.stdout.strip().splitlines()[-1]))


def _run() -> Measured:
    reference, now, settings = table(0), table(1, shift=0.5), SourceDriftSettings()
    ours = statistics.median(timed(lambda: drift_exact(reference, now, settings)) for _ in range(5))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "reference.parquet", Path(folder) / "now.parquet"]
        for frame, file in zip((reference, now), files, strict=True):
            frame.write_parquet(file)
        evidently = _peer_seconds("evidently", _EVIDENTLY, (EVIDENTLY, "pandas<3", "pyarrow"), files)
        nannyml = _peer_seconds("nannyml", _NANNYML, (NANNYML, "pandas<3", "pyarrow", "statsmodels"), files)
    notes: dict[str, float | str] = {
        "rows": ROWS,
        "evidently_cpu_s": round(evidently, 1),
        "nannyml_cpu_s": round(nannyml, 1),
        "evidently_times_slower": round(evidently / ours, 1),
        "nannyml_times_slower": round(nannyml / ours, 1),
    }
    return Measured(ours, min(evidently, nannyml), "CPU s", notes)


WORK = Work(
    "drift_exact: 1M against 1M rows, 20 columns",
    f"the faster of {EVIDENTLY} DataDriftPreset and {NANNYML} (KS, JS, W1; chi-square, JS)",
    1 / 20,
    _run,
)
