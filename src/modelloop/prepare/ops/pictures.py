"""Pictures to numbers: PNG and JPEG files, as bytes, become the tensor that a vision model is fed with."""

from __future__ import annotations

import base64
import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Op, Raw, input_of, one_of

if TYPE_CHECKING:
    import numpy.typing as npt

FORMATS = ("PNG", "JPEG")
LARGEST = 20 * 2**20
"""Bytes of one file."""
PIXELS = 24_000_000
"""Of one picture, as its file says before any of them is decoded: a small file may unfold into gigabytes."""
SIDE = 4096
_WAYS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
_CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError)
"""What Pillow raises for files that are no picture, or no whole one."""


@dataclass(frozen=True, slots=True)
class Picture(Op):
    """A picture as a float32 tensor: [rows, channels, height, width], or [rows, height, width, channels] (NHWC).

    The column holds PNG or JPEG files as bytes (or as base64 text, which is how they travel in JSON). Each is turned as
    its camera says, resized to `size` = (height, width), and each channel becomes (pixel * `scale` - mean) / std.
    It is stretched to the size; with `crop` the largest middle part of that form is taken. `mean`, `std`: one number,
    or one a channel. A transparent picture loses its transparency.
    """

    column: str
    size: tuple[int, int] = (224, 224)
    mean: Sequence[float] | float = 0.0
    std: Sequence[float] | float = 1.0
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    scale: float = 1 / 255
    resize: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    crop: bool = False
    name: str = "pixel_values"
    takes_bytes: ClassVar[bool] = True

    def learn(self, columns: Columns) -> FittedPicture:
        """Look at the column's type; nothing is learned."""
        found = input_of(columns, self.column, nullable=False)
        if found.datatype is not Datatype.BYTES:
            raise InvalidInput(f"picture({self.column!r}) needs files as bytes; the column holds {found.datatype}.")
        source = InputColumn(self.column, Datatype.BYTES, raw=True)
        ways = (self.layout, self.channels, float(self.scale), self.resize, self.crop, self.name)
        return FittedPicture((source,), tuple(self.size), _each(self.mean), _each(self.std), *ways)


@dataclass(frozen=True, slots=True)
class FittedPicture(FittedOp):
    """How a picture becomes a tensor."""

    kind: ClassVar[str] = "picture"
    takes: ClassVar[str] = "strings"
    tensors: ClassVar[bool] = True
    inputs: tuple[InputColumn, ...]
    size: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: str
    channels: str
    scale: float
    resize: str
    crop: bool
    name: str
    _image: Any = field(init=False, repr=False, compare=False)
    _shift: Any = field(init=False, repr=False, compare=False)
    _times: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        one_of(self.layout, ("NCHW", "NHWC"), "layout")
        one_of(self.channels, tuple(_CHANNELS), "channels")
        one_of(self.resize, tuple(_WAYS), "resize")
        size = tuple(int(side) for side in self.size)
        if len(size) != 2 or not all(1 <= side <= SIDE for side in size):
            raise InvalidInput(f"size is {self.size}.", hint=f"Expected (height, width), each from 1 to {SIDE}.")
        count = _CHANNELS[self.channels]
        mean, std = (_each(values) for values in (self.mean, self.std))
        numbers = all(math.isfinite(one) for one in (*mean, *std, self.scale))
        if {len(mean), len(std)} - {1, count} or not numbers or 0 in std:
            raise InvalidInput(
                f"mean is {mean}, std {std}, scale {self.scale}.",
                hint=f"Expected finite numbers, one or {count} of each, and no std of 0.",
            )
        setting = object.__setattr__
        for name, value in (("size", size), ("mean", mean), ("std", std)):
            setting(self, name, value)
        setting(self, "_image", needed("PIL.Image", "image"))
        setting(self, "_times", np.array([self.scale / one for one in std], np.float32))
        both = zip(np.resize(mean, count), np.resize(std, count), strict=True)
        setting(self, "_shift", np.array([one / by for one, by in both], np.float32))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of the tensor."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Decode each file by itself; raises InvalidInput for what is no picture, or too large a one."""
        height, width = self.size
        count = _CHANNELS[self.channels]
        made = np.empty((len(column), height, width, count), np.float32)
        for row, value in enumerate(column.tolist()):
            where = f"The value in row {row} of {self.inputs[0].name!r}"
            made[row] = self._decoded(_file(value, where), where)
        made *= self._times
        made -= self._shift
        return [made if self.layout == "NHWC" else np.ascontiguousarray(made.transpose(0, 3, 1, 2))]

    def _decoded(self, data: bytes, where: str) -> npt.NDArray[np.uint8]:
        image = self._image
        try:
            with image.open(io.BytesIO(data), formats=FORMATS) as opened:
                if opened.width * opened.height > PIXELS:
                    raise InvalidInput(
                        f"{where} is a picture of {opened.width} x {opened.height} pixels.",
                        hint=f"At most {PIXELS // 1_000_000} million are decoded.",
                    )
                found = self._resized(_plain(opened, self.channels))
        except InvalidInput:
            raise
        except (*_BROKEN, struct.error, image.DecompressionBombError, image.DecompressionBombWarning) as error:
            raise InvalidInput(
                f"{where} is no whole picture: {_said(error)}.",
                hint="Expected a PNG or JPEG file: its bytes, or base64 of them.",
            ) from error
        pixels = np.asarray(found, np.uint8)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        return pixels[:, :, ::-1] if self.channels == "BGR" else pixels

    def _resized(self, picture: Any) -> Any:
        height, width = self.size
        if picture.size == (width, height):
            return picture
        box = None
        if self.crop:
            share = min(picture.width / width, picture.height / height)
            left, top = (picture.width - width * share) / 2, (picture.height - height * share) / 2
            box = (left, top, left + width * share, top + height * share)
        return picture.resize((width, height), resample=_WAYS[self.resize], box=box)


def _plain(opened: Any, channels: str) -> Any:
    """Return the picture upright, in the wanted channels, 8 bits each."""
    upright = needed("PIL.ImageOps", "image").exif_transpose(opened)
    wanted = "L" if channels == "L" else "RGB"
    if upright.mode.startswith("I"):  # 16 bits of grey: Pillow would cut what is above 255
        upright = upright.convert("I").point(lambda value: value / 257).convert("L")
    return upright.convert(wanted)


def _said(error: Exception) -> str:
    said = str(error)
    return said[:120] if said and " object at " not in said else "it is no PNG or JPEG file"


def _file(value: object, where: str) -> bytes:
    if isinstance(value, str):
        text = value.partition(",")[2] if value.startswith("data:") else value
        if len(text) > LARGEST * 4 // 3 + 4:
            raise InvalidInput(f"{where} has more than {LARGEST // 2**20} MiB.")
        try:
            value = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise InvalidInput(
                f"{where} is text that is no base64: {error}.",
                hint="In JSON a picture's file is sent as base64; in binary tensors as it is.",
            ) from error
    if not isinstance(value, bytes):
        raise InvalidInput(f"{where} is {'missing' if value is None else type(value).__name__}.", hint="Send a file.")
    if len(value) > LARGEST:
        raise InvalidInput(f"{where} has {len(value)} bytes; at most {LARGEST // 2**20} MiB are read.")
    return value


def _each(values: Sequence[float] | float) -> tuple[float, ...]:
    return (float(values),) if isinstance(values, int | float) else tuple(float(one) for one in values)
