"""The project's code on its way to a node."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.pool import faraway, shipping
from modelloop.ground.store.blobs import Blobs


def project(folder: Path) -> Path:
    for name in ("steps.py", "lib/__init__.py", "lib/query.sql", "data/big.csv", ".venv/x.py", "__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / ".env").write_text("KEY=1")
    return folder


def test_code_is_sent_and_what_is_none_stays(tmp_path: Path) -> None:
    """Data, environments, hidden files (which may hold keys) and links out of the folder."""
    data = shipping.pack(project(tmp_path / "p"))
    folder = shipping.unpack(hash_bytes(data), lambda _: data, shelf=tmp_path / "shelf")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == ["lib/__init__.py", "lib/query.sql", "steps.py"]
    assert (folder / "steps.py").read_text() == "steps.py"


def test_equal_files_give_equal_bytes_and_are_unpacked_once(tmp_path: Path) -> None:
    one, other = project(tmp_path / "p"), project(tmp_path / "q")
    os.utime(other / "steps.py", (1, 1))
    data = shipping.pack(one)
    assert shipping.pack(other) == data
    asked = list[str]()

    def get(digest: str) -> bytes:
        asked.append(digest)
        return data

    folders = {shipping.unpack("d", get, shelf=tmp_path / "shelf") for _ in range(3)}
    assert len(folders) == len(asked) == 1


def test_too_much_is_refused_with_what_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MOST", 1000)
    (tmp_path / "weights.bin").write_bytes(bytes(5000))
    with pytest.raises(PipelineInvalid, match=r"weights\.bin"):
        shipping.pack(tmp_path)


def test_a_node_that_cannot_read_the_bytes_says_so(tmp_path: Path) -> None:
    """A folder of another machine is empty here."""
    Blobs(tmp_path.as_uri())
    asked = {"step": "steps:fit", "seed": None, "own": "[]", "shared": "[]", "memory": 0, "gpus": 0}
    message = faraway.message_of(asked, time_limit=None, project="0" * 64, blobs_url=tmp_path.as_uri())
    told = json.loads(faraway.carry_out(message, "10.0.0.7"))
    assert told["error"]["kind"] == "StoreUnavailable"
    assert "ray node 10.0.0.7 does not find the project's code" in told["error"]["message"]
    assert "object store" in told["error"]["message"]
    assert told["error"]["step"] == "fit"
