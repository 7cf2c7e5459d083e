"""Write tests/crds from CustomResourceDefinitions as their projects publish them (tests/crds/README.md says which).

python tests/draft_crds.py CRD.yaml ...        # descriptions are left out; everything else stays as it is
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import yaml

from crd_schemas import CRDS


def plain(schema: Any) -> Any:
    """Return the schema without its descriptions. A property may be called `description`: those hold a schema."""
    if isinstance(schema, list):
        return [plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: inner for name, inner in schema.items() if name != "description" or not isinstance(inner, str)}
    return {name: plain(inner) for name, inner in kept.items()}


def main(paths: list[str]) -> None:
    for path in paths:
        found = yaml.load(Path(path).read_text(), yaml.CSafeLoader)
        name, group = found["spec"]["names"]["kind"], found["spec"]["group"]
        for version in found["spec"]["versions"]:
            told = {
                "apiVersion": f"{group}/{version['name']}",
                "kind": name,
                "schema": plain(version["schema"]["openAPIV3Schema"]),
            }
            packed = lzma.compress(json.dumps(told, separators=(",", ":"), sort_keys=True).encode(), preset=9)
            (CRDS / f"{name}.{version['name']}.json.xz").write_bytes(packed)


if __name__ == "__main__":
    main(sys.argv[1:])
