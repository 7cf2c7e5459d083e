"""Several processes that train one torch model: what torch's own launcher (torchrun) starts, and its launcher.

`python -m modelloop.train.parallel.adapters.torchrun launch FOLDER PROCESSES RESTARTS` is the launcher,
`... rank FOLDER` one of its processes, `... alone ...` one that something else started. The launcher's meet through
files and talk over loopback: nothing listens outside.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from ....ground.core.later import needed
from ....ground.flow.failure import attempt
from ....ground.flow.process import die_with_parent
from ..own import said_of
from ..rank import Rank
from ..shelf import Files, Opened
from ..target import load, read_job, settle

_MODULE = f"{__package__}.torchrun"
ENDED = "ended.json"
"""What the launcher says of processes that ended by themselves."""


def run_rank(folder: Path, out: Path, rank: int, world: int, meeting: str, *, local_rank: int) -> None:
    """Carry out the function as one of several processes, and write down in `out` what it returned or raised."""
    out.mkdir(exist_ok=True)
    told, raised = attempt(lambda: _carried_out(folder, out, (rank, world, local_rank), meeting))
    if raised is not None:
        (out / "error.json").write_text(json.dumps({"error": said_of(raised)}))
        raise SystemExit(1)
    draft = out / "draft.json"
    draft.write_text(json.dumps(told))
    draft.rename(out / "value.json")


def _carried_out(folder: Path, out: Path, place: tuple[int, int, int], meeting: str) -> Any:
    rank, world, local_rank = place
    job = read_job(folder)
    settle(job["environment"])
    torch = needed("torch", "torch")
    groups = importlib.import_module("torch.distributed")
    torch.manual_seed(job["seed"])
    groups.init_process_group(
        job["backend"], init_method=meeting, rank=rank, world_size=world, timeout=timedelta(seconds=job["patience"])
    )
    try:
        function = load(job["target"], folder)
        made = Rank(
            job["params"], rank, world, seed=job["seed"], data=Opened(job["data"], folder), local_rank=local_rank
        )
        return Files(out).put("what the function returned", function(made))
    finally:
        groups.destroy_process_group()
        sys.stdout.flush()


def launch(folder: Path, processes: int, restarts: int) -> None:
    """Have torch's elastic launcher start the processes, watch them, and start them again where one fails."""
    launcher = importlib.import_module("torch.distributed.launcher.api")
    errors = importlib.import_module("torch.distributed.elastic.multiprocessing.errors")
    config = launcher.LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=folder.name,
        rdzv_backend="c10d",
        rdzv_endpoint=str(folder / "meeting"),
        rdzv_configs={"store_type": "file", "timeout": 60},
        local_addr="127.0.0.1",
        max_restarts=restarts,
    )
    try:
        launcher.elastic_launch(config, sys.executable)("-m", _MODULE, "rank", str(folder))
    except errors.ChildFailedError as error:
        ended = {rank: failure.exitcode for rank, failure in error.failures.items()}
        (folder / ENDED).write_text(json.dumps(ended))
        raise SystemExit(1) from error


def main(words: list[str]) -> None:
    """Be what was asked for."""
    if words[0] == "launch":
        launch(Path(words[1]), int(words[2]), int(words[3]))
        return
    if words[0] == "alone":
        _, job, out, number, count, meeting, local_number = words
        run_rank(Path(job), Path(out), int(number), int(count), meeting, local_rank=int(local_number))
        return
    die_with_parent(os.getppid())
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    folder = Path(words[1])
    attempt_number = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    run_rank(
        folder, folder / f"rank{rank}", rank, world, f"file://{folder / f'group{attempt_number}'}", local_rank=local
    )


if __name__ == "__main__":
    main(sys.argv[1:])
