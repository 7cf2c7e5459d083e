"""Fixtures of all tests: a Context, real PostgreSQL, a real S3."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "house"))

from servers import ACCESS, SECRET, Servers

# how long an example takes says what else this machine does, not whether the code is right
settings.register_profile("modelloop", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modelloop")


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    """A Context on SQLite and a folder."""
    context = make_context(tmp_path)
    yield context
    context.db.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Servers, started when first asked for."""
    # not pytest's own folder: that is closed to the user the servers run as
    with tempfile.TemporaryDirectory(prefix="modelloop-servers-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        yield Servers(folder, stack)


@pytest.fixture(params=["18", "15"], ids=["postgres18", "postgres15"])
def postgres_url(request: pytest.FixtureRequest, servers: Servers) -> Iterator[str]:
    """The URL of an empty database on a real PostgreSQL."""
    with servers.postgres(request.param).fresh() as url:
        yield url


@pytest.fixture
def s3_url(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place on a real S3 server; its keys are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return servers.s3()


@pytest.fixture(params=["sqlite", "postgres18", "postgres15"])
def database_url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        with servers.postgres(request.param.removeprefix("postgres")).fresh() as url:
            yield url


@pytest.fixture
def both_engines(database_url: str, tmp_path: Path) -> Iterator[Context]:
    """A Context on each engine in turn."""
    context = make_context(tmp_path, database_url=database_url)
    yield context
    context.db.close()
