"""How any executor must behave. Subclass `ExecutorSuite` in a test file and give it two fixtures.

`blobs`: bytes that this process and the executor's can reach. `executor`: one for a project folder that holds the
`STEPS` (write them with `write_steps`), with two processors to share; it may serve all tests of the class.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ..ground.core.errors import PipelineInvalid
from ..ground.flow.codecs import Decoder, Encoder, Remembered, from_text, to_text
from ..ground.flow.elsewhere import Answer, Executor, Resources, Task
from ..ground.store.blobs import Blobs

MODULE = "suite_steps"
STEPS = '''\
"""What the suite has carried out."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from modelloop import artifact, log, step


@step
def add(a, b=1):
    return a + b


@step
def tell(name):
    print(f"hello from {name}")
    log("size", 1.5)
    log("loss", 0.25, step=3)
    artifact(f"{name}.txt", "kept")
    return name


def deeper(value):
    raise KeyError(value)


@step
def fail(value):
    deeper(value)


@step
def note(folder, number, broken):
    Path(folder, str(number)).touch()
    if broken:
        raise ValueError(f"number {number}")
    time.sleep(0.2)
    return number


@step
def linger(folder, seconds):
    other = subprocess.Popen(["sleep", "300"])
    Path(folder, f"{os.getpid()}.draft").write_text(f"{os.getpid()} {other.pid}")
    Path(folder, f"{os.getpid()}.draft").rename(Path(folder, f"{os.getpid()}.pids"))
    time.sleep(seconds)


@step
def meet(folder, number, guests, patience):
    """Say whether so many were here at the same time."""
    here = Path(folder, f"{number}.here")
    here.touch()
    until = time.monotonic() + patience
    try:
        while time.monotonic() < until:
            if len(list(Path(folder).glob("*.here"))) >= guests:
                time.sleep(0.5)
                return True
            time.sleep(0.01)
        return False
    finally:
        here.unlink()


@step
def die(how):
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


@step
def reverse(data):
    return data[::-1]


@step
def unstorable():
    return {"model": object()}


