"""How often a rollout's verdict is wrong if one looks at every request, and how many requests it takes.

python -m benchmarks.studies.rollouts          # all of it, a few minutes
python -m benchmarks.studies.rollouts draw     # only the picture and the tables, from the result that is there

Each scenario is 2,000 rollouts. Beside the verdict's own bounds stand two that are used for the same: the asymptotic
confidence sequence, from 100 requests on, and a test for a fixed number of requests, looked at all the same from 30 on.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.verdicts.budget import shares
from modelloop.ground.stats.wagers import evidence_path

from ..measure import versions
from .rollout_limits import LIMITS
from .rollout_pictures import picture
from .rollout_streams import MARGIN, SCENARIOS, by_request, by_row

ROOT = Path(__file__).parent.parent.parent
RESULT = ROOT / "benchmarks" / "results" / "rollouts.json"
PICTURE = ROOT / "docs" / "pictures" / "rollouts.svg"
ROLLOUTS = 2000
POLICY = RolloutSettings(margin=MARGIN)
PROMOTE = POLICY.false_promotion
BACK = shares(POLICY, ("quality", "errors"))["quality"]
POWER = 0.8
METHODS = {
    "verdict": "the verdict's bounds",
    "asymptotic": "asymptotic sequence",
    "fixed": "fixed-size test, peeked at",
}


@dataclass(frozen=True)
class Said:
    """For each rollout and request: is it surely better, surely worse by now?"""

    better: np.ndarray
    worse: np.ndarray


def verdict(pairs: np.ndarray) -> Said:
    """Return what the shadow's bounds say at each request."""
    return Said(
        evidence_path(-pairs, -MARGIN, lower=-1.0, upper=1.0) >= -math.log(PROMOTE),
        evidence_path(pairs, MARGIN, lower=-1.0, upper=1.0) >= -math.log(BACK),
    )


def asymptotic(pairs: np.ndarray, least: int = 100) -> Said:
    """Return what `sequential.running_mean_sequence` says, one-sided bounds taken from it with twice their chance."""
    n, mean, spread = _moments(pairs)

    def half(alpha: float) -> np.ndarray:
        squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / 500
        scaled = n * squared + 1
        return np.asarray(spread * np.sqrt(2 * scaled / (n**2 * squared) * np.log(np.sqrt(scaled) / alpha)))

    return _from(Said(mean + half(2 * PROMOTE) < MARGIN, mean - half(2 * BACK) > MARGIN), least)


def fixed(pairs: np.ndarray, least: int = 30) -> Said:
    """Return what a z-test for a number of requests fixed beforehand says, if it is looked at at each request."""
    n, mean, spread = _moments(pairs)
    error = np.maximum(spread, 1e-9) / np.sqrt(n)
    z = NormalDist().inv_cdf
    return _from(Said(mean + z(1 - PROMOTE) * error < MARGIN, mean - z(1 - BACK) * error > MARGIN), least)


TESTS: Mapping[str, Callable[[np.ndarray], Said]] = {"verdict": verdict, "asymptotic": asymptotic, "fixed": fixed}


def told(said: Said) -> dict[str, Any]:
    """Return how rollouts end that stop at the first sure word, after how many requests.

    `ever`: the share that is ever called so, also where the other word came before: what the promise is about.
    """
    better, worse = _first(said.better), _first(said.worse)
    length = said.better.shape[1]
    promoted, back = better < worse, worse < better
    ends = np.minimum(np.minimum(better, worse), length)
    at = sorted({*np.geomspace(10, length, 30).round().astype(int).tolist()})
    decided = np.sort(np.minimum(better, worse))
    enough = decided[math.ceil(POWER * len(decided)) - 1]
    return {
        "promoted": _share(promoted),
        "sent back": _share(back),
        "mean requests": round(float(ends.mean()), 1),
        "80 % decided by": int(enough) if enough <= length else None,
        "at": at,
        "ever": {"promoted": [_share(better <= n) for n in at], "sent back": [_share(worse <= n) for n in at]},
    }


def fixed_size(pairs: np.ndarray) -> int | None:
    """Return the requests a z-test of fixed size needs to find the true difference with a chance of 80 %."""
    z, off = NormalDist().inv_cdf, float(pairs.mean()) - MARGIN
    alpha = PROMOTE if off < 0 else BACK
    if abs(off) < 1e-3:
        return None
    return math.ceil(((z(1 - alpha) + z(POWER)) * float(pairs.std()) / off) ** 2)


