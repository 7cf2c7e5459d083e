"""What metrics, params, tags and artifacts may be called, said in one sentence. The rules are tracking's own."""

from __future__ import annotations

from ..ground.core.errors import InvalidInput
from ..train.tracking import checks, paths
from ..train.tracking.records import MAX_EXPERIMENT_NAME, MAX_RUN_NAME


def wrong_name(name: object, what: str) -> str:
    """Say what is wrong with the name of a metric, param or tag; "" where nothing is."""
    if not isinstance(name, str):
        return f"{_shown(name)} cannot name a {what}: it is {type(name).__name__}, not text."
    try:
        checks.key(name, what)
    except InvalidInput as error:
        return str(error)
    return ""


def wrong_path(path: str) -> str:
    """Say what is wrong with the path of an artifact; "" where nothing is."""
    try:
        paths.check_path(path)
    except InvalidInput as error:
        return str(error)
    return ""


def check_experiment(name: object) -> str:
    """Return the name if an experiment may have it; raises InvalidInput."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"{_shown(name)} cannot name an experiment.", hint="Give it a short name, in text.")
    return checks.line(name, "name of an experiment", MAX_EXPERIMENT_NAME)


def check_run_name(name: object) -> str:
    """Return the name if a run may have it; raises InvalidInput."""
    return checks.line(name if isinstance(name, str) else str(name), "name of a run", MAX_RUN_NAME)


def plain(text: str) -> str:
    """Return a text that every store can keep: what is no UTF-8, and NUL, is written out."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()


def _shown(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else text[:77] + "..."
