"""Functions that several processes carry out together."""

import os
import signal
import time
from pathlib import Path

import psutil


def fit(rank):
    import torch  # noqa: PLC0415 - heavy; here where it is needed
    from torch.nn.parallel import DistributedDataParallel  # noqa: PLC0415 - heavy; here where it is needed

    model = DistributedDataParallel(torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rows = rank.share(len(rank.data["x"]))
    x, y = (torch.tensor(rank.data[name][rows.start : rows.stop]) for name in ("x", "y"))
    for _ in range(rank["steps"]):
        optimizer.zero_grad()
        loss = ((model(x)[:, 0] - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    weight = model.module.weight.detach()
    return {"rank": rank.rank, "world": rank.world, "rows": len(rows), "weight": weight, "array": weight.numpy()[0]}


def listening(rank):
    """Return where the processes of this run listen."""
    import torch  # noqa: PLC0415 - heavy; here where it is needed

    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    own = [psutil.Process(), psutil.Process(os.getppid())]
    places = [c.laddr.ip for p in own for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    torch.distributed.barrier()
    return {"total": total.item(), "places": places}


def second_raises(rank):
    if rank.rank == 1:
        raise KeyError("lamp oil")
    time.sleep(rank.get("sleep", 0))
    return 1


def second_dies(rank):
    Path(rank["pids"], str(os.getpid())).touch()
    if rank.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def hangs(rank):
    Path(rank["pids"], str(os.getpid())).touch()
    time.sleep(600)


def fails_once(rank):
    import torch  # noqa: PLC0415 - heavy; here where it is needed

    torch.distributed.barrier()
    mark = Path(rank["mark"])
    if rank.rank == 0 and not mark.exists():
        mark.touch()
        raise RuntimeError("the first time")
    return "done"
