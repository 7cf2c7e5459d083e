"""A source of 3 GB ingested in a process of its own: the peak of its memory beside the size of the file."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from modelloop.data.settings import Format, Mode

from ..measure import Measured, Work, environ, versions

SIZE = 3_000_000_000
_PROGRAM = Path(__file__).parents[2] / "tests" / "big_source.py"


def _run() -> Measured:
    sys.path.insert(0, str(_PROGRAM.parent))
    from big_source import make  # noqa: PLC0415 - tests are no package

    notes: dict[str, float | str] = {}
    peaks = []
    with tempfile.TemporaryDirectory(prefix="modelloop-big-") as name:
        folder = Path(name)
        for form in (Format.CSV, Format.PARQUET):
            (folder / "in").mkdir()
            notes[f"{form}: rows"] = make(folder / "in" / f"big.{form}", form, SIZE)
            for mode in (Mode.APPEND, Mode.REPLACE):
                told = _ingested(folder, form, mode)
                peaks.append(told["peak"])
                for what, unit in (("peak", 2**20), ("cpu", 1), ("seconds", 1), ("kept", 2**20)):
                    notes[f"{form}, {mode}: {what}"] = round(told[what] / unit, 1)
            shutil.rmtree(folder / "in")
    return Measured(max(peaks) / 2**20, SIZE / 2**20, "MiB (the largest peak; the file)", notes)


def _ingested(folder: Path, form: Format, mode: Mode) -> dict[str, float]:
    shutil.rmtree(folder / ".modelloop", ignore_errors=True)
    argv = [sys.executable, str(_PROGRAM), str(folder), form, mode]
    told = subprocess.run(argv, check=True, capture_output=True, text=True, env=environ())
    return dict(json.loads(told.stdout))


WORK = Work(
    "peak memory of ingesting 3 GB",
    f"the size of the file, CSV and Parquet, appended and replacing a table ({versions('polars')})",
    0.5,
    _run,
)
