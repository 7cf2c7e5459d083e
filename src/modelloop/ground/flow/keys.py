"""From a call to its key: the arguments are bound, checked and hashed, the code is looked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from ..core.hashing import hash_bytes, hash_json
from . import environment
from .codecs import Encoder, Remembered, to_text
from .fingerprint import Fingerprints
from .journal import Call
from .records import StepKey
from .shape import Shapes
from .sources import Sources
from .step import Pipeline, Step
from .values import is_frame

_CODE = (FunctionType, BuiltinFunctionType, MethodType, partial, type)
_LONGEST_SHOWN = 80


class Keys:
    """Makes the calls of one run, each with its key."""

    def __init__(self, project: Path, remembered: Remembered, seed: int) -> None:
        self.sources = Sources(project)
        self.shapes = Shapes()
        self.fingerprints = Fingerprints(self.sources, lambda value: self._hashed(value)[0])
        self.remembered = remembered
        self._seed = seed
        self._packages = environment.counted()
        self._environment = hash_json(self._packages)
        self._numbers = 0
        self._met: Counter[str] = Counter()
        self._named: Counter[str] = Counter()
        self._codes: dict[int, tuple[Mapping[str, str], str]] = {}
        self._told: set[str] = set()

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return the call; raises PipelineInvalid for arguments that do not fit, ValueNotStorable for some values."""
        shape = self.shapes.of(step.function)
        bound = shape.bind(args, kwargs)
        shape.check(bound)
        code, code_digest = self._code(step)
        arguments, shown, extra = {}, {}, dict[str, str]()
        for name, value in bound.items():
            arguments[name], types, shown[name] = self._argument(value)
            for met in types:
                extra.update(self.fingerprints.of(met))
        if extra.items() - code.items():
            code = {**code, **extra}
            code_digest = hash_json(code)
        seed = self._seed if step.seeded else None
        digest = hash_json([code_digest, arguments, seed, self._environment])
        number, nth, place = self._numbers, self._met[digest], self._named[step.__qualname__]
        self._numbers += 1
        self._met[digest] += 1
        self._named[step.__qualname__] += 1
        key = StepKey(digest, code, arguments, seed, self._environment, shown)
        return Call(step, args, kwargs, number, key, code_digest, nth, place)

    def untold(self, call: Call) -> dict[str, Mapping[str, Any]]:
        """Return digest -> what it stands for, of those parts of the key that were not returned before."""
        if call.code in self._told and self._environment in self._told:
            return {}
        texts = self.fingerprints.texts
        parts: dict[str, Mapping[str, Any]] = {
            self._environment: {"environment": self._packages},
            call.code: {"code": dict(call.key.code)},
            **{digest: {"text": texts[digest]} for digest in call.key.code.values() if digest in texts},
        }
        fresh = {digest: body for digest, body in parts.items() if digest not in self._told}
        self._told.update(fresh)
        return fresh

    def _code(self, step: Step[Any, Any]) -> tuple[Mapping[str, str], str]:
        if id(step) not in self._codes:
            code = self.fingerprints.of(step)
            self._codes[id(step)] = code, hash_json(dict(code))
        return self._codes[id(step)]

    def _argument(self, value: Any) -> tuple[str, set[type], str]:
        """Return the digest of an argument, the classes in it, and what it is; functions and classes count by code."""
        plain = value.function if isinstance(value, Step | Pipeline) else value
        if not isinstance(plain, _CODE):
            return self._hashed(plain)
        name = f"{getattr(plain, '__module__', '')}:{getattr(plain, '__qualname__', '')}"
        return hash_json([name, dict(self.fingerprints.of(plain))]), set(), name[:_LONGEST_SHOWN]

    def _hashed(self, value: Any) -> tuple[str, set[type], str]:
        encoder = Encoder(hash_bytes, self.remembered, stores=False, types=set())
        node = encoder.encode(value)
        self.remembered.add(value, node, stored=False)
        text = to_text(node)
        return hash_bytes(text), encoder.types, _shown(value, text)


def _shown(value: Any, text: bytes) -> str:
    """Return a value in a few letters: itself where it is small, else what it is."""
    kind = type(value).__name__
    if is_frame(value):
        shape = getattr(value, "shape", None)
        return kind if shape is None else f"{kind} {' x '.join(map(str, shape))}"
    if len(text) <= _LONGEST_SHOWN and isinstance(value, str | int | float | bool | list | tuple | dict | None):
        return repr(value)[:_LONGEST_SHOWN]
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"{kind}{size}"
