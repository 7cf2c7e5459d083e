"""Run the works named on the command line, or all; print ratios; keep the last result of each."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .measure import Work

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Return 0 if every bar holds."""
    known = sorted(path.stem for path in (HERE / "works").glob("*.py") if path.stem != "__init__")
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    table = Table("work", "ours", "reference", "ratio", "bar", "holds")
    all_hold = True
    for name in names or known:
        result = run(name)
        all_hold &= bool(result["holds"])
        table.add_row(*[str(result[key]) for key in ("work", "ours", "reference_figure", "ratio", "bar", "holds")])
        (HERE / "results" / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    Console().print(table)
    return 0 if all_hold else 1


def run(name: str) -> dict[str, object]:
    """Return one result, ready to be kept."""
    work: Work = import_module(f"benchmarks.works.{name}").WORK
    measured = work.run()
    ratio = measured.ours / measured.reference
    return {
        "work": work.work,
        "ours": f"{measured.ours:.4g} {measured.unit}",
        "reference": work.reference,
        "reference_figure": f"{measured.reference:.4g} {measured.unit}",
        "ratio": round(ratio, 3),
        "bar": work.bar,
        "holds": ratio <= work.bar,
        "notes": measured.notes,
        "command": f"make bench NAME={name}",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
