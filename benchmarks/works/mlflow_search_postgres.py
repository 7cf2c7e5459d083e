"""The same as mlflow_search, with PostgreSQL behind both. The time of PostgreSQL itself is nobody's."""

from functools import partial

from ..measure import Work
from .mlflow_search import WORK as ON_SQLITE
from .mlflow_search import measure

WORK = Work(
    f"{ON_SQLITE.work}, PostgreSQL", "MLflow 3.17.2's server on PostgreSQL 18", 1 / 20, partial(measure, postgres=True)
)
