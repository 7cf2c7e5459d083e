"""Crews and torch on a Ray cluster of two nodes, with nodes that see this machine's files and nodes that do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelloop.ground.core.errors import InvalidInput, PipelineInvalid, StepFailed
from modelloop.train.parallel.adapters import ray as on_ray
from modelloop.train.parallel.adapters import ray_together
from modelloop.train.parallel.crew import Failed, Finished, Stopped, crew_for
from modelloop.train.parallel.many import train_many
from modelloop.train.parallel.together import distributed

sys.path.insert(0, str(Path(__file__).parents[2] / "pool"))
sys.path.insert(0, str(Path(__file__).parent))
import parallel_objectives as objectives
import parallel_ranks as ranks
from cluster import Cluster
from test_processes import carried_out

pytestmark = [
    # not imported here: Ray looks at the environment when it is, and that of the cluster is not set yet
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster with a processor on each of two nodes."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        try:
            made.start("127.0.0.2", cpus=1)
            made.start("127.0.0.3", cpus=1)
            yield f"ray://{made.address}"
        finally:
            made.stop()


@pytest.fixture(params=["near", "far"])
def distance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """`far`: the nodes are told that they do not see this machine's files."""
    if request.param == "far":
        for kind in (on_ray._Actor, ray_together.RankActor):
            monkeypatch.setattr(kind, "sees", unseen)
    return str(request.param)


def unseen(self: object) -> bool:
    return False


def test_trials_share_data_on_all_nodes(executor: str, distance: str) -> None:
    data = {"x": np.arange(1000.0), "frame": pl.DataFrame({"a": [1.0, 2.0]})}
    with closing(crew_for(objectives.summed, processes=2, executor=executor, data=data)) as crew:
        ends = carried_out(crew, [{"a": number} for number in range(4)])
    assert [end.value for end in ends if isinstance(end, Finished)] == [499503.0 + number for number in range(4)]


def test_deaths_errors_and_stops_mean_what_they_mean_here(executor: str) -> None:
    with closing(crew_for(objectives.odd_ones_die, processes=2, executor=executor)) as crew:
        ends = carried_out(crew, [{}] * 4)
    assert [type(end) for end in ends] == [Finished, Failed] * 2
    with closing(
        crew_for(objectives.curve, processes=2, executor=executor, heard=lambda r: r.number == 1 and r.step == 2)
    ) as crew:
        going, stopped = carried_out(crew, [{"steps": 5, "slope": 1.0}] * 2)
    assert isinstance(going, Finished)
    assert isinstance(stopped, Stopped)
    assert stopped.step == 2


def test_a_hanging_trial_is_ended(executor: str, tmp_path: Path) -> None:
    params = {"hangs": True, "file": str(tmp_path / "pids")}
    with closing(crew_for(objectives.hanging, processes=1, executor=executor, time_limit=2)) as crew:
        slow, fast = carried_out(crew, [params, {"hangs": False}])
    assert isinstance(slow, Failed)
    assert "time limit of 2 s" in slow.error
    assert isinstance(fast, Finished)


def test_fits_of_many_models(executor: str) -> None:
    made = train_many(
        objectives.fold_size, models={"a": {"plus": 1}, "b": {"plus": 0}}, folds=3, metric="size", direction="higher",
        data={"x": np.zeros(30)}, processes=2, executor=executor,
    )  # fmt: skip
    assert made.best == "a"
    assert len(made.fits) == 6


def test_more_processes_than_the_cluster_has_are_refused(executor: str) -> None:
    with pytest.raises(PipelineInvalid, match="9 processes on a Ray cluster that has 2 processors"):
        crew_for(objectives.add, processes=9, executor=executor)
    with pytest.raises(InvalidInput, match="no executor 'ray://'"):
        crew_for(objectives.add, processes=2, executor="ray://")


def test_one_model_is_fitted_by_processes_on_both_nodes(executor: str, distance: str) -> None:
    pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    y = x @ np.array([1.0, 2.0, -3.0], dtype=np.float32)
    told = distributed(ranks.fit, processes=2, params={"steps": 100}, data={"x": x, "y": y}, executor=executor)
    assert [value["rank"] for value in told.values] == [0, 1]
    assert np.allclose(told.value["array"], [1, 2, -3], atol=0.01)
    assert np.array_equal(told.values[0]["array"], told.values[1]["array"])


def test_the_error_of_one_process_is_told(executor: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(StepFailed, match=r"Process 1 of 2 failed\. KeyError: 'lamp oil'"):
        distributed(ranks.second_raises, processes=2, executor=executor)
