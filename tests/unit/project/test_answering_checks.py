"""What the project file may not say of an endpoint: one change that contradicts something, and what is said of it."""

from __future__ import annotations

import pytest

from modelloop.ground.core.errors import ProjectFileInvalid
from modelloop.project import parse_project

GOOD = """
[project]
name = "flights"
owner = "ops"
[objective]
question = "?"
task = "binary"
metric = "auc"
meaning = "m"
label = "late"
[gates.best]
check = "metric"
bound = 0.6
[pipelines.train]
function = "steps:train"
model = "delay"
[endpoints.delay]
model = "delay"
outcome_key = "order"
log.drop = ["passport"]
log.mask = ["name"]
[endpoints.delay.rollout]
strategy = "ab_test"
test_share = 0.3
bake_rows = 10
slices = ["carrier"]
least_seconds = 60
max_hours = 1
"""


def test_the_good_file_is_good() -> None:
    rollout = parse_project(GOOD).endpoints["delay"].rollout
    assert (rollout.strategy, rollout.test_share) == ("ab_test", 0.3)


@pytest.mark.parametrize(
    ("old", "new", "where", "hint"),
    [
        ("test_share = 0.3", "test_share = 0", "rollout.test_share", "both versions are asked"),
        ("test_share = 0.3", "test_share = 1.0", "rollout.test_share", "both versions are asked"),
        ("test_share = 0.3", "canary = [0.1]", "rollout.canary", ""),
        ('"ab_test"', '"blue_green"', "rollout.test_share", ""),
        ('["carrier"]', '["carrier", "name"]', "rollout.slices[1]", "beside each prediction"),
        ('["carrier"]', '["passport"]', "rollout.slices[0]", "beside each prediction"),
        ('["name"]', '["name", "passport"]', "log.mask[1]", ""),
        ('["name"]', '["name"]\nlog.required = true\nlog.durability = "buffered"', "log.required", "after the answer"),
        ('outcome_key = "order"', 'outcome_key = "passport"', "outcome_key", "mask it"),
        ("max_hours = 1", "max_hours = 0.01", "rollout.max_hours", "always goes back"),
        (
            'strategy = "ab_test"\ntest_share = 0.3',
            'strategy = "blue_green"\nmax_latency_ratio = 2',
            "rollout.max_latency_ratio",
            "never answer at the same time",
        ),
    ],
)
def test_a_contradiction_is_told(old: str, new: str, where: str, hint: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ProjectFileInvalid) as caught:
        parse_project(GOOD.replace(old, new))
    (mistake,) = caught.value.detail["mistakes"]
    assert mistake["where"] == f"endpoints.delay.{where}"
    assert hint in f"{mistake['allowed']} {mistake['hint']}"