def study(rollouts: int = ROLLOUTS) -> dict[str, Any]:
    """Return every scenario's figures."""
    found: dict[str, Any] = {}
    for name, scenario in SCENARIOS.items():
        began = time.process_time()
        pairs = scenario.draw(np.random.default_rng(scenario.seed), rollouts)
        each = {method: told(test(pairs)) for method, test in TESTS.items()}
        found[name] = {"what": scenario.what, "wrong": scenario.wrong, "fixed size": fixed_size(pairs), "methods": each}
        print(name, f"{time.process_time() - began:.0f} s", flush=True)
    return found


def rows_of_requests(rollouts: int = ROLLOUTS) -> dict[str, Any]:
    """Return false promotions where rows of a request share their fate and outcomes arrive row by row."""
    random = np.random.default_rng(77)
    found = {
        "by request, each outcome looked at": told(by_request(random, rollouts, PROMOTE, BACK)),
        "by row, as if rows were repetitions": told(by_row(random, rollouts, PROMOTE, BACK)),
    }
    return {name: {key: each["ever"][key][-1] for key in ("promoted", "sent back")} for name, each in found.items()}


def main(words: list[str]) -> int:
    """Return 0 when all is written."""
    if words != ["draw"]:
        began = time.process_time()
        result = {
            "what": "rollouts looked at at every request: wrong verdicts and requests until a verdict",
            "command": "python -m benchmarks.studies.rollouts",
            "versions": versions("numpy"),
            "rollouts": ROLLOUTS,
            "margin": MARGIN,
            "false promotion allowed": PROMOTE,
            "false rollback allowed": BACK,
            "scenarios": study(),
            "rows of requests": rows_of_requests(),
            "limits": {name: test(ROLLOUTS) for name, test in LIMITS.items()},
        }
        result["cpu seconds"] = round(time.process_time() - began)
        RESULT.write_text(written(result) + "\n")
    result = json.loads(RESULT.read_text())
    PICTURE.write_text(picture(result, METHODS))
    print("\n".join(table(result)))
    return 0


def table(result: Mapping[str, Any]) -> list[str]:
    """Return the scenarios as a table for the docs."""
    rows = [
        "| scenario | wrong is | " + " | ".join(METHODS.values()) + " | mean requests | 80 % decided | fixed size |"
    ]
    rows.append("|---" * (len(METHODS) + 5) + "|")
    for name, each in result["scenarios"].items():
        cells = [_percent(each["methods"][method]["ever"][each["wrong"]][-1]) for method in METHODS]
        ours = each["methods"]["verdict"]
        counts = (ours["mean requests"], ours["80 % decided by"], each["fixed size"])
        last = " | ".join("-" if count is None else f"{count:,.0f}" for count in counts)
        rows.append(f"| {name} | {each['wrong']} | {' | '.join(cells)} | {last} |")
    rows += ["", "| rows of requests, at the margin | promoted | sent back |", "|---|---|---|"]
    rows += [
        f"| {name} | {_percent(each['promoted'])} | {_percent(each['sent back'])} |"
        for name, each in result["rows of requests"].items()
    ]
    rows += ["", "| limit | wrong | allowed | found if it is broken |", "|---|---|---|---|"]
    for name, each in result["limits"].items():
        found = f"{each['broken by']}: after {each['mean requests']:,.0f} requests on average"
        rows.append(f"| {name} | {_percent(each['wrong'])} | {_percent(each['allowed'])} | {found} |")
    return rows


def written(result: Mapping[str, Any]) -> str:
    """Return JSON with a line for each list."""
    return re.sub(r"\[\s+([^\[\]{}]+?)\s+\]", lambda found: re.sub(r"\s+", " ", found[0]), json.dumps(result, indent=1))


def _moments(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = np.arange(1, pairs.shape[1] + 1)
    mean = np.cumsum(pairs, axis=1) / n
    squares = np.cumsum(pairs**2, axis=1) / n
    return n, mean, np.sqrt(np.maximum(squares - mean**2, 0) * n / np.maximum(n - 1, 1))


def _from(said: Said, least: int) -> Said:
    said.better[:, : least - 1] = said.worse[:, : least - 1] = False
    return said


def _first(said: np.ndarray) -> np.ndarray:
    """Return the number of the first look that says so, or one that never comes."""
    return np.where(said.any(axis=1), said.argmax(axis=1) + 1, said.shape[1] + 1)


def _share(flags: np.ndarray) -> float:
    return round(float(flags.mean()), 4)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
