"""All of 1,000 runs found by a filter, in an order, over HTTP, beside MLflow's own server; 20 metrics a run.

Between two searches one run changes, so that nothing can answer out of a memory of the whole.
"""

from collections.abc import Callable

from ..measure import Measured, Work
from ..tracking_servers import Server, Task, cpu_a_time

RUNS, METRICS = 1000, 20


def _prepare(server: Server) -> Callable[[int], None]:
    experiment = server.experiment("search")
    run = ""
    for number in range(RUNS):
        run = server.run(experiment)
        metrics = [
            {"key": f"m{place}", "value": number * (place + 1) % 997, "timestamp": 1, "step": 1}
            for place in range(METRICS)
        ]
        params = [{"key": f"p{place}", "value": str(number + place)} for place in range(10)]
        server.post("runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})
    body = {
        "experiment_ids": [experiment],
        "filter": "metrics.m3 >= 0 AND params.p1 != 'x'",
        "order_by": ["metrics.m5 DESC"],
        "max_results": RUNS,
    }

    def work(times: int) -> None:
        for _ in range(times):
            server.post("runs/set-tag", {"run_uuid": run, "run_id": run, "key": "seen", "value": "again"})
            if len(server.post("runs/search", body)["runs"]) != RUNS:
                raise RuntimeError("the search did not find all runs")

    return work


TASK = Task(_prepare, ours=20, theirs=2)


def measure(*, postgres: bool = False) -> Measured:
    """Measure both on SQLite or on PostgreSQL."""
    ours, theirs, notes = cpu_a_time(TASK, postgres=postgres)
    return Measured(ours * 1e3, theirs * 1e3, f"CPU ms a search for {RUNS} runs", notes)


WORK = Work("search_runs over 1,000 runs with filter and order", "MLflow 3.17.2's server on SQLite", 1 / 20, measure)
