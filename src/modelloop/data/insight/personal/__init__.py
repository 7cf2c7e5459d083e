"""Personal data: in goes a table and its contract, out comes where e-mail addresses, numbers of cards, ... stand."""

from .detect import detect, holds

__all__ = ["detect", "holds"]
