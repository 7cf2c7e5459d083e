"""Which arm: the same key always the same; shares met; a rising share only adds keys. Documents come back whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.records import Arm, GatewayReport, Route, RoutingTable, Stage
from modelloop.deploy.route import ArmName, choose, place, shadowed
from modelloop.deploy.table import decode_report, decode_table, encode_report, encode_table, report_document
from modelloop.ground.core.errors import IdInvalid, InvalidInput

CANARY = Route("delay", Arm("delay:1", "a" * 64), Arm("delay:2", "b" * 64), Stage.CANARY, 0.1, "ro_1", "carrier")


@given(st.text(), st.text(max_size=200), st.floats(0, 1), st.floats(0, 1))
def test_a_rising_share_only_adds_keys(key: str, salt: str, one: float, other: float) -> None:
    small, large = (replace(CANARY, salt=salt, share=share) for share in sorted((one, other)))
    assert choose(small, key) is choose(small, key)
    if choose(small, key) is ArmName.CHALLENGER:
        assert choose(large, key) is ArmName.CHALLENGER


@given(st.text())
def test_no_challenger_below_nothing_and_all_at_one(key: str) -> None:
    assert choose(replace(CANARY, share=0.0), key) is ArmName.CHAMPION
    assert choose(replace(CANARY, share=1.0), key) is ArmName.CHALLENGER
    for route in (replace(CANARY, stage=Stage.SHADOW, share=1.0), replace(CANARY, challenger=None, share=1.0)):
        assert choose(route, key) is ArmName.CHAMPION


def test_shares_are_met_and_salts_choose_anew() -> None:
    keys = [f"key{n}" for n in range(5000)]
    first = {key for key in keys if choose(CANARY, key) is ArmName.CHALLENGER}
    second = {key for key in keys if choose(replace(CANARY, salt="ro_2"), key) is ArmName.CHALLENGER}
    assert 400 < len(first) < 600
    assert len(first & second) < 120
    assert sum(place(key, "") for key in keys) / len(keys) == pytest.approx(0.5, abs=0.02)


def test_shadow_is_a_sample_of_predictions_in_the_shadow_stage_only() -> None:
    route = replace(CANARY, stage=Stage.SHADOW, share=0.25)
    ids = [f"pred_{n}" for n in range(4000)]
    assert 850 < sum(shadowed(route, one) for one in ids) < 1150
    assert [shadowed(route, one) for one in ids] == [shadowed(route, one) for one in ids]
    assert not any(shadowed(CANARY, one) for one in ids)


def test_the_documents_come_back_whole() -> None:
    table = RoutingTable(4, (CANARY, Route("price", Arm("price:9", "c" * 64))))
    assert decode_table(encode_table(table)) == table
    now = datetime(2026, 1, 5, 9, 0, 0, 5, tzinfo=UTC)
    report = GatewayReport("g1", 4, now, "http://x", 7, ("delay:1",), {"delay:2": "no"}, 1, 2, 3, 4, 5, 6)
    assert decode_report(encode_report(report)) == report
    assert report_document("g1") == "gateways/g1.json"


@given(st.binary())
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="RoutingTable"):
        decode_table(data)


def test_a_report_has_no_path() -> None:
    with pytest.raises(IdInvalid):
        report_document("../x")
