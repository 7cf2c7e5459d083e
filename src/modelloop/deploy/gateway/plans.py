"""What the fast way knows of a route: made once per routing table, so that a request costs few operations.

Bytes that do not vary between requests (of answers and of records) are made here.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import orjson

from ...ground.core.later import numpy as np
from ..privacy import covered, covered_key, covered_tensors, text_of
from ..records import Stage
from ..route import ArmName
from .asking import Desk
from .given import MAX_ID
from .reading import Reader, reader_of
from .reply import compressed
from .rows import RowReader
from .runtime import LoadedArm, LoadedRoute, headline
from .shadow import ShadowJob
from .single import Feed, Form, Single, Wording
from .tensors import TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

_ENCODE = msgspec.msgpack.Encoder().encode
_FRAME = struct.Struct("<II").pack
_MAP = struct.Struct(">BH").pack
_MOMENT = struct.Struct(">4s31s4sQ4sQ4sd5sd").pack
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_KNOWN = frozenset({"inputs", "id", "parameters"})
_BINARY = {"binary_data_output": True}
_BETWEEN = b',"parameters":{"prediction_id":"'
_PLAIN = b"content-type: application/json\r\nmodelloop-prediction-id: %b\r\ncontent-length: %d\r\n\r\n%b"
_FACTS = 11
"""Entries of every record: k, ep, gen, arm, v, id, at, et, ms, lat, s. Those of the inputs follow."""
_BITS = 53
_PLACES = 8


Read: TypeAlias = "tuple[Mapping[str, npt.NDArray[Any]], int, Mapping[str, Any], str | None, bool]"
"""A request for the fast way: its columns, rows, what is logged of it, its id, and whether raw answers are wanted."""
Scored: TypeAlias = "tuple[list[npt.NDArray[Any]], list[float]]"
"""What a version answered: its outputs in order, and the headline as one number a row."""


class Share:
    """Says which keys are among a share: `route.place(key, salt) < share`, in one hash."""

    __slots__ = ("_hash", "_limit")

    def __init__(self, share: float, salt: str) -> None:
        encoded = salt.encode("utf-8", "surrogatepass")
        key = encoded if len(encoded) <= blake2b.MAX_KEY_SIZE else blake2b(encoded).digest()
        self._hash = blake2b(digest_size=_PLACES, key=key)
        places = math.ceil(share * 2.0**_BITS) << (64 - _BITS)
        self._limit = None if places >= 2**64 else max(0, places).to_bytes(_PLACES, "big")

    def holds(self, key: str) -> bool:
        """Say whether a key is among them."""
        return self.holds_encoded(key.encode("utf-8", "surrogatepass"))

    def holds_encoded(self, key: bytes) -> bool:
        """Say the same of a key in UTF-8."""
        if self._limit is None:
            return True
        found = self._hash.copy()
        found.update(key)
        return found.digest() < self._limit


class ArmPlan:
    """One version of a route: asks it, and says and writes what it answered."""

    def __init__(self, route: LoadedRoute, arm: LoadedArm, name: ArmName, generation: int, desk: Desk) -> None:
        signature = arm.signature
        outputs = getattr(arm.scorer, "outputs", None)
        self._ask: Callable[[Any], Mapping[str, Any]] = outputs or _scoring(arm)
        self._specs = [
            (spec.name, np.dtype(TYPES[spec.datatype]), tuple(spec.shape[1:]), spec.datatype)
            for spec in signature.answered
        ]
        self._output, self._dtype = signature.output, np.dtype("float32")
        bare = getattr(arm.scorer, "bare", None)
        self._session: Any = None if bare is None else _bare(bare[0])
        self._graph_output: list[str] = [""] if bare is None else [bare[1]]
        self._headline = [spec.name for spec in signature.answered].index(signature.output)
        self._single = len(self._specs) == 1 and self._specs[0][1] == np.float32 and self._specs[0][2] == ()
        self._many = bool(signature.outputs) and not self._single
        self._policy, self._key = route.route.log, desk.log_key
        self._route = route.route
        self._tensors = bool(signature.tensors)
        self._extras = bool(self._policy.drop or self._policy.mask or route.route.outcome_key or route.route.slices)
        endpoint, version = route.route.endpoint, arm.arm.version
        self.tally = desk.counters.tally(endpoint, version, str(name))
        model, number = orjson.dumps(endpoint), orjson.dumps(version.rpartition(":")[2])
        self._before = b'{"model_name":%b,"model_version":%b,"id":' % (model, number)
        self._after = b'","version":%b},"outputs":[' % orjson.dumps(version)
        self._names = [
            b'{"name":%b,"datatype":"%b","shape":' % (orjson.dumps(name), datatype.encode())
            for name, _, _, datatype in self._specs
        ]
        # a form for %: what may stand in names must not be taken for a place
        fixed = [part.replace(b"%", b"%%") for part in (self._before, _BETWEEN, self._after, self._names[0])]
        self._form = b'%b%%b%b%%b%b%b[%%d],"data":%%b}]}' % tuple(fixed)
        # of one row without an id of its own
        self._wording = Wording(self._before + b'"', b'"' + _BETWEEN, self._after + self._names[0] + b'[1],"data":')
        self._facts = b"".join(
            _ENCODE(word)
            for pair in (("k", "a"), ("ep", endpoint), ("gen", generation), ("arm", str(name)), ("v", version))
            for word in pair
        )
        self._plain = not (self._extras or self._many)
        self._start = _MAP(0xDE, _FACTS + 1) + self._facts
        self._start_shadowed = _MAP(0xDE, _FACTS + 2) + self._facts
        self._inputs = _ENCODE("t" if self._tensors else "x")

    def single(self, name: str, shape: Sequence[int], shadowed: str) -> Single | None:
        """Return what asks it with one row of one tensor, where nothing else belongs to its answer and record.

        `shadowed`: the version that scores some requests too, or nothing.
        """
        if not (self._plain and self._single) or self._session is None:
            return None
        plain = Form(self._start, name, shape, b"")
        other = Form(self._start_shadowed, name, shape, b"\xa2sv" + _ENCODE(shadowed))
        return Single(self._session.run, self._graph_output[0], self._wording, plain, other)

    def score(self, columns: Mapping[str, Any], rows: int) -> Scored | None:
        """Return the outputs where they are as promised; None: the careful way finds out what they are."""
        if not self._single:
            return self._several(self._ask(columns), rows)
        if self._session is not None:
            values = self._session.run(self._graph_output, columns, None)[0]
            if values.ndim == 2:
                values = values.reshape(-1)
        else:
            values = self._ask(columns)[self._output]
        if values.dtype != self._dtype or values.shape != (rows,):
            return None
        scores = values.tolist()
        if rows == 1:
            return ([values], scores) if scores[0] - scores[0] == 0.0 else None
        return ([values], scores) if math.isfinite(values.dot(values)) else None

    def _several(self, found: Mapping[str, Any], rows: int) -> Scored | None:
        outputs = []
        for name, dtype, tail, _ in self._specs:
            values = found[name]
            if values.dtype != dtype or values.ndim != len(tail) + 1 or len(values) != rows:
                return None
            if any(a not in (-1, b) for a, b in zip(tail, values.shape[1:], strict=True)):
                return None
            if dtype.kind == "O" or not values.flags.c_contiguous:
                return None
            if dtype.kind == "f" and not np.isfinite(values).all():
                return None
            outputs.append(values)
        return outputs, headline(outputs[self._headline])

    def reply(self, prediction: bytes, read: Read, outputs: list[npt.NDArray[Any]], accepted: bytes) -> bytes:
        """Return a response behind its status line and the server's own headers."""
        _, rows, _, given, binary = read
        if rows == 1 and given is None and self._single and not binary and not accepted:
            return self._wording.answer(prediction, orjson.dumps(outputs[0], option=_NUMPY))
        shown = b'"%b"' % prediction if given is None else orjson.dumps(given)
        if self._single and not binary:
            data = orjson.dumps(outputs[0], option=_NUMPY)
            body = self._form % (shown, prediction, rows, data)
            if not accepted:
                return _PLAIN % (prediction, len(body), body)
            return _unusual(prediction, body, [], accepted)
        parts = [self._before, shown, _BETWEEN, prediction, self._after]
        raws: list[bytes] = []
        comma = b""
        for head, values in zip(self._names, outputs, strict=True):
            shape = b"[%d]" % rows if values.ndim == 1 else orjson.dumps(values.shape)
            if binary:
                raws.append(values.tobytes())
                parts += [comma, head, shape, b',"parameters":{"binary_data_size":%d}}' % len(raws[-1])]
            else:
                parts += [comma, head, shape, b',"data":', orjson.dumps(values.reshape(-1), option=_NUMPY), b"}"]
            comma = b","
        parts.append(b"]}")
        return _unusual(prediction, b"".join(parts), raws, accepted)

    def record(self, moment: bytes, read: Read, scored: Scored, shadowed: str) -> bytes:
        """Return the frame of an answered request. `shadowed`: the version that scores it too, or nothing."""
        _, _, written, given, _ = read
        if self._plain and given is None:
            start, end = (self._start_shadowed, b"\xa2sv" + _ENCODE(shadowed)) if shadowed else (self._start, b"")
            payload = b"".join((start, moment, b"\xa1s", _ENCODE(scored[1]), self._inputs, _ENCODE(written), end))
            return _FRAME(len(payload), zlib.crc32(payload)) + payload
        more: dict[str, Any] = self._covered(written) if self._extras else {"t" if self._tensors else "x": written}
        if given is not None:
            more["cid"] = given
        if shadowed:
            more["sv"] = shadowed
        if self._many:
            pairs = zip(self._specs, scored[0], strict=True)
            more["o"] = {spec[0]: values.tolist() for spec, values in pairs}
        parts = [_MAP(0xDE, _FACTS + len(more)), self._facts, moment, b"\xa1s", _ENCODE(scored[1])]
        for name, value in more.items():
            parts += [_ENCODE(name), _ENCODE(value)]
        payload = b"".join(parts)
        return _FRAME(len(payload), zlib.crc32(payload)) + payload

    def _covered(self, written: Mapping[str, Any]) -> dict[str, Any]:
        route, key = self._route, self._key
        if self._tensors:
            return {"t": covered_tensors(written, self._policy, key)}
        found: dict[str, Any] = {"x": covered(written, self._policy, key)}
        if route.slices:
            found["sl"] = covered({n: written[n] for n in route.slices if n in written}, self._policy, key)
        name = route.outcome_key
        if name is not None and name in written:
            found["bk"] = [covered_key(name, value, self._policy, key) for value in written[name]]
        return found


