"""Better, worse, or not yet: what a stage of a rollout says, on evidence that may be looked at any number of times.

Losses lie in [0, 1]. All bounds come from `ground.stats`: exact, not asymptotic, and valid at every look at once, so
looking each second costs nothing; the mean may move from day to day. The unit of evidence is a request, not a row: rows
of one request share a storm, a user, a moment, and are no repetitions. How the allowed errors are divided among a
stage's tests: `verdicts.budget`.
"""

from .verdicts.check import FRESH, judge_check
from .verdicts.given import BETTER, NOT_YET, WORSE, Evidence, Losses, SliceLosses
from .verdicts.losses import Rule, disagreement, loss, losses, multiclass_loss
from .verdicts.stages import judge_bake, judge_canary, judge_shadow, judge_test

__all__ = [
    "BETTER",
    "FRESH",
    "NOT_YET",
    "WORSE",
    "Evidence",
    "Losses",
    "Rule",
    "SliceLosses",
    "disagreement",
    "judge_bake",
    "judge_canary",
    "judge_check",
    "judge_shadow",
    "judge_test",
    "loss",
    "losses",
    "multiclass_loss",
]
