"""One metric at a time over HTTP, beside MLflow's own server: the CPU time of the server with all its processes."""

from collections.abc import Callable

from ..measure import Measured, Work
from ..tracking_servers import Server, Task, cpu_a_time


def _prepare(server: Server) -> Callable[[int], None]:
    run = server.run(server.experiment("metrics"))
    step = 0

    def work(times: int) -> None:
        nonlocal step
        for _ in range(times):
            step += 1
            body = {"run_uuid": run, "run_id": run, "key": "loss", "value": 1 / step, "timestamp": step, "step": step}
            server.post("runs/log-metric", body)

    return work


TASK = Task(_prepare, ours=2000, theirs=100)


def measure(*, postgres: bool = False) -> Measured:
    """Measure both on SQLite or on PostgreSQL."""
    ours, theirs, notes = cpu_a_time(TASK, postgres=postgres)
    return Measured(ours * 1e3, theirs * 1e3, "CPU ms a metric", notes)


WORK = Work("log_metric, one at a time over HTTP", "MLflow 3.17.2's server on SQLite", 1 / 30, measure)
