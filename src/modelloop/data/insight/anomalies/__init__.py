"""What is unusual: in goes a table, its contract and what it looked like before, out come findings in plain words."""

from .find import find

__all__ = ["find"]
