"""Groups of processes that end with the process they work for, whatever happens to it: grandchildren too.

`process.die_with_parent` ends one process; what that one has started would stay. So each child leads a process group
and holds the reading end of a pipe on which nothing is ever written. When the parent ends, however it ends, the kernel
closes the other end and sends SIGKILL to the whole group. No thread, no polling, and code that never lets go of the
interpreter cannot delay it. Where there is no such call (macOS) a thread waits for the end of the pipe.

The kernel's own signal at the parent's death comes second, and must not kill: with a parent of many threads it can come
before the pipe is closed, and a dead reader would let its group live. Its handler ends the group. It is for a parent
that was forked: the copy holds the pipe open.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .process import die_with_parent

_F_SETSIG = 10
_PR_SET_PDEATHSIG = 1


def bind_to(parent: int, lifeline: int, *, becoming: bool = False) -> None:
    """Bind this process and its group, which it must lead, to the process that holds the other end of the pipe.

    `becoming`: it will become another program (`exec`), and stay bound. Call it in the main thread.
    """
    os.set_inheritable(lifeline, becoming)
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        if not becoming:
            signal.signal(signal.SIGRTMAX, lambda _sign, _frame: end_group(os.getpgrp()))
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGRTMAX), 0, 0, 0)
    else:
        die_with_parent(parent)
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
    if os.getppid() != parent:  # it ended before the kernel knew
        end_group(os.getpgrp())


@contextmanager
def second_holder(lifeline: int) -> Iterator[None]:
    """Have another process of the group hold the lifeline too.

    For a parent that, when it ends, kills its children one by one, as Ray's workers do: this one would be dead before
    the pipe is closed, and what it has started would live.
    """
    pid = os.fork()
    if pid == 0:
        os.dup2(lifeline, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        while True:
            signal.pause()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def end_group(group: int) -> None:
    """End all processes of a group, at once."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    end_group(os.getpgrp())
