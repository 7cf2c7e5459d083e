"""Steps and pipelines are plain functions: outside a run called as they are, inside one by the run's session.

User functions take no context, so the session of the present run is found through the context variable `current`: the
one documented exception to "no hidden state". Standard library only: user modules import this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import update_wrapper
from types import MethodType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from ..core.errors import PipelineInvalid

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

    def __init__(self, function: Callable[P, R], *, cache: bool, seeded: bool) -> None:
        super().__init__(function)
        self.cache = cache
        self.seeded = seeded

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
def step(*, cache: bool = True, seeded: bool = True) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[P, R] | None = None, /, *, cache: bool = True, seeded: bool = True) -> Any:
    """Mark a function as a step: inside a run its call is recorded and its result kept.

    `cache=False`: call it anew in each run (it reads the outside world); it still never runs twice within one run.
    `seeded=False`: it uses no randomness, so its result is shared between runs with different seeds.
    """
    if function is None:
        return lambda given: Step(given, cache=cache, seeded=seeded)
    return Step(function, cache=cache, seeded=seeded)


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