@step
def burn(seconds, size):
    held = bytearray(os.urandom(1000)) * (size // 1000)
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return len(held)


@step
def dice():
    return random.random()
'''


def write_steps(project: Path) -> Path:
    """Write what the suite calls into a project folder, and return it."""
    project.mkdir(parents=True, exist_ok=True)
    (project / f"{MODULE}.py").write_text(STEPS)
    return project


class Asking:
    """Makes tasks and reads answers, as a run does."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self.decoder = Decoder(blobs.get, Remembered())

    def task(self, step: str, *own: Any, seed: int | None = None, seconds: float | None = None, **needs: Any) -> Task:
        """Return a call of a step with these arguments; `needs`: its resources."""
        limit = None if seconds is None else timedelta(seconds=seconds)
        shared = self._text(([], {}))
        return Task(f"{MODULE}:{step}", seed, self._text(list(own)), shared, Resources(**needs), limit)

    def value(self, answer: Answer) -> Any:
        """Return the result; the suite fails with the error if there is one."""
        assert answer.error is None, answer.error
        return self.decoder.decode(from_text(answer.text))

    def _text(self, value: Any) -> str:
        return to_text(Encoder(self.blobs.put, Remembered(), stores=True, types=set()).encode(value)).decode()


def alive(pid: int) -> bool:
    """Say whether a process of this machine runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pids: Sequence[int], *, within: float = 2.0) -> bool:
    """Say whether all processes end within some seconds."""
    until = time.monotonic() + within
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(map(alive, pids))


class _Asking:
    """What all parts of the suite use."""

    @pytest.fixture
    def asking(self, blobs: Blobs) -> Asking:
        """Tasks whose values go through the blobs."""
        return Asking(blobs)

    def all(self, executor: Executor, tasks: Sequence[Task], *, stop_at_error: bool = True) -> dict[int, Answer]:
        """Return place -> answer; each place comes once."""
        found = list(executor.run(tasks, stop_at_error=stop_at_error))
        assert len(dict(found)) == len(found)
        return dict(found)

    def lingering(self, folder: Path, least: int) -> list[int]:
        """Wait until calls of `linger` have written their process numbers; return those."""
        until = time.monotonic() + 60
        while len(list(folder.glob("*.pids"))) < least and time.monotonic() < until:
            time.sleep(0.02)
        found = [int(word) for path in folder.glob("*.pids") for word in path.read_text().split()]
        assert len(found) >= 2 * least
        return found

    def close(self, iterator: Iterator[Any]) -> None:
        """Close a generator."""
        iterator.close()  # type: ignore[attr-defined]


class Answers(_Asking):
    """What calls give back."""

    def test_it_is_usable(self, executor: Executor) -> None:
        """Blobs that others can reach are enough."""
        assert executor.usable

    def test_results_come_with_their_places(self, executor: Executor, asking: Asking) -> None:
        """In whatever order they are over."""
        found = self.all(executor, [asking.task("add", number) for number in range(12)])
        assert {place: asking.value(answer) for place, answer in found.items()} == {n: n + 1 for n in range(12)}

    def test_nothing_asked_is_nothing_done(self, executor: Executor) -> None:
        """An empty list has no answers."""
        assert list(executor.run([])) == []

    def test_shared_arguments_follow_the_own(self, executor: Executor, asking: Asking) -> None:
        """Positional ones and by name."""
        one = asking.task("add", 1)
        by_name = Task(one.step, None, one.own, asking._text(([], {"b": 10})))
        by_place = Task(one.step, None, one.own, asking._text(([20], {})))
        found = self.all(executor, [by_name, by_place])
        assert [asking.value(found[place]) for place in (0, 1)] == [11, 21]

    def test_metrics_and_artifacts_come_back(self, executor: Executor, asking: Asking) -> None:
        """Points as they were logged, artifacts as blobs."""
        answer = self.all(executor, [asking.task("tell", "there")])[0]
        assert asking.value(answer) == "there"
        assert list(answer.points) == [("size", 1.5, None), ("loss", 0.25, 3)]
        assert [(name, asking.blobs.get(digest)) for name, digest in answer.artifacts] == [("there.txt", b"kept")]

    def test_a_thousand_tiny_calls(self, executor: Executor, asking: Asking) -> None:
        """None is lost, each is made once."""
        found = self.all(executor, [asking.task("add", number) for number in range(1000)])
        assert [asking.value(found[place]) for place in range(1000)] == list(range(1, 1001))

    def test_large_values_go_through_the_blobs(self, executor: Executor, asking: Asking) -> None:
        """There and back; the answer itself stays small."""
        data = os.urandom(1 << 20) * 24
        answer = self.all(executor, [asking.task("reverse", data)])[0]
        assert len(answer.text) < 1000
        assert asking.value(answer) == data[::-1]

    def test_what_cannot_be_kept_is_refused(self, executor: Executor, asking: Asking) -> None:
        """With the place within the value and its type."""
        error = self.all(executor, [asking.task("unstorable")])[0].error
        assert error is not None
        assert error.kind == "ValueNotStorable"
        assert "unstorable returned what cannot be kept" in error.message
        assert "['model'] is a object" in error.message

    def test_seeds_decide(self, executor: Executor, asking: Asking) -> None:
        """The same gives the same, in whatever process."""
        found = self.all(executor, [asking.task("dice", seed=seed) for seed in (1, 2, 1, 1)])
        values = [asking.value(found[place]) for place in range(4)]
        assert values[0] == values[2] == values[3] != values[1]


class Endings(_Asking):
    """How calls come to an end that is none of their own."""

    def test_an_error_has_the_traceback_of_the_users_code(self, executor: Executor, asking: Asking) -> None:
        """Kind, message, step; and no frame of ours."""
        error = self.all(executor, [asking.task("fail", "colour")])[0].error
        assert error is not None
        assert (error.kind, error.message, error.step) == ("KeyError", "'colour'", "fail")
        assert "in fail" in error.traceback
        assert "deeper(value)" in error.traceback
        assert f"{MODULE}.py" in error.traceback
        assert "/modelloop/ground/" not in error.traceback

    def test_after_an_error_nothing_new_is_begun(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """What runs is waited for."""
        tasks = [asking.task("note", str(tmp_path), number, number == 1) for number in range(20)]
        found = self.all(executor, tasks)
        assert found[1].error is not None
        begun = {int(path.name) for path in tmp_path.iterdir()}
        assert begun == set(found)
        assert len(begun) < 10

    def test_or_everything_is_done_all_the_same(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """If that is asked for."""
        tasks = [asking.task("note", str(tmp_path), number, number % 2 == 0) for number in range(6)]
        found = self.all(executor, tasks, stop_at_error=False)
        assert [found[place].error is None for place in range(6)] == [False, True] * 3

    def test_closing_the_iterator_ends_what_runs(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """The processes of the calls and those that they started, before `close` returns; others can be made then."""
        iterator = executor.run([asking.task("add", 1), *[asking.task("linger", str(tmp_path), 300)] * 2])
        next(iterator)
        pids = self.lingering(tmp_path, 1)
        assert all(map(alive, pids))
        self.close(iterator)
        assert gone(pids)
        assert asking.value(self.all(executor, [asking.task("add", 1)])[0]) == 2

    def test_a_call_that_takes_too_long_is_ended(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """With what it started; the error says the limit, and the others go on."""
        tasks = [asking.task("linger", str(tmp_path), 300, seconds=0.7), asking.task("add", 1, seconds=60)]
        found = self.all(executor, tasks, stop_at_error=False)
        error = found[0].error
        assert error is not None
        assert error.kind == "StepTimeout"
        assert "0.7 s" in error.message
        assert error.step == "linger"
        assert 0.6 < found[0].usage.wall_seconds < 30
        assert asking.value(found[1]) == 2
        assert gone(self.lingering(tmp_path, 1))

    @pytest.mark.parametrize("how", ["killed", "left"])
    def test_a_dead_process_is_an_answer(self, executor: Executor, asking: Asking, how: str) -> None:
        """It says how it ended; the other calls are made."""
        tasks = [asking.task("die", how), *[asking.task("add", number) for number in range(4)]]
        found = self.all(executor, tasks, stop_at_error=False)
        error = found[0].error
        assert error is not None
        assert error.kind == "WorkerDied"
        assert ("signal 9" if how == "killed" else "exit status 3") in error.message
        assert [asking.value(found[place]) for place in range(1, 5)] == [1, 2, 3, 4]


class Shares(_Asking):
    """What calls may have, and what they took."""

    def test_halves_of_a_processor_are_shared(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """Four calls of half a processor are at work together on two."""
        tasks = [asking.task("meet", str(tmp_path), number, 4, 60, cpus=0.5) for number in range(4)]
        found = self.all(executor, tasks)
        assert [asking.value(found[place]) for place in range(4)] == [True] * 4

    def test_whole_processors_are_not(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """Two of three calls of one processor are, never all."""
        tasks = [asking.task("meet", str(tmp_path), number, 3, 0.7, cpus=1) for number in range(3)]
        found = self.all(executor, tasks)
        assert [asking.value(found[place]) for place in range(3)] == [False] * 3

    @pytest.mark.parametrize(
        "needs", [{"cpus": 5000}, {"cpus": 0.5, "gpus": 99}, {"memory": 1 << 60}, {"cpus": -1}], ids=str
    )
    def test_what_nowhere_is_is_refused(self, executor: Executor, asking: Asking, needs: dict[str, Any]) -> None:
        """Before anything runs, naming what was asked and what there is."""
        with pytest.raises(PipelineInvalid, match="asks for"):
            executor.check(Resources(**needs))
        with pytest.raises(PipelineInvalid, match="asks for"):
            next(executor.run([asking.task("add", 1, **needs)]))
        executor.check(Resources(cpus=0.5))

    def test_usage_is_that_of_the_call(self, executor: Executor, asking: Asking) -> None:
        """Processor, wall, and the peak of this call, not that of one before it."""
        large = self.all(executor, [asking.task("burn", 0.4, 200_000_000)])[0]
        small = self.all(executor, [asking.task("burn", 0.0, 1000)])[0]
        assert 0.35 < large.usage.cpu_seconds < large.usage.wall_seconds + 0.5
        assert large.usage.wall_seconds >= large.seconds * 0.9 > 0.3
        assert 200_000_000 < large.usage.peak_bytes < 500_000_000
        assert 1_000_000 < small.usage.peak_bytes < 150_000_000
        assert 0 <= small.usage.cpu_seconds < 0.3
        assert large.usage.gpu_seconds == 0
        assert large.place

    def test_more_memory_than_asked_for_is_refused(self, executor: Executor, asking: Asking) -> None:
        """The error says how much was asked for; a call that takes less is made; the limit ends with the call."""
        tasks = [asking.task("burn", 0.0, size, memory=100_000_000) for size in (400_000_000, 20_000_000)]
        found = self.all(executor, [*tasks, asking.task("burn", 0.0, 300_000_000)], stop_at_error=False)
        error = found[0].error
        assert error is not None
        assert error.kind == "MemoryError"
        assert "100 MB of memory" in error.message
        assert [asking.value(found[place]) for place in (1, 2)] == [20_000_000, 300_000_000]


class ExecutorSuite(Answers, Endings, Shares):
    """What `Executor` promises, wherever calls are carried out. Its nodes must be on this machine."""
