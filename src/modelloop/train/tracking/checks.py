"""What may be logged: MLflow's rules for names and lengths, and what no database keeps. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ...ground.core.errors import InvalidInput
from . import records
from .records import INT64, Batch, Metric, Param, Tag

_KEY = re.compile(r"[/\w.\- :]+")
_PATHLIKE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|^\.\.")
"""Names that would be another name if they were paths: empty parts, '.', '..'."""
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@lru_cache(maxsize=8192)
def key(name: str, what: str) -> str:
    """Return `name` if it may name a metric, param or tag, else raise InvalidInput."""
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"A {what} has no name.", hint=f"Give each {what} a name.")
    if len(name) > records.MAX_KEY:
        raise InvalidInput(
            f"The name of a {what} has {len(name)} characters: {shown(name)}.", hint=f"At most {records.MAX_KEY}."
        )
    if not _KEY.fullmatch(name):
        raise InvalidInput(
            f"Invalid {what} name: {shown(name)}.",
            hint="Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ),"
            " colons (:) and slashes (/).",
        )
    if _PATHLIKE.search(name):
        raise InvalidInput(
            f"Invalid {what} name: {shown(name)}.",
            hint="A name may look like a path, but without '//', '.' or '..' as a part, or '/' at an end.",
        )
    return name


def value(text: str, what: str, limit: int) -> str:
    """Return the text of a param or tag if it can be kept, else raise InvalidInput."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is no text: {shown(repr(text))}.", hint="Send it as a string.")
    if len(text) > limit:
        raise InvalidInput(
            f"{what} has {len(text)} characters, which exceeds the limit of {limit}: {shown(text)}.",
            hint="Log long texts as an artifact (log_text), and a short note of them here.",
        )
    if _UNKEEPABLE.search(text):
        raise InvalidInput(
            f"{what} holds a NUL character or half of a surrogate pair: {shown(text)}.",
            hint="Such text cannot be kept as UTF-8; log it as an artifact.",
        )
    return text


def line(text: str, what: str, limit: int) -> str:
    """Return a name shown to people (of an experiment, a run, a person): one line without control characters."""
    if not isinstance(text, str) or len(text) > limit:
        raise InvalidInput(f"The {what} is longer than {limit} characters: {shown(str(text))}.", hint="Shorten it.")
    if _CONTROL.search(text):
        raise InvalidInput(
            f"The {what} holds control characters: {shown(text)}.", hint="Use letters, digits, spaces, punctuation."
        )
    return text


def run_id(text: str) -> str:
    """Return `text` if it may be the id of a tracked run, else raise InvalidInput."""
    if not isinstance(text, str) or not _RUN_ID.fullmatch(text):
        raise InvalidInput(
            f"Invalid run id: {shown(str(text))}.",
            hint="At most 64 of letters, digits, '_' and '-'; the first is a letter or a digit.",
        )
    return text


def whole(number: int, what: str, *, least: int = -INT64) -> int:
    """Return a 64-bit whole number, else raise InvalidInput."""
    if type(number) is not int or not least <= number < INT64:
        raise InvalidInput(
            f"{what} is no whole number from {least} to {INT64 - 1}: {shown(repr(number))}.",
            hint="Send an integer; times are milliseconds since 1970.",
        )
    return number


def metric(found: Metric) -> None:
    """Raise InvalidInput for a metric that cannot be kept."""
    key(found.name, "metric")
    if type(found.value) is not float:
        _number(found)
    if not (type(found.step) is int and -INT64 <= found.step < INT64):
        whole(found.step, f"The step of metric {found.name!r}")
    if not (type(found.at_ms) is int and 0 <= found.at_ms < INT64):
        whole(found.at_ms, f"The time of metric {found.name!r}", least=0)
    if found.model_id is not None:
        _of_a_model(found)


def _number(found: Metric) -> None:
    if type(found.value) is not int or abs(found.value) > 2**1023:
        raise InvalidInput(
            f"Got invalid value {shown(repr(found.value))} for metric {found.name!r}.",
            hint="Please specify value as a valid double (64-bit floating point).",
        )


def _of_a_model(found: Metric) -> None:
    run_id(found.model_id or "")
    line(found.dataset_name or "", "name of a dataset", records.MAX_DATASET_NAME)
    line(found.dataset_digest or "", "digest of a dataset", 64)
    if len(found.name.encode()) + len((found.dataset_name or "").encode()) > 2000:  # what an index of PostgreSQL holds
        raise InvalidInput(f"Metric {shown(found.name)} and its dataset have too long names together.")


def params(found: Sequence[Param]) -> None:
    """Raise InvalidInput for params that cannot be kept; a name twice must say the same twice."""
    seen: dict[str, str] = {}
    for param in found:
        value(param.value, f"Param {key(param.name, 'param')!r}", records.MAX_PARAM_VALUE)
        if seen.setdefault(param.name, param.value) != param.value:
            raise InvalidInput(
                f"Duplicate parameter keys have been submitted: param {param.name!r} has the values"
                f" {shown(seen[param.name])} and {shown(param.value)} in one batch.",
                hint="A param has one value for good; log what changes as a metric or a tag.",
            )


def tags(found: Iterable[Tag]) -> None:
    """Raise InvalidInput for tags that cannot be kept."""
    for tag in found:
        value(tag.value, f"Tag {key(tag.name, 'tag')!r}", records.MAX_TAG_VALUE)
        if tag.name == records.RUN_NAME_TAG:
            line(tag.value, "name of a run", records.MAX_RUN_NAME)


def batch(found: Batch, *, limits: bool = True) -> None:
    """Raise InvalidInput for a batch that cannot be written; without `limits` its length is the caller's business."""
    run_id(found.run_id)
    if limits:
        _lengths(found)
    for one in found.metrics:
        metric(one)
    if found.params:
        params(found.params)
    if found.tags:
        tags(found.tags)
    if found.end_ms is not None:
        whole(found.end_ms, "The end of a run", least=0)
    if found.name is not None:
        line(found.name, "name of a run", records.MAX_RUN_NAME)


def _lengths(found: Batch) -> None:
    counts = {"metrics": len(found.metrics), "params": len(found.params), "tags": len(found.tags)}
    most = {
        "metrics": records.MAX_BATCH_METRICS,
        "params": records.MAX_BATCH_PARAMS,
        "tags": records.MAX_BATCH_TAGS,
    }
    counts["metrics, params, and tags"] = sum(counts.values())
    most["metrics, params, and tags"] = records.MAX_BATCH
    for what, count in counts.items():
        if count > most[what]:
            raise InvalidInput(
                f"A batch logging request can contain at most {most[what]} {what}. Got {count} {what}.",
                hint=f"Please split up {what} across multiple requests and try again.",
            )


def shown(text: str) -> str:
    """Return text for a message: short, control characters escaped."""
    return repr(text if len(text) <= 80 else text[:80] + "...")
