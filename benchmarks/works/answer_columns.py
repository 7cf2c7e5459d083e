"""One row of 21 named columns, prepared by the package's transform, 200 trees: the gateway beside the bare limit."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from modelloop.deploy.records import Route

from ..answering import beside_the_limit, request
from ..measure import Measured, Work
from ..served import put, trees
from .answer import BAR, REFERENCE


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = trees(columns=20, kinds=True)
        arm = put(home, made)
        row = made.holdout.row(0, named=True)
        tensors = [
            {"name": c.name, "shape": [1], "datatype": str(c.datatype), "data": [row[c.name]]}
            for c in made.transform.inputs
        ]
        body = json.dumps({"inputs": tensors}, separators=(",", ":")).encode()
        ours, theirs, notes = beside_the_limit(home, request(body), Route("bench", arm), connections=(8,))
    return Measured(ours.cpu * 1e6, theirs.cpu * 1e6, "CPU us an answer", notes)


WORK = Work("one row of 21 named columns with their transform", REFERENCE, BAR, _run)
