"""Data that processes share: written once as memory-mapped files, opened by each without a copy.

Arrays become npy files, frames the buffers of their Arrow columns; plain values stand in JSON beside. Nothing of it can
run when it is read.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...ground.core.errors import InvalidInput, StoreUnavailable
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ...ground.core.later import polars as pl
from .mapped import open_frame, write_frame

_PREFIX = "modelloop-shared-"
_LOCK = "held"
_HINT = "Shared data are numbers, text, arrays, frames, and lists, tuples and dicts of these. Make the rest of them."


class Files:
    """Values as files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = 0

    def put(self, name: str, value: Any) -> Any:
        """Write a value; return what `open_value` needs, JSON-ready. Raises InvalidInput for what has no safe form."""
        try:
            return self._put(name, value)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None):  # numpy says no number
                raise
            raise StoreUnavailable(
                f"There is no room in {self.folder.parent} for the shared data {name!r}: {error.strerror or error}.",
                hint="Set TMPDIR to a folder on a disk with room for it.",
            ) from error

    def _put(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return _plain(name, value)
        if isinstance(value, Mapping):
            return {"dict": [[_key(name, key), self._put(f"{name}[{key!r}]", one)] for key, one in value.items()]}
        if isinstance(value, tuple | list):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [self._put(f"{name}[{place}]", one) for place, one in enumerate(value)]}
        if isinstance(value, bytes):
            path = self._path("bytes")
            path.write_bytes(value)
            return {"bytes": path.name}
        if isinstance(value, Path):
            return {"path": str(value)}
        libraries = _libraries(value)
        if "numpy" in libraries:
            return self._put_array(name, value)
        if "torch" in libraries:
            return {"tensor": self._put_array(name, _numbers_of(name, value))}
        if "polars" in libraries and isinstance(value, pl.Series):
            return {"series": self._put_frame(value.to_frame())}
        if "polars" in libraries or (hasattr(value, "__arrow_c_stream__") and "pandas" not in libraries):
            return {"frame": self._put_frame(_frame_of(name, value))}
        raise _refused(name, value)

    def _put_array(self, name: str, value: Any) -> Any:
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject or np.ma.isMaskedArray(value):
            raise _refused(name, value)
        mapped = _already_mapped(value)
        if mapped:
            return {"npy": mapped}
        path = self._path("npy")
        np.save(path, value, allow_pickle=False)
        return {"scalar" if isinstance(value, np.generic) else "npy": path.name}

    def _put_frame(self, frame: Any) -> Any:
        return write_frame(frame, self._path("arrow"))

    def _path(self, kind: str) -> Path:
        self._files += 1
        return self.folder / f"{self._files}.{kind}"


class Shelf(Files):
    """A folder for as long as this object is open. One that a killed process left is removed by the next."""

    def __init__(self) -> None:
        _sweep()
        super().__init__(Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getuid()}-")))
        self._lock = _hold(self.folder / _LOCK)

    def close(self) -> None:
        """Remove the folder. What is mapped stays readable where it is."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            shutil.rmtree(self.folder, ignore_errors=True)


class SharedFolder:
    """A folder that several processes of a machine fill and use together; the last one to leave removes it."""

    def __init__(self, name: str) -> None:
        _sweep()
        self.folder = Path(tempfile.gettempdir()) / name
        while True:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.folder.stat().st_uid != os.getuid():
                raise StoreUnavailable(f"{self.folder} belongs to another user.", hint="Remove it.")
            self._lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            if (self.folder / _LOCK).exists() and os.path.samestat(os.fstat(self._lock), (self.folder / _LOCK).stat()):
                return
            os.close(self._lock)  # another process removed it meanwhile

    def add(self, name: str, fetch: Callable[[], Any]) -> None:
        """Write a file, unless another process has: a file under its name is whole."""
        path = self.folder / name
        if not path.exists():
            draft = self.folder / f"draft-{os.getpid()}"
            with draft.open("wb") as file:
                file.write(memoryview(fetch()))
            draft.rename(path)

    def close(self) -> None:
        """Leave the folder."""
        with suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


class Opened(Mapping[str, Any]):
    """Shared data by name, each opened when it is first asked for."""

    def __init__(self, specs: Mapping[str, Any], folder: Path) -> None:
        self._specs, self._folder = specs, folder
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = open_value(self._specs[name], self._folder)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


def open_value(told: Any, folder: Path) -> Any:
    """Return a value that a shelf has written; arrays are read-only views of the mapped file."""
    if not isinstance(told, dict):
        return told
    ((kind, what),) = told.items()
    if kind == "dict":
        return {key: open_value(one, folder) for key, one in what}
    if kind in ("list", "tuple"):
        values = [open_value(one, folder) for one in what]
        return tuple(values) if kind == "tuple" else values
    if kind == "bytes":
        return (folder / what).read_bytes()
    if kind == "path":
        return Path(what)
    if kind in ("npy", "scalar"):
        found = _array(what, folder)
        return found[()] if kind == "scalar" else found
    if kind == "tensor":
        return needed("torch", "torch").from_numpy(np.array(open_value(what, folder)))
    frame = open_frame(what, folder)
    return frame.to_series() if kind == "series" else frame


def as_given(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return shared data for this process: the same objects, read-only where other processes would see them so."""
    return {name: _seen(name, value) for name, value in data.items()}


