from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from modelloop.ground.flow import actions
from modelloop.ground.flow.records import InputRef, Run, StepRun
from modelloop.ground.pool.adapters.local import LocalExecutor
from modelloop.ground.store.context import Context


class Project:
    """A project folder whose pipelines are run in this process."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        self.ctx, self.folder = ctx, folder
        self.inputs: dict[str, tuple[InputRef, object]] = {}
        self.pauses: list[float] = []

    def write(self, name: str = "steps.py", /, text: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    def submit(self, function: str = "steps:main", *, seed: int = 0, **params: Any) -> Run:
        refs = {name: ref for name, (ref, _) in self.inputs.items()}
        return actions.submit(
            self.ctx,
            pipeline="test",
            function=function,
            project_dir=self.folder,
            inputs=refs,
            params=params,
            seed=seed,
        )

    def execute(self, run_id: str, *, processes: int = 1, elsewhere: bool = False) -> Run:
        self.forget()
        given: Mapping[InputRef, object] = dict(self.inputs.values())
        executor = LocalExecutor(self.folder, self.ctx.blobs.url, processors=processes) if elsewhere else None
        return actions.execute(
            self.ctx,
            run_id,
            resolve=lambda ref: given[ref],
            processes=processes,
            executor=executor,
            sleep=self.pauses.append,
        )

    def run(
        self,
        function: str = "steps:main",
        *,
        seed: int = 0,
        processes: int = 1,
        elsewhere: bool = False,
        **params: Any,
    ) -> Run:
        queued = self.submit(function, seed=seed, **params)
        return self.execute(queued.id, processes=processes, elsewhere=elsewhere)

    def result(self, run: Run) -> object:
        assert run.error is None, run.error.traceback
        return actions.result(self.ctx, run.id)

    def steps(self, run: Run) -> list[StepRun]:
        return actions.steps_of(self.ctx, run.id)

    def states(self, run: Run) -> list[str]:
        assert run.error is None, run.error.traceback
        return [str(step.state) for step in self.steps(run)]

    def forget(self) -> None:
        """As a new process would, import the modules anew."""
        for name, module in list(sys.modules.items()):
            origin = getattr(module, "__file__", None)
            if origin and Path(origin).is_relative_to(self.folder):
                del sys.modules[name]
