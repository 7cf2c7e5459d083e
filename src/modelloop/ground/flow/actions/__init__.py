"""The verbs of runs: submit, execute, account for, end, cancel, answer, look at, forget."""

from __future__ import annotations

from .asking import answer, questions, waiting
from .forgetting import forget_results, mentioned
from .looking import get_run, list_runs, metric, queued, result, steps_of
from .reasons import newest_call, why
from .running import account, cancel, end, execute, submit

__all__ = [
    "account",
    "answer",
    "cancel",
    "end",
    "execute",
    "forget_results",
    "get_run",
    "list_runs",
    "mentioned",
    "metric",
    "newest_call",
    "questions",
    "queued",
    "result",
    "steps_of",
    "submit",
    "waiting",
    "why",
]
