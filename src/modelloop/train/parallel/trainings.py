"""What came of many fits: how good each model is over folds and seeds, how sure that is, and which differ. Pure.

Fits of one model share most of their training rows, so their scores vary less than those of independent samples would;
an interval that takes them as independent is far too narrow. Nadeau & Bengio (2003), Inference for the Generalization
Error, Machine Learning 52: the variance of the mean of J scores is (1/J + test/train) times their variance; with
repeated folds as Bouckaert & Frank (2004) use it. Student's t with J - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...ground.core.errors import EvidenceMissing
from ...ground.stats.student import spread, t_value
from .events import Value


@dataclass(frozen=True, slots=True)
class Training:
    """One fit: a model on a fold with a seed."""

    model: str
    fold: int
    seed: int
    score: float | None
    """The headline metric; None where there is none: see `error`."""
    value: Value | None
    """All that the fit returned."""
    seconds: float
    cpu_seconds: float
    error: str = ""
    stopped_at: int | None = None
    """The step at which it was stopped; then the score is what it returned after, or reported last."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A model among the others, the best first."""

    model: str
    score: Estimate
    fits: int
    failed: int
    behind: Estimate | None
    """How much it is worse than the first, fold by fold; None for the first, or where they share no fold."""
    seconds: float
    cpu_seconds: float
    given_up: bool = False
    """It was no longer tried: it could not become the first."""

    @property
    def differs(self) -> bool:
        """Say whether it is shown to be worse than the first."""
        return self.behind is not None and self.behind.low > 0


@dataclass(frozen=True, slots=True)
class Trainings:
    """All fits, and what they say of the models."""

    metric: str
    direction: str
    confidence: float
    ratio: float
    """Rows that judge to rows that train, in a fold: what the intervals are corrected with. 0: nothing is shared."""
    pooled: bool
    """All seeds have the same folds, so the mean of a fold's seeds counts as one score."""
    fits: tuple[Training, ...]
    standings: tuple[Standing, ...]

    @property
    def best(self) -> str:
        """Return the name of the model with the best mean. See `told` for how sure that is."""
        return self.standings[0].model

    @property
    def told(self) -> str:
        """Return in a sentence which is best, and of which that is not shown."""
        first = self.standings[0]
        score = first.score
        said = f"{first.model} is first with a {self.metric} of {score.mean:.4g} ({score.low:.4g} to {score.high:.4g})."
        equal = [each.model for each in self.standings[1:] if not each.differs]
        return f"{said} No difference is shown to: {', '.join(equal)}." if equal else said

    def rows(self) -> list[dict[str, object]]:
        """Return the standings as rows of a table."""
        return [
            {
                "model": each.model,
                self.metric: each.score.mean,
                "low": each.score.low,
                "high": each.score.high,
                "behind": None if each.behind is None else each.behind.mean,
                "behind_low": None if each.behind is None else each.behind.low,
                "behind_high": None if each.behind is None else each.behind.high,
                "differs": each.differs,
                "fits": each.fits,
                "failed": each.failed,
                "given_up": each.given_up,
                "seconds": each.seconds,
                "cpu_seconds": each.cpu_seconds,
            }
            for each in self.standings
        ]

    def __str__(self) -> str:
        lines = [("model", self.metric, f"{self.confidence:.0%} interval", "behind the first", "fits", "seconds")]
        for each in self.standings:
            behind = "" if each.behind is None else f"{each.behind.mean:.4g}" + ("" if each.differs else " (noise)")
            fits = f"{each.fits}" + (f" ({each.failed} failed)" if each.failed else "")
            fits += " given up" if each.given_up else ""
            score = each.score
            interval = f"{score.low:.4g} to {score.high:.4g}"
            lines.append((each.model, f"{score.mean:.4g}", interval, behind, fits, f"{each.seconds:.1f}"))
        widths = [max(len(line[place]) for line in lines) for place in range(6)]
        shown = ["  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([*(line.rstrip() for line in shown), self.told])


def corrected(scores: Sequence[float], ratio: float, confidence: float = 0.95) -> Estimate:
    """Return the mean of scores of resampled fits with its corrected interval; one score gives (-inf, inf)."""
    count = len(scores)
    mean = math.fsum(scores) / count
    if count < 2:
        return Estimate(mean, -math.inf, math.inf)
    reach = t_value(confidence, count - 1) * spread(scores) * math.sqrt(1 / count + ratio)
    return Estimate(mean, mean - reach, mean + reach)


def scores_of(fits: Sequence[Training], model: str, *, pooled: bool) -> dict[tuple[int, int], float]:
    """Return a model's scores by (seed, fold); `pooled`: by (0, fold), the mean over seeds."""
    own = [fit for fit in fits if fit.model == model and fit.score is not None]
    if not pooled:
        return {(fit.seed, fit.fold): fit.score for fit in own if fit.score is not None}
    by_fold: dict[int, list[float]] = {}
    for fit in own:
        assert fit.score is not None
        by_fold.setdefault(fit.fold, []).append(fit.score)
    return {(0, fold): math.fsum(scores) / len(scores) for fold, scores in by_fold.items()}


def lag(first: Mapping[tuple[int, int], float], other: Mapping[tuple[int, int], float], *, higher: bool) -> list[float]:
    """Return by how much `other` is worse, for each fold that both have."""
    sign = 1.0 if higher else -1.0
    return [sign * (first[key] - other[key]) for key in first if key in other]


def standings_of(
    fits: Sequence[Training], *, direction: str, ratio: float, confidence: float, pooled: bool,
    given_up: frozenset[str] = frozenset(),
) -> tuple[Standing, ...]:  # fmt: skip
    """Return the models in their order; those without a single score come last."""
    models = list(dict.fromkeys(fit.model for fit in fits))
    scores = {model: scores_of(fits, model, pooled=pooled) for model in models}
    scored = [model for model in models if scores[model]]
    if not scored:
        first_error = next((fit.error for fit in fits if fit.error), "")
        raise EvidenceMissing(
            f"None of {len(fits)} fits gave a score. The first said: {first_error}",
            hint="Try one with processes=1: what it raises can be debugged there.",
        )
    higher = direction == "higher"
    means = {model: math.fsum(scores[model].values()) / len(scores[model]) for model in scored}
    # a model that was given up early has easier or harder folds than others: it cannot come first
    order = sorted(scored, key=lambda model: (model in given_up, -means[model] if higher else means[model]))
    unscored = [model for model in models if not scores[model]]
    made = []
    for place, model in enumerate([*order, *unscored]):
        own = [fit for fit in fits if fit.model == model]
        lags = lag(scores[order[0]], scores[model], higher=higher) if place else []
        made.append(
            Standing(
                model=model,
                score=corrected(list(scores[model].values()), ratio, confidence) if scores[model] else _UNKNOWN,
                fits=len(own),
                failed=sum(1 for fit in own if fit.score is None),
                behind=corrected(lags, ratio, confidence) if lags else None,
                seconds=math.fsum(fit.seconds for fit in own),
                cpu_seconds=math.fsum(fit.cpu_seconds for fit in own),
                given_up=model in given_up,
            )
        )
    return tuple(made)


_UNKNOWN = Estimate(math.nan, -math.inf, math.inf)
