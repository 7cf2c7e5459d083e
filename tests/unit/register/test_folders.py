"""Folders and archives that somebody hands over: honest ones become versions, others are refused."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import mlflow_folders as folders
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.register import actions, manifest
from modelloop.register.actions.converting import convert_version
from modelloop.register.mlmodel import MAX_BYTES, describe_folder
from packages import make_candidate, make_evidence


def small(path: Path) -> Path:
    """Write a folder that names a model of LightGBM's which is none."""
    made = folders.folder(path, "lightgbm", {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"})
    (made / "model.lgb").write_text("tree")
    return made


def test_it_comes_out_as_it_came_in(ctx: Context, tmp_path: Path) -> None:
    source = small(tmp_path / "in")
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "ünï.bin").write_bytes(os.urandom(17 << 20))  # two pieces
    (source / "empty").write_bytes(b"")
    version = actions.import_folder(ctx, source, "Größe, 1 m")
    snapshot = manifest.open_snapshot(ctx.blobs, version.digest)
    assert len(snapshot.files["deep/er/ünï.bin"].parts) == 2
    assert actions.export_version(ctx, "Größe, 1 m:1", tmp_path / "out") == 4
    for path in source.rglob("*"):
        if path.is_file():
            assert (tmp_path / "out" / path.relative_to(source)).read_bytes() == path.read_bytes()
    with pytest.raises(Conflict, match="there already"):
        actions.export_version(ctx, "Größe, 1 m:1", tmp_path / "out")
    again = actions.import_folder(ctx, source, "Größe, 1 m")
    assert (again.number, again.digest) == (2, version.digest), "the same content, another version"


def test_a_package_goes_out(ctx: Context, tmp_path: Path) -> None:
    actions.register(ctx, "delay", make_candidate(), make_evidence())
    count = actions.export_version(ctx, "delay:1", tmp_path / "out")
    assert count == len(list((tmp_path / "out").iterdir()))
    with pytest.raises(InvalidInput, match="package of Modelloop's own"):
        actions.import_folder(ctx, tmp_path / "out", "delay")


def test_archives_are_read_like_folders(ctx: Context, tmp_path: Path) -> None:
    source = small(tmp_path / "model")
    digest = actions.import_folder(ctx, source, "a").digest
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        for path in source.iterdir():
            archive.write(path, f"model/{path.name}")
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        archive.add(source, ".")
    assert actions.import_folder(ctx, tmp_path / "m.zip", "a").digest == digest
    assert actions.import_folder(ctx, tmp_path / "m.tar.gz", "a").digest == digest


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:/evil", "a//b", "%2e%2e/evil", "a\0b"]
)
def test_paths_that_lead_elsewhere_refuse_the_archive(ctx: Context, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("MLmodel", "flavors: {}")
        member = zipfile.ZipInfo("x")
        member.filename = name
        archive.writestr(member, b"evil")
    if "\0" not in name:  # zipfile itself cuts a name there
        with pytest.raises(InvalidInput):
            actions.import_folder(ctx, tmp_path / "m.zip", "m")
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        info = tarfile.TarInfo(name.replace("\0", "\\"))
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(InvalidInput):
        actions.import_folder(ctx, tmp_path / "m.tar", "m")
    assert actions.models(ctx) == ()


def test_links_and_devices_are_refused(ctx: Context, tmp_path: Path) -> None:
    source = small(tmp_path / "model")
    (source / "secret").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="link or a device"):
        actions.import_folder(ctx, source, "m")
    with tarfile.open(tmp_path / "m.tar", "w") as archive:
        archive.add(source, "model")
    with pytest.raises(InvalidInput, match="link or a device"):
        actions.import_folder(ctx, tmp_path / "m.tar", "m")
    (source / "secret").unlink()
    os.mkfifo(source / "pipe")
    with pytest.raises(InvalidInput, match="link or a device"):
        actions.import_folder(ctx, source, "m")
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(InvalidInput, match="is a link"):
        actions.import_folder(ctx, tmp_path / "link", "m")
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as zipped:
        member = zipfile.ZipInfo("model")
        member.external_attr = 0o120777 << 16
        zipped.writestr(member, "/etc/passwd")
    with pytest.raises(InvalidInput, match="is a link"):
        actions.import_folder(ctx, tmp_path / "m.zip", "m")


