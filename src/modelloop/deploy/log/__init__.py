"""The prediction log: what gateways append before they answer, and what the control side reads."""

from .counts import Told, read_counts
from .frames import _DECODER, _HEAD, frame, read_frames
from .marks import holds, mark, unmark
from .segment import finished
from .writer import PredictionLog

LogWriter = PredictionLog

__all__ = [
    "_DECODER",
    "_HEAD",
    "LogWriter",
    "PredictionLog",
    "Told",
    "finished",
    "frame",
    "holds",
    "mark",
    "read_counts",
    "read_frames",
    "unmark",
]
