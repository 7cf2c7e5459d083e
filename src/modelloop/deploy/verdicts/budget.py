"""How a stage's allowed errors are divided among its tests.

A false promotion needs every test of a stage to let the version on, so the test of the loss alone keeps the policy's
`false_promotion` whole, whatever the others do (an intersection-union test; Berger 1982, Technometrics 24, 295-300). A
false rollback needs one test to be wrong, so they share `false_rollback` (Bonferroni) by the weights below, among
those that the stage and the policy switch on. What is switched on is known before the first request.
"""

from __future__ import annotations

from ..settings import RolloutSettings

WEIGHTS = {"quality": 4, "errors": 4, "latency": 2, "milliseconds": 2, "missing": 2, "disagreement": 2, "slices": 4}
"""Shadow by default: 1/2 quality, 1/2 errors. Canary by default: .4 quality, .4 errors, .2 latency."""


def shares(policy: RolloutSettings, tests: tuple[str, ...]) -> dict[str, float]:
    """Return the chance of a false alarm that each of a stage's tests may have; together `false_rollback`."""
    on = [name for name in tests if _switched_on(name, policy)]
    total = sum(WEIGHTS[name] for name in on)
    return {name: policy.false_rollback * WEIGHTS[name] / total for name in on}


def _switched_on(name: str, policy: RolloutSettings) -> bool:
    """Say whether the policy sets what a test asks for; loss, errors and the ratio of latencies it always does."""
    limits = {
        "milliseconds": policy.max_latency_ms,
        "missing": policy.max_missing,
        "disagreement": policy.max_disagreement,
        "slices": policy.slices or None,
    }
    return name not in limits or limits[name] is not None