def test_a_bomb_is_refused(ctx: Context, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("MLmodel", "flavors: {}")
        for at in range(3):
            archive.writestr(f"zeros{at}", bytes(40 << 20))
    with pytest.raises(InvalidInput, match="unpacks to more than"):
        actions.import_folder(ctx, tmp_path / "m.zip", "m")


def test_damaged_archives_and_empty_folders(ctx: Context, tmp_path: Path) -> None:
    small(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.write(tmp_path / "model" / "MLmodel", "MLmodel")
    data = bytearray((tmp_path / "m.zip").read_bytes())
    data[60] ^= 255
    (tmp_path / "m.zip").write_bytes(data)
    (tmp_path / "x.bin").write_bytes(b"neither")
    (tmp_path / "empty").mkdir()
    for name in ("m.zip", "x.bin", "empty", "nowhere"):
        with pytest.raises(InvalidInput):
            actions.import_folder(ctx, tmp_path / name, "m")
    assert actions.models(ctx) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe\x00", "no YAML"),
        (b"flavors: [", "no YAML"),
        (b"flavors: !!python/object/apply:os.system ['true']", "no YAML"),
        (b"- 1", "names no flavors"),
        (b"flavors: 3", "names no flavors"),
        (b"flavors: {}", "nothing that can be read"),
        (b"flavors: {lightgbm: {data: ../../x}}", "no such file"),
        (b"flavors: {lightgbm: {data: /etc/passwd}}", "no such file"),
        (b"flavors: {lightgbm: {}}", "no such file"),
        (b"flavors: {onnx: {data: m}}\nsignature: {inputs: '['}", "no JSON"),
        (b'flavors: {onnx: {data: m}}\nsignature: {inputs: \'[{"type": "binary"}]\'}', "no request can carry"),
        (b"[" * 100_000, "no YAML"),
        (b"x" * (MAX_BYTES + 1), "at most"),
    ],
)
def test_an_mlmodel_that_is_wrong_says_why(text: bytes, said: str) -> None:
    assert said in describe_folder(text, {"MLmodel", "m"}).refusal


def test_what_an_mlmodel_says(tmp_path: Path) -> None:
    made = folders.sklearn_pickle(tmp_path)
    found = describe_folder((made / "MLmodel").read_bytes(), {"MLmodel", "model.pkl", "input_example.json"})
    assert (found.flavor, found.data, found.unsafe, found.example) == (
        "sklearn",
        "model.pkl",
        True,
        "input_example.json",
    )
    assert [one.name for one in found.inputs or ()] == list(folders.NAMES)
    body = yaml.safe_load((made / "MLmodel").read_bytes()) | {"metadata": {"license": "MIT"}}
    assert describe_folder(yaml.safe_dump(body).encode(), {"model.pkl"}).facts["licence"] == "MIT"


def test_a_pickle_is_never_read_unless_a_person_said_so(ctx: Context, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    version = actions.import_folder(ctx, folders.boom(tmp_path / "m", mark), "m")
    assert version.unsafe
    refused = convert_version(ctx, version.name)
    assert refused.package is None
    assert "is a pickle" in refused.refusal
    assert not mark.exists()
    assert "**Unsafe.**" in actions.card(ctx, version.name)
    allowed = convert_version(ctx, version.name, allow_pickle=True)
    assert mark.exists(), "the test's pickle works"
    assert (allowed.package, allowed.opted_in) == (None, "tester")
    with ctx.db.reading() as connection:
        said = [entry.action for entry in audit.entries(connection, subject="m:1")]
    assert said == ["model.registered", "model.converted", "model.pickle_allowed", "model.converted"]


def test_a_model_that_is_none_is_registered_and_says_so(ctx: Context, tmp_path: Path) -> None:
    version = actions.import_folder(ctx, small(tmp_path / "m"), "m")
    found = convert_version(ctx, version.name)
    assert found.package is None
    assert found.refusal
    assert not found.unsafe


def test_elsewhere_is_kept_as_text_and_never_opened(ctx: Context) -> None:
    with pytest.raises(NotFound, match="no model"):
        actions.create_version(ctx, "m", source="/etc/passwd")
    actions.create_model(ctx, "m")
    version = actions.create_version(ctx, "m", source="/etc/passwd")
    assert (version.source, version.package) == ("/etc/passwd", None)
    assert "holds no files" in version.refusal
    assert manifest.open_snapshot(ctx.blobs, version.digest).files == {}