class Plan:
    """A route as the fast way sees it."""

    def __init__(self, route: LoadedRoute, generation: int, desk: Desk) -> None:
        settings = route.route
        self.max_body = settings.max_body
        self.required = settings.log.required
        self.write: Callable[[bytes], bool] = _nowhere
        if desk.log is not None:
            self.write = desk.log.append_buffered if settings.log.durability == "buffered" else desk.log.append
        self.offer: Callable[[ShadowJob], None] = desk.shadow or _forgotten
        self._reader: Reader = reader_of(route.champion.signature, settings.max_rows, route.form.matrix)
        self._row: RowReader | None = getattr(self._reader, "row", None)
        self.champion = ArmPlan(route, route.champion, ArmName.CHAMPION, generation, desk)
        self._challenger: ArmPlan | None = None
        self._key = settings.key
        self.canary: Share | None = None
        self._shadow = 0.0
        self._draw = Random().random  # noqa: S311 - a sample, no secret
        self._shadowing = route.challenger
        self.shadows = False
        self._split(route, generation, desk)
        self.feed: Feed | None = None
        """Set where one row alone can be answered by `single`."""
        self._singles: tuple[Single | None, Single | None] = (None, None)
        if self._row is not None:
            self._alone(self._row)

    def _split(self, route: LoadedRoute, generation: int, desk: Desk) -> None:
        settings, challenger = route.route, route.challenger
        if challenger is None:
            return
        if settings.stage in (Stage.CANARY, Stage.TEST):
            self.canary = Share(settings.share, settings.salt)
            if challenger.lane is None and _alike(route.champion, challenger):
                self._challenger = ArmPlan(route, challenger, ArmName.CHALLENGER, generation, desk)
        elif settings.stage is Stage.SHADOW and settings.share > 0:
            self._shadow = settings.share
            self.shadows = True

    def _alone(self, row: RowReader) -> None:
        version = "" if self._shadowing is None else self._shadowing.arm.version
        first, *others = [
            arm.single(row.name, row.shape, version) for arm in (self.champion, self._challenger) if arm is not None
        ]
        if first is not None and None not in others:
            self.feed = Feed(row.name, row.shape, row.numbers)
            self._singles = (first, others[0] if others else None)

    def read(self, body: bytes, json: int | None) -> Read | None:
        """Return the request, or None where it is not for the fast way."""
        if json is None and self._row is not None and (row := self._row.read(body)) is not None:
            return *row, None, False
        request = orjson.loads(body if json is None else memoryview(body)[:json])
        name, binary = None, False
        if len(request) > 1:
            if not request.keys() <= _KNOWN:
                return None
            name = request.get("id")
            if name is not None and (type(name) is not str or len(name) > MAX_ID):
                return None
            parameters = request.get("parameters")
            if parameters is not None and parameters != {}:
                if parameters != _BINARY:
                    return None
                binary = True
        found = self._reader(request["inputs"], body, len(body) if json is None else json)
        if found is None:
            return None
        columns, rows, written = found
        return columns, rows, written, name, binary

    def choose(self, read: Read, prediction: str) -> ArmPlan | None:
        """Return the version that is asked; None: one that the fast way cannot ask."""
        if self.canary is None:
            return self.champion
        key = prediction
        if self._key is not None and self._key in read[2]:
            value = read[2][self._key][0]
            key = prediction if value is None else text_of(value)
        return self._challenger if self.canary.holds(key) else self.champion

    def choose_single(self, prediction: bytes) -> tuple[ArmPlan | None, Single | None]:
        """Return the version that is asked with one row of one tensor."""
        if self.canary is not None and self.canary.holds_encoded(prediction):
            return self._challenger, self._singles[1]
        return self.champion, self._singles[0]

    def drawn(self) -> bool:
        """Say whether this request is one of those that the challenger scores off the path.

        Drawn, where the careful way hashes the id: which requests it is need not be known again, and it costs nothing.
        """
        return self._shadowing is not None and self._draw() < self._shadow

    def shadow_job(self, prediction: str, read: Read) -> ShadowJob | None:
        """Return what the challenger scores."""
        if self._shadowing is None:
            return None
        return ShadowJob(prediction, self._shadowing, None, read[0], read[1])

    def shadow_row(self, prediction: str, raw: bytes) -> ShadowJob | None:
        """Return what the challenger scores of one row of one tensor."""
        return None if self._shadowing is None else ShadowJob(prediction, self._shadowing, None, None, 1, raw)


