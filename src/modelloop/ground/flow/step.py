"""Steps and pipelines are plain functions: outside a run called as they are, inside one by the run's session.

User functions take no context, so the session of the present run is found through the context variable `current`: the
one documented exception to "no hidden state". Standard library only: user modules import this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from functools import update_wrapper
from types import MethodType
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, cast, overload

from ..core.errors import PipelineInvalid
from .amounts import duration, size

P = ParamSpec("P")
R = TypeVar("R")

_COROUTINE_OR_GENERATOR = 0x20 | 0x80 | 0x200  # inspect.CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


class Session(Protocol):
    """What a step needs of the run it is called in."""

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the step once: from the journal, from the cache, or for real."""
        ...

    def map(
        self, step: Step[Any, Any], items: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """Call the step once per item, several at a time; keep the order."""
        ...

    def log(self, name: str, value: float, step: int | None) -> None:
        """Record a metric."""
        ...

    def artifact(self, name: str, data: bytes) -> None:
        """Keep bytes with the run."""
        ...

    def ask(self, name: str, question: str, choices: Sequence[str]) -> str:
        """Return a person's answer; where there is none yet, the run waits for it and its process ends."""
        ...


class Care(NamedTuple):
    """How calls of a step are carried out: what they may take, how often they are tried."""

    retries: int = 0
    """How often it is tried again after the first time."""
    pause: timedelta = timedelta(seconds=1)
    """Before the first further attempt; twice as long before each next one."""
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    timeout: timedelta | None = None
    """Of one attempt."""
    cpus: float = 1.0
    memory: int = 0
    """Bytes; 0: not said."""
    gpus: float = 0.0

    @property
    def elsewhere(self) -> bool:
        """Say whether a call needs a process of its own, that can be held to this and ended."""
        return self.timeout is not None or self.memory > 0 or self.gpus > 0 or self.cpus != 1.0


current: ContextVar[Session | None] = ContextVar("modelloop_session", default=None)


class _Wrapped(Generic[P, R]):
    """A function that keeps its name, documentation and signature, and knows whether it is called inside a run."""

    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R]) -> None:
        _check_plain(function)
        self.function = function
        update_wrapper(cast(Callable[..., Any], self), function)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(cast(Callable[..., Any], self), instance)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self.__qualname__}>"

    def __reduce__(self) -> str:
        return self.__qualname__


class Step(_Wrapped[P, R]):
    """A function whose calls are recorded inside a run, and whose results are kept by content."""

    def __init__(self, function: Callable[P, R], *, cache: bool, seeded: bool, care: Care | None = None) -> None:
        super().__init__(function)
        self.cache = cache
        self.seeded = seeded
        self.care = care or Care()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or inside a run have the call recorded."""
        session = current.get()
        if session is None:
            return self.function(*args, **kwargs)
        result: R = session.call(self, args, kwargs)
        return result

    def map(self, items: Iterable[Any], *args: Any, **kwargs: Any) -> list[R]:
        """Call the step once per item (its first argument), in parallel inside a run; results come in order.

        Each item is recorded and kept by itself. Outside a run this is `[step(item, *args, **kwargs) for item in
        items]`.
        """
        session = current.get()
        if session is None:
            call: Callable[..., R] = self.function
            return [call(item, *args, **kwargs) for item in items]
        return session.map(self, list(items), args, kwargs)


class Pipeline(_Wrapped[P, R]):
    """A function that calls steps. Calling it never starts a run: Modelloop does, by name."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    cache: bool = True,
    seeded: bool = True,
    retries: int = 0,
    pause: str | float | timedelta = "1s",
    retry_on: tuple[type[BaseException], ...] | type[BaseException] = (Exception,),
    timeout: str | float | timedelta | None = None,
    cpus: float = 1,
    memory: str | int = 0,
    gpus: float = 0,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(  # noqa: PLR0913 - what may be said of a step, each by its name
    function: Callable[P, R] | None = None,
    /,
    *,
    cache: bool = True,
    seeded: bool = True,
    retries: int = 0,
    pause: str | float | timedelta = "1s",
    retry_on: tuple[type[BaseException], ...] | type[BaseException] = (Exception,),
    timeout: str | float | timedelta | None = None,
    cpus: float = 1,
    memory: str | int = 0,
    gpus: float = 0,
) -> Any:
    """Mark a function as a step: inside a run its call is recorded and its result kept.

    `cache=False`: call it anew in each run (it reads the outside world); it still never runs twice within one run.
    `seeded=False`: it uses no randomness, so its result is shared between runs with different seeds.
    `retries=3, pause="1s", retry_on=(ConnectionError,)`: try again so often after these errors, with a pause that
    doubles. A time-out is tried again only where `StepTimeout` is listed.
    `timeout="5m"`, `cpus=.5`, `memory="2GB"`, `gpus=1`: each attempt gets that and no more; it is carried out in a
    process of its own, which is ended with all its children when its time is over.
    """
    if function is not None:
        return Step(function, cache=cache, seeded=seeded)
    care = Care(
        _whole(retries, "retries"),
        duration(pause, "pause"),
        _classes(retry_on),
        None if timeout is None else _above_zero(duration(timeout, "timeout")),
        _share(cpus, "cpus"),
        size(memory, "memory"),
        _share(gpus, "gpus"),
    )
    return lambda given: Step(given, cache=cache, seeded=seeded, care=care)


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline() -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(function: Callable[P, R] | None = None, /) -> Any:
    """Mark a function as a pipeline: an ordinary one that calls steps, and may branch and loop on their results.

    A parameter named `seed` receives the run's seed where none is given.
    """
    return Pipeline if function is None else Pipeline(function)


