"""The same as mlflow_log_metric, with PostgreSQL behind both. The time of PostgreSQL itself is nobody's."""

from functools import partial

from ..measure import Work
from .mlflow_log_metric import WORK as ON_SQLITE
from .mlflow_log_metric import measure

WORK = Work(
    f"{ON_SQLITE.work}, PostgreSQL", "MLflow 3.17.2's server on PostgreSQL 18", 1 / 30, partial(measure, postgres=True)
)
