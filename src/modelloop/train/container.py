"""The one file a candidate is stored as: a zip of stored members in formats that cannot run code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same members give the same bytes, hence the same hash: a zip must not carry the time of day."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return one file that holds the members, uncompressed; equal members give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), members[name])
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the members; raises InvalidInput for anything that `pack` did not write."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise InvalidInput(
                    "The candidate's container holds compressed members.", hint="Make it with to_bytes()."
                )
            return {info.filename: archive.read(info) for info in infos}
    except zipfile.BadZipFile as error:
        raise InvalidInput(f"This is not a candidate's container: {error}.", hint="Make it with to_bytes().") from error


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """Return the frame as an Arrow IPC file."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="zstd")
    return buffer.getvalue()


def read_frame(data: bytes) -> pl.DataFrame:
    """Return the frame of an Arrow IPC file."""
    import polars  # noqa: PLC0415 - heavy; who only passes candidates on need not have it

    try:
        return polars.read_ipc(io.BytesIO(data))
    except (OSError, polars.exceptions.PolarsError) as error:
        raise InvalidInput(f"These bytes are not an Arrow table: {error}.") from error


def array_bytes(values: npt.NDArray[np.float64]) -> bytes:
    """Return the numbers as a npy file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values, dtype=np.float64), allow_pickle=False)
    return buffer.getvalue()


def read_array(data: bytes) -> npt.NDArray[np.float64]:
    """Return the numbers of a npy file; never unpickles."""
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), dtype=np.float64)
