"""The checks of a contract: in go a batch of typed rows and what the batches before were, out comes what breaks.

`plan` says what is to be checked, `measure` counts all of it in one query, `rows` finds the rows of what a count says
is broken, `unique` looks for repeated keys, `tally` keeps count over batches, `table` judges the arrival as a whole.
"""

from .examine import Checked, check

__all__ = ["Checked", "check"]
