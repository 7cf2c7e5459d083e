"""Errors of user code, told as the user wrote the code: without Modelloop's own frames."""

from __future__ import annotations

import builtins
import importlib
import inspect
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..core.errors import ModelloopError, StepFailed
from .records import RunError

T = TypeVar("T")
_OURS = (str(Path(__file__).parent), str(Path(inspect.__file__)), str(Path(importlib.__file__)), "<frozen importlib")
"""Beginnings of the files whose frames are no part of what the user wrote: ours, and how Python imports."""
_LONGEST = 20_000


def attempt(
    call: Callable[[], T], *, passing: tuple[type[BaseException], ...] = ()
) -> tuple[T | None, BaseException | None]:
    """Call what may reach user code; return its value, or what it raised. `passing` is raised on.

    The one edge between user code and ours, in a run's process and in its children.
    """
    try:
        return call(), None
    except passing:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything; it is recorded and told
        return None, error


def describe(error: BaseException, *, step: str | None = None) -> RunError:
    """Return what is recorded of an exception."""
    told = traceback.TracebackException.from_exception(error)
    _drop_our_frames(told)
    text = _clean("".join(told.format())).replace(f"{ModelloopError.__module__}.", "")
    message = _clean(str(error)) or type(error).__name__
    return RunError(type(error).__name__, message[:_LONGEST], text[-_LONGEST:], step)


def raised_elsewhere(error: RunError) -> Exception:
    """Return an exception to raise here for one raised in another process; built-in classes stay what they are."""
    there = StepFailed(f"Raised in another process of the run.\n{error.traceback}")
    found = getattr(builtins, error.kind, None)
    here: Exception = StepFailed(f"{error.kind}: {error.message}")
    if isinstance(found, type) and issubclass(found, Exception):
        with suppress(TypeError):  # a class whose instances are not made from a message
            here = found(error.message)
    here.__cause__ = there
    return here


def _drop_our_frames(told: traceback.TracebackException) -> None:
    waiting: list[traceback.TracebackException | None] = [told]
    while waiting:
        part = waiting.pop()
        if part is None:
            continue
        if _only_ours(part.__cause__):
            part.__cause__, part.__suppress_context__ = None, True
        kept = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
        part.stack = traceback.StackSummary.from_list(kept)
        waiting += [part.__cause__, part.__context__]


def _only_ours(part: traceback.TracebackException | None) -> bool:
    """Say whether an error came and went within our own code: why we raised another is told by that one."""
    return part is not None and bool(part.stack) and all(frame.filename.startswith(_OURS) for frame in part.stack)


def _clean(text: str) -> str:
    """Return text that every database takes: no NUL, no half characters."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
