"""How a function is called: parameters, defaults and what their annotations promise, looked at once per function."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import PipelineInvalid, StepFailed
from .typed import Promise, promises, told, where_wrong, written

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Shape:
    """The signature of a function, ready to bind and check calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = str(getattr(function, "__qualname__", repr(function)))
        self.signature = inspect.signature(function)
        self.parameters = self.signature.parameters
        self.promises = promises(function)
        self._checks = [(name, found) for name, found in self.promises.items() if name in self.parameters]
        self._returns = self.promises.get("return")
        self._defaults = {n: p.default for n, p in self.parameters.items() if p.default is not p.empty}
        self._is_plain = all(p.kind in _PLAIN for p in self.parameters.values())
        self._positional = [n for n, p in self.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameter -> argument, defaults included; raises PipelineInvalid that names what is expected."""
        if self._is_plain and len(args) <= len(self._positional):
            bound = dict(zip(self._positional, args, strict=False))
            if self.parameters.keys() >= kwargs.keys() and not bound.keys() & kwargs.keys():
                bound = {**self._defaults, **bound, **kwargs}
                if len(bound) == len(self.parameters):
                    return bound
        return self._bind_slowly(args, kwargs)

    def check(self, bound: Mapping[str, Any]) -> None:
        """Raise PipelineInvalid, naming all arguments that are not what their annotations say."""
        wrong = [(name, promise) for name, promise in self._checks if not self._fits(name, promise, bound[name])]
        if not wrong:
            return
        lines = [
            f"{name!r} must be {promise.text}; found {told(bound[name])}{where_wrong(promise.hint, bound[name])}"
            for name, promise in wrong
        ]
        raise PipelineInvalid(
            f"{self.name} was called with what it does not take: {'; '.join(lines)}.",
            hint=f"Expected {self.told()}.",
            detail={"wrong": [{"argument": n, "expected": p.text, "found": told(bound[n])} for n, p in wrong]},
        )

    def check_result(self, value: Any, what: str) -> None:
        """Raise StepFailed where what was returned is not what the annotation says."""
        promise = self._returns
        if promise is None or promise.accepts is None or promise.accepts(value):
            return
        raise StepFailed(
            f"{what} returned {told(value)}{where_wrong(promise.hint, value)}; it says that it returns {promise.text}.",
            hint="Correct the function, or what it is said to return.",
            detail={"step": self.name, "expected": promise.text, "found": told(value)},
        )

    def told(self) -> str:
        """Return `name(parameter: type, ...)`."""
        parts: list[str] = []
        kinds = [parameter.kind for parameter in self.parameters.values()]
        bare = inspect.Parameter.VAR_POSITIONAL not in kinds
        for place, (name, parameter) in enumerate(self.parameters.items()):
            if bare and parameter.kind is parameter.KEYWORD_ONLY and parameter.kind not in kinds[:place]:
                parts.append("*")
            plain = str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
            typed = f"{plain}: {self.promises[name].text}" if name in self.promises else plain
            parts.append(typed if parameter.default is parameter.empty else f"{typed} = {_short(parameter.default)}")
        return f"{self.name}({', '.join(parts)})"

    def _fits(self, name: str, promise: Promise, value: Any) -> bool:
        accepts = promise.accepts
        if accepts is None or accepts(value) or value is self._defaults.get(name, accepts):
            return True
        kind = self.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return all(map(accepts, value))
        return kind is inspect.Parameter.VAR_KEYWORD and all(map(accepts, value.values()))

    def _bind_slowly(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            given = [type(a).__name__ for a in args] + list(kwargs)
            raise PipelineInvalid(
                f"{self.name} cannot be called with ({', '.join(given)}): {error}.",
                hint=f"Expected {self.told()}.",
                detail={"expected": list(self.parameters), "given": given},
            ) from error
        bound.apply_defaults()
        return dict(bound.arguments)


class Shapes:
    """The shapes of functions, each looked at once."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Callable[..., Any], Shape] = weakref.WeakKeyDictionary()

    def of(self, function: Callable[..., Any]) -> Shape:
        """Return the shape of a function."""
        found = self._known.get(function)
        if found is None:
            found = self._known[function] = Shape(function)
        return found


def _short(value: Any) -> str:
    text = written(value) if isinstance(value, type) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
