"""What each stage after the check says. One test that is sure of harm is enough for back; all must agree to go on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ..records import StageVerdict
from ..settings import Goal, RolloutSettings
from .budget import shares
from .exposure import Exposure, enough, remaining, told, used_up
from .given import BETTER, NOT_YET, WORSE, Evidence
from .limits import TESTS
from .quality import Quality, judge_loss, judge_slices

SHADOW = ("quality", "errors", "disagreement", "missing", "slices")
LIVE = ("quality", "errors", "latency", "milliseconds", "missing", "slices")


@dataclass(frozen=True, slots=True)
class _Tested:
    """What all tests of a stage say together."""

    quality: Quality
    harm: str | None
    waits: tuple[str, ...]
    numbers: dict[str, Any]


def judge_shadow(
    evidence: Evidence, policy: RolloutSettings, *, since: datetime | None = None, now: datetime | None = None
) -> StageVerdict:
    """Compare both versions on the same requests: the goal surely reached, surely missed, or not yet known."""
    if not evidence.challenger.asked:
        return _nothing(evidence, "Nothing was scored by the challenger yet")
    tested = _tested(evidence, policy, SHADOW)
    exposure = Exposure(evidence.challenger.labelled, policy.shadow_rows, since, now)
    counted = f"Labelled rows so far: {exposure.rows:,}, at least {exposure.least:,} are wanted"
    return _compared(evidence, policy, tested, exposure, counted)


def judge_canary(
    evidence: Evidence,
    policy: RolloutSettings,
    *,
    wait: bool = False,
    since: datetime | None = None,
    now: datetime | None = None,
) -> StageVerdict:
    """Let the challenger go on unless something is surely, or so far, beyond what the policy allows.

    That its loss is not worse was shown by the shadow; where that is left out, a goal of `better` is asked for here.
    With `wait` (a person is asked) enough good requests lead to `not yet` instead of `better`.
    """
    if not evidence.challenger.asked:
        return _nothing(evidence, "No request has reached the challenger yet")
    tested = _tested(evidence, policy, LIVE)
    exposure = Exposure(evidence.challenger_rows, policy.canary_rows, since, now)
    said = _asked(evidence, exposure)
    shadowed = policy.shadow_rows > 0 and policy.shadow_fraction > 0
    if not shadowed and policy.goal is Goal.BETTER and not wait:
        return _compared(evidence, policy, tested, exposure, said)
    if tested.harm:
        return _verdict(WORSE, tested.harm, tested.numbers)
    if wait:
        return _verdict(NOT_YET, f"{said}; a person must approve.", tested.numbers)
    if enough(exposure, policy) and not tested.waits:
        noted = "" if shadowed else " Whether its loss is worse was not compared before: the shadow is left out."
        return _verdict(BETTER, f"{said}; nothing speaks against it.{noted}", tested.numbers)
    reason = " ".join((f"{said}.", *tested.waits))
    return _open(evidence, policy, tested, exposure, reason, to_go=0.0)


def judge_test(
    evidence: Evidence, policy: RolloutSettings, *, since: datetime | None = None, now: datetime | None = None
) -> StageVerdict:
    """Compare the versions each on its own share of callers, until the goal is surely reached or surely missed."""
    if not evidence.challenger.asked:
        return _nothing(evidence, "No request has reached the challenger yet")
    tested = _tested(evidence, policy, LIVE)
    exposure = Exposure(evidence.challenger_rows, policy.canary_rows, since, now)
    return _compared(evidence, policy, tested, exposure, _asked(evidence, exposure))


def judge_bake(
    evidence: Evidence, policy: RolloutSettings, *, since: datetime | None = None, now: datetime | None = None
) -> StageVerdict:
    """Watch the version that answers everybody: `worse` leads back, `better` ends the bake after `bake_rows` rows.

    Its loss is compared only on requests that the version before has scored as well (pairs): another week's losses are
    no measure of this one's.
    """
    if not evidence.challenger.asked:
        return _nothing(evidence, "No request was answered since it went live")
    tested = _tested(evidence, policy, LIVE)
    exposure = Exposure(evidence.rows, policy.bake_rows, since, now)
    if tested.harm:
        return _verdict(WORSE, tested.harm, tested.numbers)
    asked, failed = evidence.challenger.asked, evidence.challenger.failed
    said = (
        f"Live, it was asked {evidence.rows:,} of {policy.bake_rows:,} rows in {asked:,} requests and failed {failed:,}"
    )
    if enough(exposure, policy) and not tested.waits:
        return _verdict(BETTER, f"{said}; nothing speaks against it.", tested.numbers)
    left = remaining(evidence, exposure, policy, to_go=0.0, compared=0, ends=False)
    reason = " ".join((f"{said}.", *tested.waits)) + told(left)
    return _verdict(NOT_YET, reason, tested.numbers | {"remaining": left})


def _tested(evidence: Evidence, policy: RolloutSettings, tests: tuple[str, ...]) -> _Tested:
    budget = shares(policy, tests)
    quality = judge_loss(evidence, policy, false_alarm=budget["quality"])
    numbers: dict[str, Any] = {
        "rows": evidence.rows,
        "champion": asdict(evidence.champion),
        "challenger": asdict(evidence.challenger),
        "pairs": len(evidence.pairs),
        **quality.numbers,
    }
    found = {name: TESTS[name](evidence, policy, budget[name]) for name in budget if name in TESTS}
    for each in found.values():
        numbers |= each.numbers
    harms = [each.harm for each in found.values()]
    if quality.decision == WORSE:
        harms.append(f"{quality.said}: {_missed(policy)}.")
    if "slices" in budget:
        harm, more = judge_slices(evidence, policy, false_alarm=budget["slices"])
        harms.append(harm)
        numbers |= more
    numbers["budget"] = {"false_promotion": policy.false_promotion, **budget}
    waits = tuple(each.waits for each in found.values() if each.waits)
    return _Tested(quality, next((harm for harm in harms if harm), None), waits, numbers)


def _compared(
    evidence: Evidence, policy: RolloutSettings, tested: _Tested, exposure: Exposure, counted: str
) -> StageVerdict:
    """Decide a stage that asks for the goal."""
    if tested.harm:
        return _verdict(WORSE, tested.harm, tested.numbers)
    reached = tested.quality.decision == BETTER
    if reached and enough(exposure, policy) and not tested.waits:
        shown = "not worse" if policy.goal is Goal.NOT_WORSE else "better"
        return _verdict(BETTER, f"{tested.quality.said}: {shown}.", tested.numbers)
    reason = " ".join((f"{tested.quality.said}. {counted}.", *tested.waits))
    return _open(evidence, policy, tested, exposure, reason, to_go=0.0 if reached else tested.quality.to_go)


def _open(
    evidence: Evidence,
    policy: RolloutSettings,
    tested: _Tested,
    exposure: Exposure,
    reason: str,
    *,
    to_go: float | None,
) -> StageVerdict:
    """Say not yet, or back where the stage has lasted as long as it may."""
    if over := used_up(evidence, exposure, policy):
        return _verdict(WORSE, f"{over} {reason}", tested.numbers)
    left = remaining(evidence, exposure, policy, to_go=to_go, compared=tested.quality.requests, ends=True)
    return _verdict(NOT_YET, reason + told(left), tested.numbers | {"remaining": left})


def _nothing(evidence: Evidence, said: str) -> StageVerdict:
    numbers = {
        "rows": evidence.rows,
        "champion": asdict(evidence.champion),
        "challenger": asdict(evidence.challenger),
        "pairs": 0,
        "remaining": {"rows": None, "seconds": None},
    }
    return _verdict(NOT_YET, f"{said}; without requests nothing is decided.", numbers)


def _asked(evidence: Evidence, exposure: Exposure) -> str:
    asked, failed = evidence.challenger.asked, evidence.challenger.failed
    return (
        f"The challenger was asked {exposure.rows:,} of {exposure.least:,} rows in {asked:,} requests and failed "
        f"{failed:,}"
    )


def _missed(policy: RolloutSettings) -> str:
    return "worse" if policy.goal is Goal.NOT_WORSE else "not better by enough"


def _verdict(decision: str, reason: str, numbers: dict[str, Any]) -> StageVerdict:
    """Return a verdict whose numbers are short: they are written into the audit log at each look."""
    return StageVerdict(decision, reason, {name: _short(value) for name, value in numbers.items()})


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
