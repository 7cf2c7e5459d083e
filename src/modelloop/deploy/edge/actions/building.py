"""Build a bundle: the graph, the proof that it answers as the gateway does, the files, the signature."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from ....evaluate.settings import ObjectiveSettings
from ....ground.core.errors import Conflict, InvalidInput
from ....ground.core.hashing import canonical_json, hash_bytes
from ....ground.core.records import Event
from ....ground.store import audit
from ....ground.store.context import Context
from ....ground.store.secret import own_secret
from ....register import actions as register
from ....register import manifest as packages
from ....register.package import LoadedPackage, load
from ....register.records import ModelVersion
from ..graph import bundled
from ..quantise import int8
from ..records import FORM, FORM_OF_KINDS, MANIFEST, MISSING, PUBLIC, SIGNATURE, Bundle, Graph, Wish
from ..signing import RUNTIME, bundle_of, signed
from .measuring import Asked, check, difference, quality

KEY = "edge-key"
MODEL, PAGE, SCRIPT = "model.onnx", "index.html", "edge.js"
WEB = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""All that the page needs of onnxruntime-web: its program for one thread, and the WebAssembly."""
_HERE = Path(__file__).parent.parent


def build(ctx: Context, wish: Wish, objective: ObjectiveSettings | None = None) -> Bundle:
    """Build a bundle in a new folder, whole or not at all.

    Raises Conflict for a version that has no such form, ParityFailed where the graph answers otherwise than the
    gateway, InvalidInput for a folder that is not empty or what cannot be measured. `objective`: for `measure`.
    """
    if wish.to.exists() and (not wish.to.is_dir() or any(wish.to.iterdir())):
        raise InvalidInput(f"{wish.to} is there already.", hint="Name a new folder.")
    if wish.measure and objective is None:
        raise InvalidInput("A measure needs the project's objective.", hint="Run it in the project's folder.")
    version = register.get_version(ctx, wish.version)
    if version.package is None:
        raise Conflict(f"{version.name} has no package: {version.refusal or 'it was not converted'}.")
    package = load(ctx.blobs, version.package)
    if package.outside is not None:
        raise Conflict(f"{version.name} is answered by a process of its own; a device has none.")
    package.golden()
    web = _web(wish.web)
    graph, facts = _chosen(ctx, wish, package, objective)
    files = {MODEL: graph.onnx, RUNTIME: _own(RUNTIME), **graph.files, **web}
    if web:
        files |= {PAGE: _own(PAGE), SCRIPT: _own(SCRIPT)}
    manifest = _manifest(ctx, version, package, graph) | facts
    made = _written(ctx, wish.to, manifest, files)
    event = Event(
        "edge.built", f"version:{version.name}", {"package": made.package, "key": made.key, "int8": wish.int8}
    )
    with ctx.db.transaction() as connection:
        audit.append(connection, ctx, event)
    return made


def _chosen(
    ctx: Context, wish: Wish, package: LoadedPackage, objective: ObjectiveSettings | None
) -> tuple[Graph, dict[str, Any]]:
    """Return the graph that goes into the bundle, and what was found out about it."""
    files = {path: packages.read_file(ctx.blobs, package.package, path) for path in package.package.files}
    plain = bundled(files, package.signature)
    sides = {"float32": Asked(_asking(package, plain, by_row=False), plain.onnx, package)}
    facts: dict[str, Any] = {"parity": check(sides["float32"], package), "quantisation": None, "by_row": False}
    chosen = plain
    if wish.int8:
        small = int8(files[MODEL])
        facts["quantisation"] = {"kind": "none", "why": "none of the model's operators has weights to write in int8"}
        if small is not None:
            chosen = bundled(files, package.signature, small)
            # one scale for a whole tensor: the answer to a row would depend on its neighbours
            sides["int8"] = Asked(_asking(package, chosen, by_row=True), chosen.onnx, package)
            facts["by_row"] = True
            facts["quantisation"] = {
                "kind": "int8, dynamic",
                "bytes": {"float32": len(plain.onnx), "int8": len(chosen.onnx)},
                "loss": difference(sides["int8"], package),
            }
    if wish.measure:
        assert objective is not None
        facts["quality"] = quality(ctx, package, objective, wish.measure, sides)
    return chosen, facts


def _asking(package: LoadedPackage, graph: Graph, *, by_row: bool) -> dict[str, Any]:
    """Return the part of a manifest that a runtime asks with."""
    outputs = [asdict(one) for one in package.signature.answered]
    return {
        "inputs": [asdict(one) for one in graph.inputs],
        "outputs": outputs,
        "missing": MISSING,
        "zones": {name: dict(table) for name, table in graph.zones.items()},
        "by_row": by_row,
    }


def _manifest(ctx: Context, version: ModelVersion, package: LoadedPackage, graph: Graph) -> dict[str, Any]:
    return _asking(package, graph, by_row=False) | {
        "form": FORM_OF_KINDS if any(one.moment or one.hashed for one in graph.inputs) else FORM,
        "version": version.name,
        "package": package.package.digest,
        "lineage": _ids(package.lineage),
        "task": package.signature.task,
        "labels": list(package.signature.labels),
        "prepared_by_device": list(graph.prepared),
        "made_at": ctx.now().isoformat(),
        "made_with": {name: installed(name) for name in ("modelloop", "onnx", "onnxruntime")},
    }


def _ids(lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names the run, its code and its data; parameters may name places of the machine, and stay."""
    return {name: lineage[name] for name in ("run", "code", "data", "champion") if name in lineage}


def _web(folder: Path | None) -> dict[str, bytes]:
    """Return what the page needs of an unpacked onnxruntime-web."""
    if folder is None:
        return {}
    found = {}
    for name in WEB:
        places = (folder / name, folder / "dist" / name, folder / "package" / "dist" / name)
        place = next((one for one in places if one.is_file()), None)
        if place is None:
            raise InvalidInput(
                f"{folder} holds no {name}.", hint="Give the unpacked onnxruntime-web (npm pack onnxruntime-web)."
            )
        found[f"ort/{name}"] = place.read_bytes()
    return found


def _own(name: str) -> bytes:
    return (_HERE / name).read_bytes()


def _written(ctx: Context, to: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> Bundle:
    """Write everything beside, then give it its name."""
    secret = own_secret(ctx.home / "secrets" / KEY)
    public, _ = signed(secret, b"")
    files[PUBLIC] = (public + "\n").encode()
    manifest["files"] = {
        path: {"sha256": hash_bytes(content), "size": len(content)} for path, content in sorted(files.items())
    }
    text = canonical_json(json.loads(json.dumps(manifest)))
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    try:
        for path, content in [*files.items(), (MANIFEST, text), (SIGNATURE, signed(secret, text)[1].encode())]:
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_bytes(content)
        draft.chmod(0o755)
        (ctx.home / "secrets" / PUBLIC).write_bytes(files[PUBLIC])
        if to.exists():
            to.rmdir()
        draft.replace(to)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return replace(bundle_of(to, manifest, files, public, trusted=True), folder=str(to))
