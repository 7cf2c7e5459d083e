"""Eight processes that start at once on an empty store all succeed."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from modelloop.ground.store import audit
from modelloop.testing.fakes import make_context
from servers import Servers

STARTER = Path(__file__).with_name("starter.py")
PROCESSES, ROUNDS, APPENDS = 8, 4, 5


@pytest.mark.parametrize("engine", ["sqlite", "18", "15"])
def test_eight_processes_start_at_once_on_an_empty_store(engine: str, servers: Servers, tmp_path: Path) -> None:
    with ExitStack() as stack:
        urls = [
            f"sqlite:///{tmp_path / f'round{number}' / 'facts.sqlite'}"
            if engine == "sqlite"
            else stack.enter_context(servers.postgres(engine).fresh())
            for number in range(ROUNDS)
        ]
        command = [sys.executable, STARTER]
        started = [
            subprocess.Popen([*command, str(n), tmp_path, str(APPENDS), *urls], stderr=subprocess.PIPE, text=True)
            for n in range(PROCESSES)
        ]
        for number in range(ROUNDS):
            wait_for_all(tmp_path, f"ready-{number}-*", started)
            (tmp_path / f"go-{number}").touch()
        ended = [(process.communicate(timeout=120)[1], process.returncode) for process in started]
        assert [code for _, code in ended] == [0] * PROCESSES, "\n".join(text for text, _ in ended)
        for number, url in enumerate(urls):
            ctx = make_context(tmp_path / f"home-{number}", database_url=url)
            assert audit.verify_store(ctx) == PROCESSES * APPENDS
            ctx.db.close()


def wait_for_all(folder: Path, pattern: str, started: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob(pattern))) < len(started):
        failed = [process for process in started if process.poll() not in (None, 0)]
        if failed or time.monotonic() > deadline:
            texts = [process.communicate()[1] for process in failed]
            for process in started:
                process.kill()
            pytest.fail(f"{len(failed)} of {len(started)} failed: {texts}")
        time.sleep(0.005)
