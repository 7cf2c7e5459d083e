"""What a gateway process is told at its start is checked before it listens."""

from __future__ import annotations

import pytest

from modelloop.deploy.gateway.options import read_options

NEEDED = ["--blobs", "file:///b", "--predictions", "p", "--id", "g"]


@pytest.mark.parametrize("port", ["70000", "65536", "-1", "x", "", "8_000", "8.5"])
def test_a_port_that_is_none_is_told(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options([*NEEDED, f"--port={port}"])
    assert ended.value.code == 2
    assert "is not a port: a whole number from 0 to 65535" in capsys.readouterr().err


def test_ports() -> None:
    assert [read_options([*NEEDED, *more]).port for more in ([], ["--port", "65535"])] == [0, 65535]
