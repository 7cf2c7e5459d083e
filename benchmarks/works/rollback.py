"""`modelloop rollback`: what stands between a person who sees harm and the version before; beside opening its facts.

The command runs against a project whose gateway is under way; the notes say how long it is from the command's start to
the first answer by the other version.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from modelloop import app
from modelloop.deploy import actions
from modelloop.deploy.records import Stage
from modelloop.evaluate.settings import Task
from modelloop.project import read_project
from modelloop.scaffold import scaffold

from ..measure import PYTHON, Measured, Work, cpu_of, environ, paired, versions

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from gateway_process import Place, gateway, request, wait_for  # tests are no package
from packages import make_candidate, put_package
from served import put_version

ROUNDS = 9
LEAST_PAUSE = 0.002
ENDPOINT = '\n[endpoints.late]\nmodel = "delay"\nregistered = true\n[endpoints.late.rollout]\nbake_rows = 0\n'
_OPEN = """
import sys, sqlalchemy as sa
engine = sa.create_engine(sys.argv[1])
place = sa.table("deploy_endpoint", sa.column("name"), sa.column("champion"))
with engine.connect() as connection:
    assert connection.execute(sa.select(place)).all()
"""


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder, _two_versions(Path(folder)) as address:
        order = cycle(["delay:1", "delay:2"])
        url = app.settings_for(Path(folder)).database_url
        ours, reference = paired(
            lambda: cpu_of(_command(Path(folder), next(order))), lambda: cpu_of([PYTHON, "-c", _OPEN, url]), ROUNDS
        )
        # an odd number of commands ran, so the next one changes what answers too
        taken = [_until_answered(Path(folder), address, next(order)) for _ in range(ROUNDS)]
    notes: dict[str, float | str] = {
        "wall s until the first answer by the other version": round(statistics.median(taken), 3),
        "the slowest": round(max(taken), 3),
        "bar of wall s": 1.0,
    }
    return Measured(ours, reference, "CPU s", notes)


@contextmanager
def _two_versions(folder: Path) -> Iterator[str]:
    """Yield the address of a gateway at which delay:1 answered and delay:2 does."""
    scaffold(folder, "bench", task=Task.BINARY)
    file = folder / "modelloop.toml"
    file.write_text(file.read_text() + ENDPOINT)
    project, ctx = read_project(file), app.open_context(folder)
    with gateway(Place(folder / ".modelloop", app.settings_for(folder).blobs_url)) as process:
        for number in (1, 2):
            digest = put_package(ctx.blobs, make_candidate((number / 10, -0.01, 0.2)))
            name = put_version(ctx, number, digest=digest).name
            rollout = actions.start_rollout(ctx, project, "late", name, reason="benchmark")
            wait_for(lambda known=rollout.id: actions.advance(ctx, known).stage is not Stage.CHECK)
            if actions.rollout(ctx, rollout.id).stage is not Stage.LIVE:
                actions.promote(ctx, "late", reason="benchmark")
        ctx.db.close()
        yield process.address


def _command(folder: Path, version: str) -> list[str]:
    return [PYTHON, "-m", "modelloop", "rollback", "late", "--to", version, "--project", str(folder)]


def _until_answered(folder: Path, address: str, version: str) -> float:
    """Return the seconds from the start of the command to the first answer by the version."""
    body = json.dumps(request())
    line = HTTPConnection(urlsplit(address).netloc)
    began = time.perf_counter()
    process = subprocess.Popen(_command(folder, version), stdout=subprocess.DEVNULL, env=environ())
    while True:
        line.request("POST", "/v2/models/late/infer", body)
        if json.load(line.getresponse())["parameters"]["version"] == version:
            break
        time.sleep(LEAST_PAUSE)
    took = time.perf_counter() - began
    assert process.wait(60) == 0
    line.close()
    return took


WORK = Work(
    "modelloop rollback, the whole command",
    f"a process that opens the same facts and reads one row ({versions('sqlalchemy')})",
    1.6,
    _run,
)
