"""The durable ledger's promises, on both engines."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from modelloop.ground.core.errors import Conflict, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.train.records import Trial
from modelloop.train.studies import actions, owner
from modelloop.train.studies.actions import LEASE, DurableLedger
from modelloop.train.studies.records import Declared, Entry

DECLARED = Declared("größe 1", "tpe", ("auc",), ("higher",), ({"name": "x"},), 1, before=({"params": {"x": 1}},))


def ended(number: int, nth: int = 0, value: float = 0.1 + 0.2) -> Entry:
    trial = Trial(number, {"x": 1e-7}, value, 0.5, cpu_seconds=0.25, curve=((0, 1e300), (1, -0.5)), error="ü\n")
    return Entry(trial, {"place": [0.1, 1 / 3]}, nth, (value,))


@pytest.fixture
def ledger(both_engines: Context):
    made = DurableLedger(both_engines)
    made.open(DECLARED)
    yield made
    made.release()


def test_what_is_kept_comes_back_exactly(ledger: DurableLedger) -> None:
    assert ledger.claim(0, {"x": 1e-7}, {})
    assert ledger.finish(ended(0))
    mark, found = ledger.ended_since(0)
    assert found == [ended(0)]
    assert ledger.ended_since(mark) == (mark, [])
    assert ledger.head().claimed == ledger.head().ended == 1


def test_a_number_is_claimed_once_by_eight_at_a_time(both_engines: Context, ledger: DurableLedger) -> None:
    gate = threading.Barrier(8)

    def claim(_: int) -> int:
        own = DurableLedger(both_engines)
        own.open(DECLARED)
        gate.wait()
        won = sum(own.claim(number, {"x": number}, {}) for number in range(10))
        won += sum(own.claim_repeat(number, 1, {"x": number}) for number in range(10))
        return won

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 20


def test_a_study_is_begun_once_by_many(both_engines: Context) -> None:
    def begin(_: int) -> Declared:
        return DurableLedger(both_engines).open(replace(DECLARED, name="at once"))

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(begin, range(6)))
    assert all(one == replace(DECLARED, name="at once") for one in found)
    assert len([line for line in actions.studies(both_engines) if line.name == "at once"]) == 1


def test_what_ends_is_kept_once_and_only_by_its_owner(both_engines: Context, ledger: DurableLedger) -> None:
    other = DurableLedger(both_engines)
    other.open(DECLARED)
    assert ledger.claim(0, {"x": 1}, {})
    assert not other.finish(ended(0))
    assert ledger.finish(ended(0, value=1.0))
    assert not ledger.finish(ended(0, value=2.0))
    assert [entry.values for entry in other.ended_since(0)[1]] == [(1.0,)]


def test_a_living_process_keeps_its_trials_until_its_lease_ends(both_engines: Context, ledger: DurableLedger) -> None:
    other = DurableLedger(both_engines)
    other.open(DECLARED)
    ledger.claim(0, {"x": 1}, {"place": [0.5]})
    assert other.abandoned() == []
    assert other.elsewhere() == 1
    both_engines.clock.advance(LEASE + timedelta(seconds=1))
    (taken,) = other.abandoned()
    assert (taken.trial.number, taken.trial.params, taken.attrs) == (0, {"x": 1}, {"place": [0.5]})
    assert ledger.abandoned() == []
    assert not ledger.finish(ended(0))
    assert other.finish(ended(0))
    other.release()


def test_what_is_given_back_is_free_at_once(both_engines: Context, ledger: DurableLedger) -> None:
    for _ in range(5):  # giving back is no failed attempt
        own = DurableLedger(both_engines)
        own.open(DECLARED)
        assert own.claim(0, {"x": 1}, {}) or [entry.trial.number for entry in own.abandoned()] == [0]
        own.release()
    assert [entry.trial.number for entry in ledger.abandoned()] == [0]


def test_a_trial_that_kills_its_process_thrice_has_failed(
    both_engines: Context, ledger: DurableLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "is_gone", lambda text: text != ledger._owner)
    dying = [DurableLedger(both_engines) for _ in range(3)]
    for one in dying:
        one.open(DECLARED)
    assert dying[0].claim(0, {"x": 1}, {})
    for one in dying[1:]:
        monkeypatch.setattr(actions, "is_gone", lambda text, one=one: text != one._owner)
        assert len(one.abandoned()) == 1
    monkeypatch.setattr(actions, "is_gone", lambda text: text != ledger._owner)
    assert ledger.abandoned() == []
    ((failed,),) = (ledger.ended_since(0)[1],)
    assert failed.trial.state == "failed"
    assert "died 3 times" in failed.trial.error


def test_studies_are_listed_and_deleted(both_engines: Context, ledger: DurableLedger) -> None:
    ledger.claim(0, {"x": 1}, {})
    (line,) = actions.studies(both_engines)
    assert (line.name, line.method, line.metrics, line.trials, line.running) == ("größe 1", "tpe", ("auc",), 1, 1)
    with pytest.raises(Conflict, match="is being searched"):
        actions.forget(both_engines, "größe 1")
    ledger.finish(ended(0))
    actions.forget(both_engines, "größe 1")
    assert actions.studies(both_engines) == []
    with pytest.raises(NotFound, match="There is no study 'größe 1'"):
        actions.entries(both_engines, "größe 1")
    with pytest.raises(NotFound, match="was deleted while"):
        ledger.head()
    with both_engines.db.reading() as connection:
        assert [entry.action for entry in audit.entries(connection)] == ["study.begun", "study.deleted"]


def test_owners_are_told_apart() -> None:
    mine = owner.owner()
    assert not owner.is_gone(mine)
    machine, pid, started, word = mine.split("|")
    assert owner.is_gone(f"{machine}|{pid}|1.00|{word}")  # the number was used again
    assert owner.is_gone(f"{machine}|999999999|{started}|{word}")
    assert not owner.is_gone(f"elsewhere|999999999|{started}|{word}")
    assert owner.is_gone("")
