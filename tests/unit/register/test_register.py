"""Registering, numbering and looking up versions; packages that prove every byte of themselves."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelloop.ground.core.errors import BlobMissing, IdInvalid, InvalidInput, NotFound, ParityFailed, StoreUnavailable
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.register import actions, tables
from modelloop.register.manifest import build, open_package, read_file
from modelloop.register.package import load
from packages import make_candidate, make_evidence, put_package


def test_numbers_follow_and_facts_are_kept(ctx: Context) -> None:
    first = actions.register(ctx, "delay", make_candidate(), make_evidence())
    second = actions.register(ctx, "delay", make_candidate((0.1, 0.2, 0.3)), make_evidence(run="run_2"))
    assert (first.name, second.name) == ("delay:1", "delay:2")
    assert actions.versions(ctx, "delay") == (first, second)
    assert actions.models(ctx) == ("delay",)
    found = actions.get_version(ctx, "delay:2")
    assert (found.run, found.headline, found.made_by, str(found.verdict)) == ("run_2", 0.71, "tester", "pass")
    with ctx.db.reading() as connection:
        entries = list(audit.entries(connection, subject="delay:2"))
    assert [(e.action, e.detail["digest"]) for e in entries] == [("model.registered", second.digest)]


def test_the_same_package_again_is_the_same_version(ctx: Context) -> None:
    first = actions.register(ctx, "delay", make_candidate(), make_evidence())
    assert actions.register(ctx, "delay", make_candidate(), make_evidence()) == first
    with ctx.db.reading() as connection:
        assert audit.verify(connection) == 1
    assert actions.register(ctx, "other", make_candidate(), make_evidence()).name == "other:1"


def test_many_at_once_get_one_number_each(ctx: Context) -> None:
    def one(weight: int) -> str:
        return actions.register(ctx, "delay", make_candidate((weight / 10, 0.0, 0.0)), make_evidence()).name

    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(one, range(6)))
    assert sorted(names) == [f"delay:{n}" for n in range(1, 7)]


def test_unknown_versions_are_told_apart(ctx: Context) -> None:
    with pytest.raises(NotFound, match="No model is registered yet"):
        actions.get_version(ctx, "delay:1")
    actions.register(ctx, "delay", make_candidate(), make_evidence())
    with pytest.raises(NotFound, match="The newest is delay:1"):
        actions.get_version(ctx, "delay:7")
    with pytest.raises(NotFound, match="Did you mean 'delay'"):
        actions.get_version(ctx, "delays:1")
    for wrong in ("delay", "delay:0", "delay:x", "../x:1", "delay:1\n"):
        with pytest.raises(NotFound, match="MODEL:NUMBER"):
            actions.get_version(ctx, wrong)
    with pytest.raises(IdInvalid):
        actions.register(ctx, "No Name", make_candidate(), make_evidence())


def test_a_loaded_package_answers_as_the_training_code_did(ctx: Context) -> None:
    candidate = make_candidate()
    version = actions.register(ctx, "delay", candidate, make_evidence(value=None))
    loaded = load(ctx.blobs, version.digest)
    assert version.headline is None
    np.testing.assert_allclose(loaded.scorer.score(loaded.sample), candidate.expected, atol=1e-6)
    assert loaded.golden().beyond == 0
    assert [c.name for c in loaded.signature.inputs] == ["delay", "distance", "carrier"]
    assert loaded.evaluation == make_evidence(value=None).evaluation
    assert loaded.lineage["data"] == {"flights": 3}


def test_golden_refuses_a_model_that_answers_otherwise(ctx: Context) -> None:
    candidate = make_candidate()
    wrong = replace(candidate, expected=candidate.expected + 0.01)
    with pytest.raises(ParityFailed, match="40 of 40"):
        load(ctx.blobs, put_package(ctx.blobs, wrong)).golden()


def test_any_changed_byte_of_any_file_is_refused(ctx: Context) -> None:
    digest = put_package(ctx.blobs)
    package = open_package(ctx.blobs, digest)
    for name in (*package.files, "manifest"):
        path = ctx.blobs.path(digest if name == "manifest" else package.files[name])
        assert path is not None
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(StoreUnavailable, match="damaged"):
            load(ctx.blobs, digest)
        path.write_bytes(good)
    load(ctx.blobs, digest)


def test_packages_that_are_none(ctx: Context) -> None:
    with pytest.raises(InvalidInput, match="manifest"):
        load(ctx.blobs, ctx.blobs.put(b"[1]"))
    with pytest.raises(InvalidInput, match="format 9"):
        load(ctx.blobs, ctx.blobs.put(b'{"format":9,"files":{}}'))
    with pytest.raises(InvalidInput, match=r"no signature\.json"):
        load(ctx.blobs, build(ctx.blobs, {"model.onnx": b"x"}).digest)
    with pytest.raises(BlobMissing):
        load(ctx.blobs, "0" * 64)
    package = open_package(ctx.blobs, put_package(ctx.blobs))
    with pytest.raises(BlobMissing, match=r"card\.md"):
        read_file(ctx.blobs, package, "secrets")


def test_nothing_in_the_register_changes_a_version() -> None:
    room = Path(actions.__file__).parent
    sources = "".join(path.read_text() for path in room.glob("*.py"))
    assert ".update()" not in sources
    assert ".delete()" not in sources
    assert not [name for name in dir(tables) if name.startswith(("update", "delete", "set_"))]


def test_the_card_is_written_from_facts(ctx: Context) -> None:
    name = actions.register(ctx, "delay", make_candidate(), make_evidence(carrier="<b>|AA")).name
    card = actions.card(ctx, name)
    assert "Will it be late?" in card
    assert "auc 0.7100 (95% interval 0.7000 to 0.7200, 4000 rows)" in card
    assert "from 2013-01-01T00:00:00Z until 2013-03-01T00:00:00Z" in card
    assert "| good | metric | pass | auc is above 0.65 |" in card
    assert "&lt;b>\\|AA" in card
    assert "numpy==" in card


def test_loading_a_package_imports_no_database() -> None:
    names = "'sqlalchemy', 'polars', 'alembic'"
    code = f"import sys, modelloop.register.package; print([m for m in ({names}) if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
