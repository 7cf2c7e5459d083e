"""Verbs of data, by group: `intake` (what arrives is taken in or refused), `committing` (where a version comes to be),
`reading` (look-ups), `branching` (branches, tags, merges, differences), `keeping` (retention), `erasing`, `quarantine`
(what becomes of rows that were set aside)."""

from .branching import branch, branches, diff, drop_branch, merge, restore, tag, tags, untag
from .erasing import erase, erasures, tainted_runs
from .intake import ingest
from .keeping import held_in_rows, prune, sweep
from .peeking import first_rows, proposed
from .quarantine import Readmission, correct, drop, readmit
from .reading import arrivals, datasets, item, quarantined, read, refused, report, resolve, version, versions

__all__ = [
    "Readmission",
    "arrivals",
    "branch",
    "branches",
    "correct",
    "datasets",
    "diff",
    "drop",
    "drop_branch",
    "erase",
    "erasures",
    "first_rows",
    "held_in_rows",
    "ingest",
    "item",
    "merge",
    "proposed",
    "prune",
    "quarantined",
    "read",
    "readmit",
    "refused",
    "report",
    "resolve",
    "restore",
    "sweep",
    "tag",
    "tags",
    "tainted_runs",
    "untag",
    "version",
    "versions",
]
