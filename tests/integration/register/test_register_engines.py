"""Numbers on real databases: many who register at once get one each, in an unbroken chain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.register import actions
from packages import make_candidate, make_evidence


def test_many_at_once_get_one_number_each(both_engines: Context) -> None:
    def one(weight: int) -> int:
        candidate = make_candidate((weight % 8 / 10, 0.0, 0.0))
        return actions.register(both_engines, "delay", candidate, make_evidence()).number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(one, range(16)))
    assert sorted(set(numbers)) == list(range(1, 9)), "eight packages, each registered twice"
    assert [version.number for version in actions.versions(both_engines, "delay")] == list(range(1, 9))
    assert actions.get_version(both_engines, "delay:8").lineage["data"] == {"flights": 3}
    with both_engines.db.reading() as connection:
        assert audit.verify(connection) == 8
