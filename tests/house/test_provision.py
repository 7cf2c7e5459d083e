"""What runs before the tests never stops them, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from source import ROOT

SCRIPT = ROOT / "tests" / "provision.py"


def provision(path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), **more}
    return subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_browser_that_is_there_is_enough(tmp_path: Path) -> None:
    (tmp_path / "chromium").write_text("#!/bin/sh\n")
    (tmp_path / "chromium").chmod(0o755)
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "apt-get").chmod(0o755)
    done = provision(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_browser_may_be_named(tmp_path: Path) -> None:
    done = provision(tmp_path, MODELLOOP_TEST_BROWSER="/opt/browser")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_packages_it_says_what_is_missing(tmp_path: Path) -> None:
    done = provision(tmp_path)
    assert done.returncode == 0
    assert "no Chromium" in done.stderr
    assert "apt-get install" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/etc/debian_version").exists(), reason="needs root on Debian")
def test_a_failed_installation_is_told(tmp_path: Path) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'no network' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    done = provision(tmp_path)
    assert done.returncode == 0
    assert "no network" in done.stderr
    assert "no Chromium" in done.stderr
