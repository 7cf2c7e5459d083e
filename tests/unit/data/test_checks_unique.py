"""Repeated keys are found over batches of any size, on disk too, and never by a hash alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.contract.checks import unique
from modelloop.data.contract.checks.unique import Keys, Seen, both, fingerprints, keys_of, repeated, seen_in

FRAMES = {
    ("i",): pl.Int64, ("f",): pl.Float64, ("s",): pl.String, ("i", "s"): None, ("f", "s"): None,
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)]),
            "f": st.none() | st.sampled_from([0.0, -0.0, 0.5, 1e300]),
            "s": st.none() | st.sampled_from(["", "a", "a longer text than fits into a view", "ä"]),
        }
    ),
    min_size=1,
    max_size=30,
)
SCHEMA = {"i": pl.Int64, "f": pl.Float64, "s": pl.String}


def plainly(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[int]:
    seen: set[Any] = set()
    later = []
    for at, row in enumerate(rows):
        key = tuple(row[name] for name in names)
        if None not in key:
            later += [at] * (key in seen)
            seen.add(key)
    return later


def in_batches(rows: list[dict[str, Any]], names: tuple[str, ...], size: int) -> list[int]:
    seen, found = Seen(), []
    for start in range(0, len(rows), size):
        keys = keys_of(pl.DataFrame(rows[start : start + size], schema=SCHEMA), names)
        _, later, ordered = repeated(keys)
        again = keys.of_rows(seen.again(keys))
        seen.add(keys, ordered)
        found += [start + at for at in both(later, again)]
    return found


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(sorted(FRAMES)), st.integers(1, 30))
def test_the_later_row_repeats_the_key(rows: list[dict[str, Any]], names: tuple[str, ...], size: int) -> None:
    assert in_batches(rows, names, size) == plainly(rows, names)


@pytest.mark.parametrize("names", sorted(FRAMES))
@pytest.mark.parametrize("size", [1, 7, 100])
def test_equal_fingerprints_are_no_proof(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], size: int) -> None:
    if names == ("i",):
        return  # a number is its own fingerprint
    monkeypatch.setattr(unique, "fingerprints", lambda keys: np.zeros(len(keys), dtype=np.uint64))
    rows = [{"i": n % 5, "f": (n % 7) / 2, "s": f"text {n % 3}"} for n in range(60)]
    assert in_batches(rows, names, size) == plainly(rows, names)


@pytest.mark.parametrize("names", sorted(FRAMES))
def test_what_does_not_fit_into_memory_goes_to_disk(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    monkeypatch.setattr(unique, "IN_MEMORY", 100)
    rows = [{"i": n % 61, "f": (n % 53) / 2, "s": f"text {n % 59}"} for n in range(200)]
    assert in_batches(rows, names, 9) == plainly(rows, names)


@settings(max_examples=30, deadline=None)
@given(ROWS, ROWS, st.sampled_from(sorted(FRAMES)))
def test_keys_of_a_dataset_are_known(old: list[Any], new: list[Any], names: tuple[str, ...]) -> None:
    frame = pl.DataFrame(new, schema=SCHEMA).select(names)
    seen = seen_in(pl.DataFrame(old, schema=SCHEMA).lazy(), names, dict(frame.schema))
    keys: Keys = keys_of(frame, names)
    had = {tuple(row[name] for name in names) for row in old}
    there = [tuple(row[name] for name in names) for row in new]
    assert keys.of_rows(seen.again(keys)).to_list() == [
        at for at, key in enumerate(there) if None not in key and key in had
    ]


def test_rows_that_repeat_a_part_are_the_only_ones_that_can_repeat_the_whole() -> None:
    frame = pl.DataFrame({"i": [1, 2, 1, 3, 1, None], "s": ["a", "a", "b", "a", "a", "a"]})
    some, later, _ = repeated(keys_of(frame, ["i"]))
    assert (some.to_list(), later.to_list()) == ([0, 2, 4], [2, 4])
    _, both_parts, _ = repeated(keys_of(frame, ["i", "s"], some))
    assert both_parts.to_list() == [4]
    assert fingerprints(pl.DataFrame({"f": [0.0, -0.0]})).tolist()[0] == fingerprints(pl.DataFrame({"f": [-0.0]}))[0]
