"""Answer with an edge bundle: this file, onnxruntime and numpy are all it takes. Part of every bundle.

    python runtime.py --key PUBLIC.hex rows.json     rows.json: {"column": [value, ...], ...}

Nothing is loaded before the manifest's signature and every file's SHA-256 are checked. The key must have come to the
device another way than the bundle: whoever could change the bundle could change a key inside it, and this file too.
Keep a copy of this file with the key, and point it at bundles: `--bundle FOLDER`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import zlib
from bisect import bisect_right
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:] = [one for one in sys.path if Path(one or ".").resolve() != HERE]  # no file beside this one is imported

import numpy as np  # noqa: E402 - as above
import onnxruntime as ort  # noqa: E402 - as above
from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: E402 - as above

FORM = 2
"""The newest that is read; 2 brought moments and buckets."""
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_EXACT = 2**53
_NONE = -(2**63)
_SECOND = 1_000_000
_FIRST, _LAST = -62_135_596_800 * _SECOND, 253_402_300_800 * _SECOND
_UNITS = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0}
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d:\d\d(?::\d\d)?)?)?",
    re.ASCII,
)
TYPES = {
    "BOOL": "bool",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
    **{f"{sign.upper()}INT{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class Refused(Exception):
    """The bundle, or what it is asked, is not as it must be."""


def _even(y: int, odd: int) -> int:
    """Return the x of a point by its y and the lowest bit of x (RFC 8032, 5.1.3)."""
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if y >= _P or (x * x - square) % _P or (x == 0 and odd):
        raise Refused("The key or the signature is no point of the curve.")
    return x if x & 1 == odd else _P - x


def _point(data: bytes) -> tuple[int, int, int, int]:
    number = int.from_bytes(data, "little")
    y = number & (2**255 - 1)
    x = _even(y, number >> 255)
    return x, y, 1, x * y % _P


def _add(p: tuple[int, int, int, int], q: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, p: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    found = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            found = _add(found, p)
        p, factor = _add(p, p), factor >> 1
    return found


def signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the signature is the key's (Ed25519, RFC 8032, 5.1.7; verification only)."""
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= _L:
        return False
    base_y = 4 * pow(5, _P - 2, _P) % _P
    base = _point(base_y.to_bytes(32, "little"))
    try:
        public, r = _point(key), _point(signature[:32])
    except Refused:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _L
    left, right = _times(s, base), _add(r, _times(k, public))
    return not ((left[0] * right[2] - right[0] * left[2]) % _P or (left[1] * right[2] - right[1] * left[2]) % _P)


def read_key(path: Path) -> bytes:
    """Read a public key: 64 hex digits."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise Refused(f"The key {path} cannot be read: {error}.") from error
    if len(key) != 32:
        raise Refused(f"The key {path} has {len(key)} bytes; a public key of Ed25519 has 32.")
    return key


def verified(folder: Path, key: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and the bytes of every file it names; raises Refused where one byte is not as signed."""
    try:
        text = (folder / "manifest.json").read_bytes()
        signature = bytes.fromhex((folder / "manifest.sig").read_text("ascii"))
        if (folder / "manifest.sig").read_text("ascii") != signature.hex():
            raise Refused("manifest.sig is not written as it was.")
        if not signed(key, text, signature):
            raise Refused("The manifest is not signed by this key: it was changed, or another key signed it.")
        manifest = json.loads(text)
        if manifest["form"] not in range(1, FORM + 1):
            raise Refused(f"The bundle is of form {manifest['form']}; this runtime reads up to {FORM}.")
        files = {path: _checked(folder, path, facts) for path, facts in manifest["files"].items()}
    except (OSError, ValueError, LookupError) as error:
        raise Refused(f"The bundle cannot be read: {type(error).__name__}: {error}.") from error
    known = {*files, "manifest.json", "manifest.sig"}
    for one in sorted(folder.rglob("*")):
        path = one.relative_to(folder)
        if not one.is_dir() and path.as_posix() not in known and path.parts[0] != "__pycache__":
            raise Refused(f"{path.as_posix()} is in the folder and not in the manifest.")
    return manifest, files


