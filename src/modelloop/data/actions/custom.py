"""Checks that a project wrote in Python, each in a process of its own: whoever ingests never imports user code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...ground.core.errors import StepFailed
from ...ground.core.later import polars as pl
from ..settings import CustomCheckSettings

PATIENCE = 600.0
"""Seconds that one check may take on one batch."""


def custom_checks(
    root: Path, asked: Mapping[str, CustomCheckSettings], *, patience: float = PATIENCE
) -> dict[str, Callable[[pl.DataFrame], Any]]:
    """Return the checks by name: each takes a frame and returns a Boolean series, a bool, or a sentence.

    A check that raises, dies or takes too long raises StepFailed with what is to be told.
    """
    return {name: partial(_ask, root, one.function, patience) for name, one in asked.items()}


def _ask(root: Path, reference: str, patience: float, frame: pl.DataFrame) -> Any:
    with tempfile.TemporaryDirectory(prefix="modelloop-check-") as folder:
        rows, answer = Path(folder) / "rows", Path(folder) / "answer"
        frame.write_ipc(rows)
        words = [str(os.getpid()), str(root.resolve()), reference, str(rows), str(answer)]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "modelloop.data.contract.custom_child", *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StepFailed(f"{reference} took longer than {patience:g} s.") from error
        if not answer.exists():
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no word"]
            raise StepFailed(f"{reference} ended with exit status {done.returncode}: {last[0][:300]}")
        return _read(reference, json.loads(answer.read_bytes()), len(frame))


def _read(reference: str, told: Mapping[str, Any], rows: int) -> pl.Series | bool | str:
    if "error" in told:
        raise StepFailed(f"{reference} failed: {told['error']}", detail={"traceback": told.get("traceback", "")})
    if "table" in told:
        return told["table"]  # type: ignore[no-any-return]  # bool or str: see custom_child
    if told["length"] != rows:
        raise StepFailed(f"{reference} returned {told['length']} answers for {rows} rows.")
    good = pl.repeat(value=True, n=rows, eager=True, dtype=pl.Boolean)
    return good.scatter(told["bad"], values=False) if told["bad"] else good
