"""Pure: the files of a package made of a foreign model. Equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..evaluate.records import Evaluation, Score
from ..train.foreign.records import TOLERANCE, Converted
from .card import UNSAFE, facts_of, plain
from .records import ModelVersion, Parity, Signature, Snapshot
from .signature import describe

OUTPUT = "score"
UNKNOWN = "unknown"
FOREIGN = (
    "**Trained elsewhere.** Registered as a folder in MLflow's format, and served as ONNX. No gate was asked: nothing "
    "was measured but that both answer alike."
)


def foreign_files(
    version: ModelVersion, snapshot: Snapshot, converted: Converted, graph: bytes, environment: str
) -> dict[str, bytes]:
    """Return every file of the package; nothing in it was measured but that it answers as the model itself does."""
    signature = Signature(converted.inputs, OUTPUT, UNKNOWN)
    rows = len(converted.expected)
    parity = Parity(rows=rows, largest=converted.largest, beyond=0, tolerance=TOLERANCE)
    nothing = Score("none", None, None, None, 0)
    lineage = {"source": version.source, "run": version.run, "snapshot": snapshot.digest, **version.lineage}
    return {
        "model.onnx": graph,
        "signature.json": _json(signature),
        "sample.json": _json({"columns": converted.columns, "expected": converted.expected}),
        "evaluation.json": _json(Evaluation(nothing, (), nothing, (), None, ())),
        "parity.json": _json(parity),
        "lineage.json": _json(lineage),
        "profile.json": b"{}",
        "environment.txt": environment.encode(),
        "card.md": _card(version, converted, parity, lineage).encode(),
    }


def _card(version: ModelVersion, converted: Converted, parity: Parity, lineage: Mapping[str, Any]) -> str:
    drawn = "rows drawn from its signature" if converted.drawn else "its input example and rows drawn around it"
    libraries = ", ".join(f"{name} {number}" for name, number in sorted(converted.versions.items()))
    parts = [
        f"# {plain(version.name)}",
        FOREIGN,
        *([UNSAFE] if version.unsafe else []),
        "## Answers",
        f"Asked for {parity.rows} rows ({drawn}), the graph differs from the model in its own library "
        f"({plain(libraries)}) by at most {parity.largest:.2g}; tolerated: {parity.tolerance:.2g}. "
        f"{plain(converted.note)}".rstrip(),
        f"Asked with: {plain(describe(converted.inputs))}. Answers one number per row, as `pyfunc.predict` does.",
        "## Lineage",
        facts_of(lineage),
        "## Licence",
        plain(str(lineage.get("licence") or "Not stated.")),
    ]
    return "\n\n".join(parts) + "\n"


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
