"""A process that appends to a prediction log and says on its output, number by number, what has returned."""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from pathlib import Path

from modelloop.deploy.log import PredictionLog, frame

ACK = struct.Struct("<Qd")


def main() -> None:
    """Append until killed: FOLDER, durability, bytes a file."""
    folder, durability, rotate_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    log = PredictionLog(folder, "g1", time.time_ns(), rotate_at=rotate_at)
    number = 0
    while True:
        one = frame({"k": "a", "n": number, "pad": "x" * (number % 500)})
        if durability == "process":
            kept = log.append(one)
        elif durability == "buffered":
            kept = log.append_buffered(one)
        else:
            done = threading.Event()
            log.append_disk(one, lambda _good, done=done: done.set())  # type: ignore[misc]
            kept = done.wait(30)
        if not kept:
            sys.exit("not kept")
        os.write(1, ACK.pack(number, time.monotonic()))
        number += 1


if __name__ == "__main__":
    main()