def _checked(folder: Path, path: str, facts: dict[str, Any]) -> bytes:
    if path.startswith("/") or ".." in Path(path).parts:
        raise Refused(f"The manifest names {path!r}, outside of its folder.")
    data = (folder / path).read_bytes()
    if len(data) != facts["size"] or hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise Refused(f"{path} is not the file that was signed.")
    return data


class Model:
    """A bundle ready to answer. Safe to use from several threads."""

    def __init__(self, manifest: dict[str, Any], onnx: bytes) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False
        self.manifest = manifest
        self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._names = [one["name"] for one in manifest["outputs"]]
        self._types = {one.name: one.type for one in self._session.get_inputs()}

    def predict(self, columns: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Return all answers by name, for columns of values (None: missing). Raises Refused, naming what is wrong."""
        inputs = self.manifest["inputs"]
        feed = {one["tensor"]: _tensor(one, columns, self.manifest) for one in inputs}
        sizes = {len(one) for one in feed.values()}
        if len(sizes) != 1:
            raise Refused(f"The columns have {sorted(sizes)} rows; expected as many in each.")
        rows = sizes.pop()
        by_row = self.manifest["by_row"] and rows > 1
        parts = [{n: one[at : at + 1] for n, one in feed.items()} for at in range(rows)] if by_row else [feed]
        try:
            found = [self._session.run(self._names, part) for part in parts]
        except (state.Fail, state.InvalidArgument, state.RuntimeException, state.NotImplemented) as error:
            raise Refused(f"The model cannot answer these values: {error}") from error
        return {name: np.concatenate([one[at] for one in found]) for at, name in enumerate(self._names)}


def _tensor(one: dict[str, Any], columns: dict[str, Any], manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    name = one["name"]
    if name not in columns:
        raise Refused(f"The column {name!r} is missing.")
    values = columns[name]
    if one["kind"] == "tensor":
        try:
            return np.asarray(values, TYPES[one["datatype"]])
        except (TypeError, ValueError) as error:
            raise Refused(f"The tensor {name!r} cannot be read: {error}.") from error
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    missing = manifest["missing"]
    if one["kind"] == "moment":
        zone = manifest["zones"].get(one["moment"]["zone"])
        return np.array([_moment(one, value, zone, row) for row, value in enumerate(listed)], np.int64)
    if one["kind"] == "hashed":
        return np.array([_bucket(one, value, missing, row) for row, value in enumerate(listed)], np.float64)
    made = np.empty(len(listed), object if one["datatype"] == "BYTES" else np.float64)
    for row, value in enumerate(listed):
        if value is None or value != value:  # noqa: PLR0124 - NaN
            if not one["nullable"]:
                raise Refused(f"{name!r} has no value in row {row}, and must have one.")
            made[row] = missing if one["datatype"] == "BYTES" else np.nan
        else:
            made[row] = _text(one, value, missing) if one["datatype"] == "BYTES" else _number(one, value)
    return made


def _text(one: dict[str, Any], value: object, missing: str) -> str:
    if not isinstance(value, str) or "\0" in value or value == missing:
        raise Refused(f"{one['name']!r} holds {value!r:.60}; expected text (without the character 0).")
    if one["only"] is not None and value not in one["only"]:
        raise Refused(f"{one['name']!r} holds {value!r:.60}, which the model has no entry for.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"{one['name']!r} holds {value!r:.60}, which is not UTF-8.") from error
    return value


def _number(one: dict[str, Any], value: object) -> float:
    kinds = {"BOOL": (bool,), "INT64": (int,), "FP64": (int, float)}[one["datatype"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and one["datatype"] != "BOOL"):
        raise Refused(f"{one['name']!r} holds {value!r:.60}; expected {one['datatype']}.")
    if isinstance(value, int) and abs(value) > _EXACT:
        raise Refused(f"{one['name']!r} holds {value!r:.60}; whole numbers up to 2^53 are exact.")
    return float(value)  # type: ignore[arg-type]


def _moment(one: dict[str, Any], value: Any, zone: dict[str, Any] | None, row: int) -> int:
    """Return microseconds since 1970, of UTC or of the zone's clocks."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        if not one["nullable"]:
            raise Refused(f"{one['name']!r} has no value in row {row}, and must have one.")
        return _NONE
    asked = one["moment"]
    if one["datatype"] == "BYTES":
        time, offset = _read(one, value)
    else:
        found = _number(one, value) * _UNITS[asked["unit"]]
        if not _FIRST < found < _LAST:
            raise _no_moment(one, value)
        time, offset = math.floor(found), 0
    if offset is not None:
        time -= offset * _SECOND
        if not asked["wall"]:
            return time
        time += 0 if zone is None else _offset_at(one, zone, time, zone["at"]) * _SECOND
        if not _FIRST <= time < _LAST:
            raise _no_moment(one, value)
        return time
    if asked["wall"] or zone is None:
        return time
    # Where clocks show a time twice, the first is meant; one that they skip is counted as before the change.
    offsets = zone["offsets"]
    shown = [at + max(offsets[place], offsets[place + 1]) for place, at in enumerate(zone["at"])]
    return time - _offset_at(one, zone, time, shown) * _SECOND


def _bucket(one: dict[str, Any], value: Any, missing: str, row: int) -> float:
    """Return the bucket of a value's CRC-32; numbers are hashed as Python writes float64."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        if not one["nullable"]:
            raise Refused(f"{one['name']!r} has no value in row {row}, and must have one.")
        return -1.0
    text = _text(one, value, missing) if one["datatype"] == "BYTES" else repr(_number(one, value) + 0.0)
    return float(zlib.crc32(text.encode(), one["hashed"]["seed"]) % one["hashed"]["buckets"])


def _read(one: dict[str, Any], value: Any) -> tuple[int, int | None]:
    """Return the microseconds that a text says, and its offset in seconds, if it has one."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _no_moment(one, value)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    micros, offset = int(f"{found[7] or '':0<6}"[:6]), None
    if found[8]:
        h, m, s = ([int(part) for part in found[8][1:].split(":")] + [0])[:3] if found[8] != "Z" else (0, 0, 0)
        if h > 23 or m > 59 or s > 59:
            raise _no_moment(one, value)
        offset = (h * 3600 + m * 60 + s) * (-1 if found[8][0] == "-" else 1)
    try:
        days = date(year, month, day).toordinal() - 719_163
    except ValueError as error:
        raise _no_moment(one, value) from error
    if hour > 23 or minute > 59 or second > 59:
        raise _no_moment(one, value)
    return (days * 86_400 + hour * 3600 + minute * 60 + second) * _SECOND + micros, offset


def _offset_at(one: dict[str, Any], zone: dict[str, Any], micros: int, changes: list[int]) -> int:
    if micros >= zone["until"] * _SECOND:
        raise Refused(f"{one['name']!r} holds a time beyond what the bundle knows of {one['moment']['zone']}.")
    return int(zone["offsets"][bisect_right(changes, micros // _SECOND)])


def _no_moment(one: dict[str, Any], value: object) -> Refused:
    wanted = "YYYY-MM-DD, or with THH:MM[:SS[.ffffff]] and perhaps Z or +HH:MM"
    expected = wanted if one["datatype"] == "BYTES" else f"a time of the years 1 to 9999 in {one['moment']['unit']}"
    return Refused(f"{one['name']!r} holds {value!r:.60}; expected {expected}.")


def opened(folder: Path, key: bytes) -> Model:
    """Verify a bundle, then load it."""
    manifest, files = verified(folder, key)
    return Model(manifest, files["model.onnx"])


def main() -> int:
    """Answer the rows of a file."""
    parser = argparse.ArgumentParser(description="Answer with an edge bundle.")
    parser.add_argument("--key", type=Path, required=True, help="the public key, from elsewhere than the bundle")
    parser.add_argument("--bundle", type=Path, default=HERE, help="its folder; this file's if left out")
    parser.add_argument("rows", type=Path, help='JSON: {"column": [value, ...], ...}')
    asked = parser.parse_args()
    try:
        model = opened(asked.bundle, read_key(asked.key))
        columns = json.loads(asked.rows.read_text("utf-8"))
        if not isinstance(columns, dict) or not all(isinstance(one, list) for one in columns.values()):
            raise Refused('The rows are not of the form {"column": [value, ...], ...}.')
        answers = model.predict(columns)
    except (Refused, OSError, ValueError) as error:
        sys.stderr.write(f"refused: {error}\n")
        return 1
    sys.stdout.write(json.dumps({name: one.tolist() for name, one in answers.items()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
