"""One of several processes that start at once: python starter.py NAME FOLDER APPENDS DATABASE_URL...

Waits before each database until the test lets all go at the same instant.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from modelloop.ground.core.clock import SystemClock
from modelloop.ground.core.records import Event
from modelloop.ground.store import audit
from modelloop.testing.fakes import make_context


def main(name: str, folder: Path, appends: int, *urls: str) -> None:
    for number, url in enumerate(urls):
        (folder / f"ready-{number}-{name}").touch()
        while not (folder / f"go-{number}").exists():
            time.sleep(0.001)
        ctx = make_context(folder / f"home-{number}", database_url=url, clock=SystemClock())
        ctx.blobs.probe()
        for turn in range(appends):
            with ctx.db.transaction() as connection:
                audit.append(connection, ctx, Event("start", f"process:{name}", {"turn": turn}))
        ctx.db.close()
        (folder / f"done-{number}-{name}").touch()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
