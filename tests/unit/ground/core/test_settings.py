from __future__ import annotations

from pathlib import Path

import pytest

from modelloop.ground.core.errors import AddressRefused, InvalidInput
from modelloop.ground.core.settings import check_address, is_loopback, read_settings


def test_everything_has_a_default(tmp_path: Path) -> None:
    found = read_settings({"PATH": "/bin"}, tmp_path)
    assert found.home == tmp_path / ".modelloop"
    assert found.database_url == f"sqlite:///{tmp_path}/.modelloop/facts.sqlite"
    assert found.blobs_url == (tmp_path / ".modelloop" / "blobs").as_uri()
    assert found.predictions == tmp_path / ".modelloop" / "predictions"
    assert found.token_file == tmp_path / ".modelloop" / "secrets" / "token"
    assert (found.host, found.control_port, found.gateway_port, found.gateways) == ("127.0.0.1", 8900, 8901, 1)
    assert not found.allow_remote
    assert found.is_local


def test_the_environment_wins(tmp_path: Path) -> None:
    found = read_settings(
        {
            "MODELLOOP_HOME": "state",
            "MODELLOOP_DATABASE_URL": "postgresql://me@db/facts",
            "MODELLOOP_BLOBS_URL": "s3://bucket/prefix?region=eu-central-1",
            "MODELLOOP_CONTROL_PORT": "0",
            "MODELLOOP_GATEWAY_PORT": " 9000 ",
            "MODELLOOP_GATEWAYS": "3",
            "MODELLOOP_LOG_LEVEL": "DEBUG",
            "MODELLOOP_ALLOW_REMOTE": "Yes",
            "MODELLOOP_HOST": "",
        },
        tmp_path,
    )
    assert found.home == tmp_path / "state"
    assert found.database_url == "postgresql://me@db/facts"
    assert found.blobs_url == "s3://bucket/prefix?region=eu-central-1"
    assert (found.control_port, found.gateway_port, found.gateways) == (0, 9000, 3)
    assert (found.log_level, found.allow_remote, found.host) == ("debug", True, "127.0.0.1")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    environ = {
        "MODELLOOP_CONTROL_PORT": "http",
        "MODELLOOP_GATEWAYS": "0",
        "MODELLOOP_LOG_LEVEL": "debgu",
        "MODELLOOP_ALLOW_REMOTE": "perhaps",
        "MODELLOOP_DATABASE_URL": "mysql://me:geheim@db/facts",
        "MODELLOOP_BLOB_URL": "file:///x",
    }
    with pytest.raises(InvalidInput, match="6 mistakes") as caught:
        read_settings(environ, tmp_path)
    text = str(caught.value)
    for part in ("0 to 65535", "1 to 64", "Did you mean debug?", "neither yes nor no", "sqlite, postgresql"):
        assert part in text
    assert "did you mean MODELLOOP_BLOBS_URL?" in text
    assert "geheim" not in text
    assert len(caught.value.detail["mistakes"]) == 6


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MODELLOOP_CONTROL_PORT": "8902", "MODELLOOP_GATEWAYS": "2"}, "also a gateway's port"),
        ({"MODELLOOP_GATEWAY_PORT": "65535", "MODELLOOP_GATEWAYS": "2"}, "leaves no room for 2 gateways"),
        ({"MODELLOOP_CONTROL_PORT": "٣"}, "not a whole number"),
        ({"MODELLOOP_CONTROL_PORT": "-1"}, "not a whole number"),
        ({"MODELLOOP_BLOBS_URL": "s3://"}, "expected one of"),
        ({"MODELLOOP_BLOBS_URL": "/plain/path"}, "expected one of"),
    ],
)
def test_what_does_not_fit_is_refused(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_settings(environ, tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_nothing(host: str, tmp_path: Path) -> None:
    assert is_loopback(host)
    check_address(read_settings({"MODELLOOP_HOST": host}, tmp_path), None)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.example.org", "127.0.0.1.nip.io"]
)
def test_beyond_loopback_needs_leave_and_a_token(host: str, tmp_path: Path) -> None:
    closed = read_settings({"MODELLOOP_HOST": host}, tmp_path)
    allowed = read_settings({"MODELLOOP_HOST": host, "MODELLOOP_ALLOW_REMOTE": "yes"}, tmp_path)
    with pytest.raises(AddressRefused, match="MODELLOOP_ALLOW_REMOTE=yes"):
        check_address(closed, "t" * 43)
    for token in (None, "", "short", " " * 50):
        with pytest.raises(AddressRefused, match="secrets/token"):
            check_address(allowed, token)
    check_address(allowed, "t" * 43)


def test_what_gateways_follow_and_how_they_answer(tmp_path: Path) -> None:
    found = read_settings({}, tmp_path)
    assert (found.gateway_processes, found.gateway_http, found.grpc_port, found.routing) == (1, "hot", 0, None)
    given = {"MODELLOOP_ROUTING": "https://control/api/routing", "MODELLOOP_ROUTING_TOKEN_FILE": "secrets/gateway"}
    found = read_settings({**given, "MODELLOOP_GATEWAY_PROCESSES": "4", "MODELLOOP_GRPC_PORT": "8999"}, tmp_path)
    assert (found.routing, found.gateway_processes) == ("https://control/api/routing", 4)
    assert found.routing_token_file == tmp_path / "secrets" / "gateway"
    for wrong in ({"MODELLOOP_ROUTING": "ftp://x"}, {"MODELLOOP_GATEWAY_HTTP": "h2"}, {"MODELLOOP_GRPC_PORT": "8900"}):
        with pytest.raises(InvalidInput):
            read_settings(wrong, tmp_path)
