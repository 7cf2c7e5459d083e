"""What all unit tests share: their stores begin with a copy of the schema, which the migrations made once."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from modelloop.ground.store import migrate
from modelloop.testing.schema import provide


def pytest_collection_finish() -> None:
    """Keep the collector from what imports made, which stays: it looks at a million objects fewer each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def schema_at_once() -> Iterator[None]:
    """Let `open_context` copy the schema as `make_context` does; tests/integration/store is about the migrations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "migrate", provide)
        yield
