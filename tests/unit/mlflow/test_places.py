"""Artifact addresses: what names a file, and everything that would lead elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput, ModelloopError, NotFound
from modelloop.mlflow.places import Place, clean, place
from modelloop.train.tracking.records import Owner

RUN = "run_01"
ROOT = f"3/{RUN}/artifacts"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ROOT, Place(Owner("run", RUN), "")),
        (f"{ROOT}/plots/roc curve.png", Place(Owner("run", RUN), "plots/roc curve.png")),
        (f"{ROOT}/Grüße/日本語.txt", Place(Owner("run", RUN), "Grüße/日本語.txt")),
        (f"{ROOT}/100%.txt", Place(Owner("run", RUN), "100%.txt")),
        (f"{ROOT}/..hidden/a..b", Place(Owner("run", RUN), "..hidden/a..b")),
        ("0/models/m-1/artifacts/MLmodel", Place(Owner("model", "m-1"), "MLmodel")),
        ("0/models/artifacts", Place(Owner("run", "models"), "")),
        (f"versions/{b'a model'.hex()}/7/MLmodel", Place(None, "MLmodel", "a model", 7)),
    ],
)
def test_addresses_name_files(text: str, found: Place) -> None:
    assert place(text) == found


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "a/..",
        "./x",
        "a//b",
        "/etc/passwd",
        "a/",
        "a\\b",
        "..\\x",
        "C:/x",
        "c:x",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "%2e%2e/x",
        "%2E%2E%2Fx",
        "%252e%252e/x",
        "%25252e%25252e%25252fx",
        "a%5cb",
        "%2fetc/passwd",
        "a%00b",
        "a%0ab",
        "x" * 1001,
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid artifact path"):
        place(f"{ROOT}/{path}")


@pytest.mark.parametrize(
    "text", ["", "x", "3", f"3/{RUN}", f"a/{RUN}/artifacts/x", "versions/zz/1/x", "versions/61/one/x", "versions/61"]
)
def test_what_is_nobodys_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        place(text)


@given(st.text(max_size=40))
def test_no_text_gets_through_with_a_part_that_climbs(text: str) -> None:
    try:
        path = clean(text)
    except ModelloopError:
        return
    assert path == text
    assert not {"..", "."} & set(path.split("/"))
    assert "\\" not in path
    assert "\x00" not in path
