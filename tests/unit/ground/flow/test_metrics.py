from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from modelloop.ground.flow.metrics import Logged, MetricBuffer
from modelloop.ground.flow.records import MetricPoint

ONE = Logged(MetricPoint("loss", 1.0, 0, datetime(2026, 1, 1, tzinfo=UTC)), None)


def test_what_is_logged_is_written_soon_without_another_call() -> None:
    written: list[Logged] = []
    seen = threading.Event()

    def write(logged: list[Logged]) -> None:
        written.extend(logged)
        seen.set()

    buffer = MetricBuffer(write, every=0.01)
    buffer.add(ONE)
    assert seen.wait(5)
    assert written == [ONE]
    assert buffer.take() == []


def test_what_could_not_be_written_is_kept() -> None:
    def refuse(_: list[Logged]) -> None:
        raise OSError

    buffer = MetricBuffer(refuse, every=60)
    buffer.add(ONE)
    with pytest.raises(OSError):  # noqa: PT011 - raised above
        buffer.flush()
    assert buffer.take() == [ONE]
