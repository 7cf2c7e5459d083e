"""Before the tests: see to it that a browser is there, and in CI that real MLflow and Ray Serve are on their way.

Installs a browser where it may, else says what is missing; all other servers of the tests come as wheels. The
environments of MLflow and Ray Serve are built in the background: the tests that need them wait for their end. Runs
under a bare Python; instant where there is nothing to do.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")
NPM = (*INSTALL[:-1], "npm")
PATIENCE = 600
WEB = "onnxruntime-web@1.30.0"
WEB_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
WEB_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def browser() -> str | None:
    """Return the browser the page test will drive: MODELLOOP_TEST_BROWSER, or one on the path."""
    chosen = os.environ.get("MODELLOOP_TEST_BROWSER")
    return chosen or next((found for name in BROWSERS if (found := shutil.which(name))), None)


def may_install(release: Path = Path("/etc/os-release")) -> bool:
    """Say whether this is a Debian on which we are root."""
    return (
        os.geteuid() == 0
        and shutil.which("apt-get") is not None
        and release.exists()
        and "\nID=debian\n" in f"\n{release.read_text()}\n"
    )


def install(wanted: tuple[str, ...] = INSTALL) -> bool:
    """Install the browser (or what else is wanted) from the system's packages; say whether that worked."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update", "--quiet"), wanted):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            say(f"{' '.join(command)} failed:\n{done.stderr[-1000:]}")
            return False
    return True


def say(text: str) -> None:
    """Write a line for whoever ran make."""
    sys.stderr.write(text + "\n")


def web() -> Path | None:
    """Return the unpacked onnxruntime-web for the page of edge bundles, or None where it is not there."""
    place = Path(__file__).parent.parent / "build" / "onnxruntime-web-1.30.0"
    return place if all((place / name).is_file() for name in WEB_FILES) else None


def fetch_web() -> None:
    """Fetch it once where npm is (in CI npm too), checked against its hash; two of its files are unpacked."""
    place = Path(__file__).parent.parent / "build" / "onnxruntime-web-1.30.0"
    in_ci = os.environ.get("CI") == "true"
    if web() or (shutil.which("npm") is None and not (in_ci and may_install() and install(NPM))):
        return
    place.mkdir(parents=True, exist_ok=True)
    packed = place / "onnxruntime-web-1.30.0.tgz"
    command = ("npm", "pack", WEB, "--silent", "--pack-destination", str(place))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    if done.returncode != 0 or not packed.exists():
        say(f"{' '.join(command)} failed:\n{done.stderr[-1000:]}")
        return
    data = packed.read_bytes()
    packed.unlink()
    if hashlib.sha256(data).hexdigest() != WEB_SHA256:
        say(f"{WEB} is not the archive whose hash is pinned in {__file__}: not unpacked")
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name in WEB_FILES:
            found = archive.extractfile(f"package/dist/{name}")
            assert found is not None
            (place / name).write_bytes(found.read())


def begin_peers() -> None:
    """Begin to build the environments of MLflow and Ray Serve and go on; whoever needs one waits for its end."""
    peers = Path(__file__).parent.parent / "build" / "peers"
    peers.mkdir(parents=True, exist_ok=True)
    for name in ("mlflow_client", "ray_serve"):
        script = Path(__file__).with_name(f"{name}.py")
        with (peers / f"{name}.log").open("wb") as log:
            subprocess.Popen(
                [sys.executable, script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


def main() -> int:
    """Never fail: a test that needs what is missing says so itself, and fails where CI=true."""
    if os.environ.get("CI") == "true":
        begin_peers()
    fetch_web()
    if web() is None and os.environ.get("CI") == "true":
        say("no onnxruntime-web: the test of the edge page will fail (it needs npm, and a registry)")
    if browser():
        return 0
    if may_install():
        say("installing chromium for the page test (once; about a minute)")
        if install() and browser():
            return 0
    say("no Chromium: the page test will be skipped. On Debian, as root: " + " ".join(INSTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main())
