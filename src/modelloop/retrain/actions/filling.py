"""A pipeline that prepares data: the frame it returned becomes a file of a source, and is taken in under its contract.

Heavy: the run's process does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...data import actions as data
from ...data.records import Ingest
from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from ...ground.flow import actions as flow
from ...ground.store.context import Context

if TYPE_CHECKING:
    from ...project import Project


def fill_source(ctx: Context, project: Project, project_dir: Path, run_id: str) -> Ingest | None:
    """Write what a finished run returned into the folder of the source that its pipeline fills, and ingest it.

    The file is named after the run and appears whole, so the same run again adds nothing. Returns None where the
    pipeline fills none, or the rows are in already. Raises InvalidInput unless a frame came, DataRefused where the
    contract refuses its rows.
    """
    run = flow.get_run(ctx, run_id)
    settings = project.pipelines.get(run.pipeline)
    if settings is None or settings.fills is None:
        return None
    source = project.sources[settings.fills]
    frame = flow.result(ctx, run_id)
    if not isinstance(frame, pl.DataFrame):
        raise InvalidInput(
            f"The pipeline {run.pipeline!r} fills {settings.fills!r} and returned {type(frame).__name__}, not a frame.",
            hint="End it with `return FRAME`, a Polars DataFrame.",
        )
    folder = project_dir / (source.path or "")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{run_id}.parquet"
    if not file.exists():
        part = folder / f".{run_id}.part"
        frame.write_parquet(part)
        part.replace(file)
    return data.ingest(
        ctx, settings.fills, source, project.contracts[source.contract], root=project_dir, message=f"made by {run_id}"
    )