def log(name: str, value: float, *, step: int | None = None) -> None:
    """Record a metric of the present run (`step`: the iteration, where there is one). Outside a run: nothing."""
    session = current.get()
    if session is not None:
        session.log(name, float(value), step)


def artifact(name: str, data: bytes | str) -> None:
    """Keep bytes or text (a picture, a report) with the present run under a name. Outside a run: nothing."""
    session = current.get()
    if session is not None:
        session.artifact(name, data.encode() if isinstance(data, str) else bytes(data))


def ask(name: str, question: str, *, choices: Sequence[str] = ("yes", "no")) -> str:
    """Ask a person and return the answer, one of `choices`. Call it in a pipeline, not in a step.

    Until somebody answers (`modelloop runs answer RUN NAME yes`) the run waits: its process ends and holds nothing.
    With the answer the run goes on: calls that finished are not made again, and `ask` returns.
    """
    _check_question(name, choices)
    session = current.get()
    if session is None:
        raise PipelineInvalid(
            f"ask({name!r}) was called outside of a run, where nobody can be asked.",
            hint="Start the pipeline with `modelloop run`; a test can replace `ask` by a function that answers.",
        )
    return session.ask(name, question, tuple(choices))


def _check_question(name: str, choices: Sequence[str]) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > 120:
        raise PipelineInvalid(f"A question needs a name of 1 to 120 letters; found {name!r}.")
    plain = not isinstance(choices, str) and all(isinstance(choice, str) and choice for choice in choices)
    if not plain or not 1 <= len(set(choices)) == len(choices):
        raise PipelineInvalid(
            f"The choices of {name!r} are {choices!r}; expected different texts.", hint='For instance ("yes", "no").'
        )


def _whole(given: int, what: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= 1000:
        raise PipelineInvalid(f"{what} is {given!r}; expected a whole number from 0 to 1000.")
    return given


def _share(given: float, what: str) -> float:
    if not isinstance(given, int | float) or isinstance(given, bool) or not 0 <= given <= 10_000:
        raise PipelineInvalid(f"{what} is {given!r}; expected a number such as 0.5 or 2.")
    return float(given)


def _above_zero(given: timedelta) -> timedelta:
    if given <= timedelta(0):
        raise PipelineInvalid("timeout is 0; a step needs some time.", hint='Write "30s", "5m" or "1.5h".')
    return given


def _classes(given: Any) -> tuple[type[BaseException], ...]:
    listed = given if isinstance(given, tuple) else (given,)
    if not listed or not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in listed):
        raise PipelineInvalid(
            f"retry_on is {given!r}; expected classes of errors.", hint="For instance retry_on=(ConnectionError,)."
        )
    return listed


def _check_plain(function: Any) -> None:
    if not callable(function):
        raise PipelineInvalid(
            f"A step or pipeline must be a function; {function!r} was given.",
            hint="Write @step or @step(cache=False) above a `def`.",
        )
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _COROUTINE_OR_GENERATOR:
        raise PipelineInvalid(
            f"{function.__qualname__} is a generator or async; a step or pipeline must be a plain function.",
            hint="Return a list, or a table, instead.",
        )