def _seen(name: str, value: Any) -> Any:
    libraries = _libraries(value)
    if "numpy" in libraries and isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if hasattr(value, "__arrow_c_stream__") and not libraries & {"pandas", "polars"}:
        return _frame_of(name, value)
    return value


def _array(what: Any, folder: Path) -> Any:
    if isinstance(what, dict):
        return np.asarray(
            np.memmap(what["file"], what["dtype"], "r", what["offset"], tuple(what["shape"]), what["order"])
        )
    path = folder / what
    loaded = np.load(path, mmap_mode="r", allow_pickle=False) if _has_rows(path) else np.load(path, allow_pickle=False)
    loaded = np.asarray(loaded)
    loaded.flags.writeable = False
    return loaded


def _has_rows(path: Path) -> bool:
    """Say whether there is anything to map after the header: nothing cannot be mapped."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        read(file)
        return path.stat().st_size > file.tell()


def _already_mapped(value: Any) -> dict[str, Any] | None:
    """Return where a whole memory-mapped file lies already, None where it must be written."""
    if not isinstance(value, np.memmap) or value.mode != "r" or value.dtype.names:
        return None
    owner: Any = value.base
    if not isinstance(owner, mmap.mmap):  # a part of one
        return None
    order = "C" if value.flags.c_contiguous else "F"
    told = {"file": str(value.filename), "dtype": value.dtype.str, "offset": int(value.offset)}
    return {**told, "shape": list(value.shape), "order": order}


def _frame_of(name: str, value: Any) -> Any:
    if isinstance(value, pl.LazyFrame):
        raise InvalidInput(
            f"The shared data {name!r} is a LazyFrame.",
            hint="Share what collect() returns; or share the file's path, and scan it in the objective.",
        )
    try:
        return value if isinstance(value, pl.DataFrame) else pl.DataFrame(value)
    except (TypeError, ValueError) as error:
        raise _refused(name, value) from error


def _numbers_of(name: str, value: Any) -> Any:
    try:
        return value.detach().cpu().numpy()
    except (AttributeError, TypeError, RuntimeError) as error:
        raise InvalidInput(
            f"The shared data {name!r} is a torch {type(value).__name__} that numpy cannot hold: {error}.",
            hint="Share a dense tensor of ordinary numbers, such as tensor.float().",
        ) from error


def _libraries(value: Any) -> set[str]:
    return {kind.__module__.partition(".")[0] for kind in type(value).__mro__}


def _plain(name: str, value: Any) -> Any:
    try:
        json.dumps(value).encode()
    except (TypeError, ValueError) as error:
        raise _refused(name, value) from error
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _key(name: str, key: Any) -> Any:
    if key is None or isinstance(key, bool | int | float | str):
        return key
    raise InvalidInput(f"The shared data {name!r} has a key {key!r}.", hint="Keys are text or numbers.")


def _refused(name: str, value: Any) -> InvalidInput:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    more = f" of {value.dtype}" if hasattr(value, "dtype") else ""
    hint = "polars.from_pandas(frame), or frame.to_numpy()." if kind.startswith("pandas") else _HINT
    return InvalidInput(f"The shared data {name!r} is a {kind}{more}, which has no safe form.", hint=hint)


def _hold(path: Path) -> int:
    """Hold a lock that ends with this process; return its file. Under its name it is never seen without the lock."""
    draft = path.with_suffix(".new")
    lock = os.open(draft, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    draft.rename(path)
    return lock


def _sweep() -> None:
    """Remove what processes that were killed have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}{os.getuid()}-*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # it is being made, or being removed
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)
