"""What must hold between the parts of a project file: names that lead somewhere, settings that fit each other.

Each check takes one table of the file and what it refers to. A setting with a mistake of its own is UNREADABLE and
passed over: it is reported already, and whatever hangs on it can be judged when it can be read.
"""

from .answering import check_endpoints
from .data import check_contracts, check_sources
from .filling import check_fills, check_online
from .findings import Findings, names, values
from .model import (
    TASK_METRICS,
    check_gates,
    check_metrics,
    check_objective,
    check_pipelines,
)
from .running import check_alerts, check_monitors, check_pool, check_triggers

__all__ = [
    "TASK_METRICS",
    "Findings",
    "check_alerts",
    "check_contracts",
    "check_endpoints",
    "check_fills",
    "check_gates",
    "check_metrics",
    "check_monitors",
    "check_objective",
    "check_online",
    "check_pipelines",
    "check_pool",
    "check_sources",
    "check_triggers",
    "names",
    "values",
]
