"""A source far larger than what is held of it: its size does not decide over memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from big_source import make
from modelloop.data.settings import Format, Mode

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process in /proc"),
]
MB = 2**20
PROGRAM = Path(__file__).parents[2] / "big_source.py"
SMALL = {"PART_BYTES": 2**24, "WHOLE_BYTES": 2**25, "SAMPLE_BYTES": 2**22}


def peak(folder: Path, form: Format, mode: Mode) -> dict[str, float]:
    """Ingest in a process of its own, whose limits are lower, so that a smaller file is large."""
    shutil.rmtree(folder / ".modelloop", ignore_errors=True)
    program = (
        "import runpy, sys; from modelloop.data.actions import gathering; "
        "from modelloop.data.formats import parse; from modelloop.data.adapters import copies\n"
        f"for name, value in {SMALL!r}.items(): assert hasattr(gathering, name); setattr(gathering, name, value)\n"
        "copies.BLOCK = 2**21; copies.IN_MEMORY = 2**21; parse.BATCH_ROWS = 20_000\n"
        f"sys.path.insert(0, {str(PROGRAM.parent)!r}); sys.argv = ['big_source', *sys.argv[1:]]\n"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(folder), form, mode], check=True, capture_output=True, text=True
    )
    return dict(json.loads(told.stdout))


@pytest.mark.parametrize(("form", "mode"), [(Format.CSV, Mode.APPEND), (Format.PARQUET, Mode.REPLACE)])
def test_four_times_the_source_is_not_four_times_the_memory(tmp_path: Path, form: Format, mode: Mode) -> None:
    grown = []
    for size in (40 * MB, 160 * MB):
        place = tmp_path / "in" / f"big.{form}"
        place.parent.mkdir(exist_ok=True)
        rows = make(place, form, size)
        told = peak(tmp_path, form, mode)
        assert told["accepted"] + told["quarantined"] == rows
        assert told["quarantined"] == rows // 1000

        grown.append(told["peak"] - told["before"])
    assert grown[1] < grown[0] + 60 * MB, [one // MB for one in grown]
