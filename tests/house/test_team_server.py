"""The Dockerfile, the compose file and the CI script, as far as they can be judged where no engine runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from source import ROOT

from modelloop.ground.core.settings import read_settings

OURS = ("control", "worker", "gateway")


def instructions() -> Iterator[tuple[str, str]]:
    joined = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    for line in joined.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word.upper(), re.sub(r"\s+", " ", rest.strip())


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_the_image_runs_as_nobody_special() -> None:
    last_stage: list[tuple[str, str]] = []
    for word, rest in instructions():
        last_stage = [] if word == "FROM" else [*last_stage, (word, rest)]
    users = [rest for word, rest in last_stage if word == "USER"]
    assert users == ["10001:10001"]
    after = [word for word, _ in last_stage[last_stage.index(("USER", users[0])) + 1 :]]
    assert set(after) <= {"ENTRYPOINT", "CMD"}


def test_the_image_installs_by_hash_and_fetches_nothing_else() -> None:
    found = list(instructions())
    assert [rest for word, rest in found if word == "ADD"] == []
    runs = [rest for word, rest in found if word == "RUN"]
    installs = [part for rest in runs for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)
    assert not any(re.search(r"\b(curl|wget|git clone)\b|https?://", rest) for rest in runs)
    assert all(re.search(r":\d+\.\d+-", rest) for word, rest in found if word == "FROM")


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert name in let_in


def test_every_locked_requirement_has_a_hash() -> None:
    text = (ROOT / "requirements" / "demo.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if "--hash=sha256:" not in line or "==" not in line] == []
    assert "://" not in text, "a lock names no index"


def test_the_files_are_tidy_yaml() -> None:
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "-d", rules, ROOT / "compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_nothing_is_reachable_from_other_machines() -> None:
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert all("network_mode" not in service for service in compose()["services"].values())


def test_nothing_is_privileged() -> None:
    for name, service in compose()["services"].items():
        assert {"privileged", "cap_add", "pid", "devices", "ipc", "user"} & set(service) == set(), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not any("docker.sock" in volume for volume in service.get("volumes", [])), name
    for name in OURS:
        service = compose()["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True


SECRET = re.compile(r"\$\{(DATABASE_PASSWORD|S3_ACCESS_KEY|S3_SECRET_KEY)(:\?[^}]+)?\}")


def test_there_are_no_default_passwords() -> None:
    text = (ROOT / "compose.yaml").read_text()
    used = SECRET.findall(text)
    assert {name for name, _ in used} == {"DATABASE_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"}
    assert all(required for _, required in used), "a missing secret stops compose"
    assert re.findall(r"(?i)(?:password|secret_key|access_key)\"?: +(?!\")(?!\$\{)\S.*", text) == []
    for line in (ROOT / "compose.env.example").read_text().splitlines():
        assert line.startswith("#") or line.endswith("=")


def test_the_gateway_is_given_no_database() -> None:
    assert "MODELLOOP_DATABASE_URL" not in compose()["services"]["gateway"]["environment"]


@pytest.mark.parametrize("name", OURS)
def test_each_process_can_read_its_settings(name: str) -> None:
    given = {key: SECRET.sub("filled-in", value) for key, value in compose()["services"][name]["environment"].items()}
    settings = read_settings({"MODELLOOP_HOME": "/state", **given}, ROOT)
    assert settings.blobs_url.startswith("s3://modelloop?endpoint=http://objects:8333&")
    assert settings.blobs_url.endswith("&allow_http=true")
    assert settings.allow_remote == (name != "worker")


@pytest.mark.parametrize("name", OURS)
def test_each_command_exists(name: str) -> None:
    words = compose()["services"][name]["command"]
    done = subprocess.run(
        [sys.executable, "-m", "modelloop", words[0], "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words if word.startswith("--"))


def test_ci_runs_what_everybody_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert "set -eu\n" in script.read_text()
    assert script.read_text().endswith("exec make test\n")
    subprocess.run(["bash", "-n", script], check=True)
