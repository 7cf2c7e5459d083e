"""The same 40 checks by Great Expectations, on its fastest path (pass or fail, no rows): at least 8 times slower."""

from ..measure import Measured, Work
from .checks_peers import asked, mine


def _run() -> Measured:
    told = asked("great-expectations", "great-expectations==1.24.1", "pyarrow==22.0.0")
    spent = mine()
    return Measured(
        spent, told["cpu"], "CPU s", {"times as fast": round(told["cpu"] / spent, 1), "format": "BOOLEAN_ONLY"}
    )


WORK = Work("40 checks beside Great Expectations", "Great Expectations 1.24.1, pandas, BOOLEAN_ONLY", 0.125, _run)