def plan_of(route: LoadedRoute, generation: int, desk: Desk) -> Plan | None:
    """Return the plan of a route, or None where every request needs the careful way."""
    settings = route.route
    if route.champion.lane is not None or settings.features or settings.log.durability == "disk":
        return None
    if settings.key is not None and route.champion.signature.tensors:
        return None
    shadowing = settings.stage is Stage.SHADOW and route.challenger is not None
    if shadowing and route.challenger is not None and not _alike(route.champion, route.challenger):
        return None
    return Plan(route, generation, desk)


def _alike(one: LoadedArm, other: LoadedArm) -> bool:
    """Say whether two versions are asked with the same columns."""
    return one.signature.inputs == other.signature.inputs and one.signature.tensors == other.signature.tensors


def moment_of(prediction: bytes, at: int, milliseconds: float, whole: float) -> bytes:
    """Return the part of a record that is other for each request: id, times, how long it took."""
    return _MOMENT(
        b"\xa2id\xbf", prediction, b"\xa2at\xcf", at, b"\xa2et\xcf", at,
        b"\xa2ms\xcb", milliseconds, b"\xa3lat\xcb", whole,
    )  # fmt: skip


def _bare(session: Any) -> Any:
    """Return what onnxruntime's own wrapper calls once it has checked what is checked here already."""
    return getattr(session, "_sess", session)


def _scoring(arm: LoadedArm) -> Callable[[Any], Mapping[str, Any]]:
    output, score = arm.signature.output, arm.scorer.score

    def ask(columns: Any) -> Mapping[str, Any]:
        return {output: np.asarray(score(columns)).astype(np.float32)}

    return ask


def _unusual(name: bytes, body: bytes, raws: list[bytes], accepted: bytes) -> bytes:
    """Return a response with raw tensors, or one that may be packed."""
    lines = [b"content-type: application/octet-stream" if raws else b"content-type: application/json"]
    lines.append(b"modelloop-prediction-id: " + name)
    if raws:
        lines.append(b"inference-header-content-length: %d" % len(body))
        body = b"".join([body, *raws])
    if accepted:
        body, encoding = compressed(body, accepted)
        lines += [b"content-encoding: " + encoding] if encoding else []
    lines += [b"content-length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)


def _nowhere(_record: bytes) -> bool:
    return True


def _forgotten(job: ShadowJob) -> None:
    """Without a shadow there is nothing to do."""


__all__ = ["ArmPlan", "Plan", "Read", "Scored", "Share", "moment_of", "plan_of"]
