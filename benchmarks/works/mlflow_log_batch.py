"""Batches of 100 metrics over HTTP, beside MLflow's own server: the CPU time of the server with all its processes."""

from collections.abc import Callable

from ..measure import Measured, Work
from ..tracking_servers import Server, Task, cpu_a_time

METRICS = 100


def _prepare(server: Server) -> Callable[[int], None]:
    run = server.run(server.experiment("batches"))
    step = 0

    def work(times: int) -> None:
        nonlocal step
        for _ in range(times):
            step += 1
            metrics = [
                {"key": f"m{number}", "value": number / step, "timestamp": step, "step": step}
                for number in range(METRICS)
            ]
            server.post("runs/log-batch", {"run_id": run, "metrics": metrics})

    return work


TASK = Task(_prepare, ours=200, theirs=30)


def measure(*, postgres: bool = False) -> Measured:
    """Measure both on SQLite or on PostgreSQL."""
    ours, theirs, notes = cpu_a_time(TASK, postgres=postgres)
    return Measured(ours * 1e3, theirs * 1e3, f"CPU ms a batch of {METRICS} metrics", notes)


WORK = Work("log_batch over HTTP", "MLflow 3.17.2's server on SQLite", 1 / 5, measure)
