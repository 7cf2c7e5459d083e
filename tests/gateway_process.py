"""Starts real gateway processes and asks them over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from modelloop.deploy.log import read_frames
from modelloop.deploy.records import GatewayReport, Route, RoutingTable
from modelloop.deploy.table import TABLE_DOCUMENT, decode_report, encode_table, report_document
from modelloop.ground.store.blobs import Blobs

PATIENCE = 20.0


def wait_for(what: Callable[[], Any]) -> Any:
    """Return the first truthy answer of `what`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@dataclass
class Place:
    """Where a gateway finds packages and leaves its log."""

    folder: Path
    blobs_url: str

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.blobs_url)

    def publish(self, generation: int, *routes: Route) -> None:
        self.blobs.write_document(TABLE_DOCUMENT, encode_table(RoutingTable(generation, routes)))

    def report(self, gateway: str = "g1") -> GatewayReport:
        return decode_report(self.blobs.read_document(report_document(gateway)))

    def wait_for_generation(self, generation: int) -> GatewayReport:
        def reached() -> GatewayReport | None:
            if report_document("g1") not in self.blobs.documents("gateways"):
                return None
            report = self.report()
            return report if report.generation == generation else None

        found = wait_for(reached)
        assert isinstance(found, GatewayReport)
        return found

    def records(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "predictions").glob("*/*.log"))
        return [record for file in files for record in read_frames(file)[0]]


@dataclass
class Gateway:
    """A running process."""

    process: subprocess.Popen[str]
    address: str

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


@contextmanager
def gateway(place: Place, *more: str) -> Iterator[Gateway]:
    """Start a gateway on a free port; ends it, if the test has not."""
    command = [
        sys.executable,
        "-m",
        "modelloop.deploy.gateway",
        "--blobs",
        place.blobs_url,
        "--port",
        "0",
        "--id",
        "g1",
    ]
    command += ["--id", "g1", "--predictions", str(place.folder / "predictions"), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["pid"] == process.pid
        yield Gateway(process, said["address"])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_ready(client: httpx.Client) -> None:
    """Wait until the gateway has something to answer with."""
    wait_for(lambda: client.get("/v2/health/ready").status_code == 200)


def request(rows: int = 1, **parameters: Any) -> dict[str, Any]:
    """Return a right request for the candidate of `packages`."""
    columns = {"delay": ("FP64", 12.5), "distance": ("INT64", 300), "carrier": ("BYTES", "UA")}
    tensors = [
        {"name": name, "datatype": kind, "shape": [rows], "data": [value] * rows}
        for name, (kind, value) in columns.items()
    ]
    return {"inputs": tensors, "parameters": parameters}
