"""Pure: the files of a package made of a foreign model. Equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..evaluate.records import Evaluation, Score
from ..train.foreign.records import TOLERANCE, Converted, Job
from ..train.outside.records import MEMORY, Served
from .card import UNSAFE, facts_of, plain
from .records import ModelVersion, Parity, Signature, Snapshot, TensorSpec
from .signature import describe

OUTPUT = "score"
UNKNOWN = "unknown"
FOREIGN = (
    "**Trained elsewhere.** Registered as a folder in MLflow's format, and served {how}. No gate was asked: nothing "
    "was measured but that {known}."
)
AS_ONNX = "both answer alike"
OUTSIDE = "its process answers as the model did when it was registered"
RUNTIME = "runtime.json"
PIECES = "pieces/"
"""Where the pieces of a model's files stand in a package, by their hashes."""


def served_outside(
    snapshot: Snapshot, job: Job, converted: Converted, *, allowed_by: str = "", interpreter: str = ""
) -> Served:
    """Return how a model is served in a process of its own; `allowed_by`: who allowed its pickle to be read."""
    return Served(
        kind=converted.kind,
        flavor=job.flavor,
        data=job.data,
        settings=job.settings,
        inputs=converted.inputs,
        output=converted.output,
        outputs=converted.outputs,
        words=converted.words,
        pickle=converted.kind == "python",
        allowed_by=allowed_by if converted.kind == "python" else "",
        files={path: tuple(digest for digest, _ in file.parts) for path, file in snapshot.files.items()},
        platform=converted.platform,
        interpreter=interpreter,
        memory=MEMORY + 4 * snapshot.size,
    )


def pieces_of(served: Served) -> dict[str, str]:
    """Return the model's own bytes as files of the package, name -> hash."""
    return {f"{PIECES}{digest}": digest for parts in served.files.values() for digest in parts}


def signature_of(converted: Converted) -> Signature:
    """Return what the model is asked with and what it answers."""
    outputs = tuple(TensorSpec(name, kind, (-1, *shape)) for name, (kind, shape) in converted.outputs.items())
    return Signature(
        converted.inputs,
        converted.output,
        "multiclass" if converted.labels else UNKNOWN,
        tensors=tuple(TensorSpec(one.name, one.datatype, one.shape) for one in converted.tensors),
        outputs=() if converted.kind == "onnx" and set(converted.outputs) == {OUTPUT} else outputs,
        labels=converted.labels,
        platform=converted.platform,
    )


def foreign_files(
    version: ModelVersion,
    snapshot: Snapshot,
    converted: Converted,
    graph: bytes,
    environment: str,
    *,
    served: Served | None = None,
    largest: float | None = None,
) -> dict[str, bytes]:
    """Return every file of the package but the pieces; nothing was measured but that it answers as the model does.

    `served`: how, where there is no graph; `largest`: the difference that was measured there.
    """
    rows = len(converted.expected)
    difference = converted.largest if largest is None else largest
    parity = Parity(rows=rows, largest=difference, beyond=0, tolerance=TOLERANCE)
    nothing = Score("none", None, None, None, 0)
    lineage = {"source": version.source, "run": version.run, "snapshot": snapshot.digest, **version.lineage}
    how = {"model.onnx": graph} if served is None else {RUNTIME: _json(served)}
    return {
        **how,
        "signature.json": _json(signature_of(converted)),
        "sample.json": _json(
            {"tensors" if converted.tensors else "columns": converted.columns, "expected": converted.expected}
        ),
        "evaluation.json": _json(Evaluation(nothing, (), nothing, (), None, ())),
        "parity.json": _json(parity),
        "lineage.json": _json(lineage),
        "profile.json": b"{}",
        "environment.txt": environment.encode(),
        "card.md": _card(version, converted, parity, lineage, served).encode(),
    }


def _card(
    version: ModelVersion, converted: Converted, parity: Parity, lineage: Mapping[str, Any], served: Served | None
) -> str:
    drawn = "rows drawn from its signature" if converted.drawn else "its input example and rows drawn around it"
    libraries = ", ".join(f"{name} {number}" for name, number in sorted(converted.versions.items()))
    parts = [
        f"# {plain(version.name)}",
        FOREIGN.format(how="as ONNX", known=AS_ONNX)
        if served is None
        else FOREIGN.format(how="in a process of its own", known=OUTSIDE),
        *([UNSAFE] if version.unsafe else []),
        *([] if served is None else _outside(converted, served)),
        "## Answers",
        f"Asked for {parity.rows} rows ({drawn}), {'its process' if served else 'the graph'} differs from the model in "
        f"its own library ({plain(libraries)}) by at most {parity.largest:.2g}; tolerated: {parity.tolerance:.2g}. "
        f"{plain(converted.note)}".rstrip(),
        f"Asked with: {plain(_asked(converted))}. {plain(_answers(converted))}",
        "## Lineage",
        facts_of(lineage),
        "## Licence",
        plain(str(lineage.get("licence") or "Not stated.")),
    ]
    return "\n\n".join(parts) + "\n"


def _outside(converted: Converted, served: Served) -> list[str]:
    how = f"Read by {served.platform}, in a process of its own beside each gateway: it may crash, hang or leak there."
    why = f"Not as ONNX: {converted.reason}." if converted.reason else ""
    by = f" **Its pickle is read there, by order of {served.allowed_by or 'a person'}.**" if served.pickle else ""
    return ["## Served outside", f"{plain(f'{how} {why}'.strip())}{plain(by)}"]


def _asked(converted: Converted) -> str:
    if converted.tensors:
        return ", ".join(f"{one.name} {one.datatype} {list(one.shape)}" for one in converted.tensors)
    return describe(converted.inputs)


def _answers(converted: Converted) -> str:
    if converted.labels:
        return f"Answers a row of probabilities ({', '.join(converted.labels[:20])}) and the likeliest of them."
    if converted.words:
        listed = ", ".join(converted.words[:20])
        return f"Answers words; the headline is the place of the word in: {listed} (-1: another one)."
    if len(converted.outputs) > 1:
        return f"Answers {', '.join(converted.outputs)}; the headline is {converted.output}."
    return "Answers one number per row, as `pyfunc.predict` does."


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
