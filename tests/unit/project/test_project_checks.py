"""Each rule between the parts of a project file: a file that keeps all of them, and one change that breaks one."""

# ruff: noqa: E501 - a table of cases is read by its columns

from __future__ import annotations

import pytest

from modelloop.evaluate.judge import metrics_of
from modelloop.evaluate.settings import MetricName
from modelloop.ground.core.errors import ProjectFileInvalid
from modelloop.project import parse_project
from modelloop.project_checks import TASK_METRICS

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
[sources.flights]
path = "landing/flights"
dataset = "flights"
contract = "flights"
[sources.more]
path = "landing/more"
dataset = "flights"
contract = "flights"
[sources.weather]
path = "landing/weather"
dataset = "weather"
contract = "weather"
[contracts.weather.columns]
hour = { type = "time" }
[contracts.flights]
key = ["id", "day"]
[contracts.flights.columns]
id = { type = "integer", min = 0, max = 9 }
day = { type = "date" }
"dep time" = { type = "string", one_of = ["a"], pattern = "a+", nullable = true, max_null_rate = 0.1 }
[pipelines.train]
function = "steps:train"
inputs = { flights = "flights" }
model = "delay"
params = { trials = 8 }
[pipelines.tidy]
function = "steps:tidy"
[endpoints.delay]
model = "delay"
rollout.canary = [0.1, 1]
rollout.shadow_rows = 10
[gates.best]
check = "metric"
bound = 0.6
[gates.groups]
check = "slice"
bound = 0.5
by = "carrier"
[gates.champion]
check = "champion"
margin = 0.01
[gates.parity]
check = "parity"
tolerance = 0.1
[monitors.quality]
endpoint = "delay"
signal = "quality"
tolerance = 0.1
[monitors.drift]
endpoint = "delay"
signal = "input-drift"
threshold = 0.3
severity = "note"
[alerts.log]
channel = "log"
[alerts.team]
channel = "webhook"
url_from = "ALERTS_URL"
[triggers.fell]
on = "alert"
monitor = "quality"
pipeline = "train"
endpoint = "delay"
[triggers.monthly]
on = "schedule"
every = "30d"
pipeline = "train"
endpoint = "delay"
[triggers.new]
on = "data"
dataset = "weather"
pipeline = "train"
endpoint = "delay"
params = { trials = 2 }
"""


def mistakes(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ProjectFileInvalid) as caught:
        parse_project(text)
    found = caught.value.detail["mistakes"]
    lines = text.split("\n")
    for one in found:  # the last word of the path stands in the line, or the header of its table does
        last = one["where"].rsplit(".", 1)[-1].split("[")[0].strip('"')
        assert last in lines[one["line"] - 1] or lines[one["line"] - 1].startswith("[") or one["line"] == 1
    return [(one["where"], one["found"]) for one in found]


def test_the_good_file_is_good() -> None:
    assert parse_project(GOOD).triggers["new"].dataset == "weather"


@pytest.mark.parametrize(
    ("old", "new", "where", "found"),
    [
        ('contract = "weather"', 'contract = "wether"', "sources.weather.contract", '"wether"'),
        ('path = "landing/more"', 'path = ""', "sources.more.path", '""'),
        ('more"\ndataset = "flights"\ncontract = "f', 'more"\ndataset = "flights"\ncontract = "weather" #', "sources.more.contract", '"weather"'),
        ('key = ["id", "day"]', 'key = ["id", "da"]', "contracts.flights.key[1]", '"da"'),
        ("min = 0, max = 9", "min = 9, max = 0", "contracts.flights.columns.id.min", "9"),
        ("min = 0, max = 9", 'pattern = "x"', "contracts.flights.columns.id.pattern", 'a setting for a column of type "integer"'),
        ("min = 0, max = 9", 'one_of = ["x"]', "contracts.flights.columns.id.one_of", 'a setting for a column of type "integer"'),
        ('one_of = ["a"]', "min = 1", 'contracts.flights.columns."dep time".min', 'a setting for a column of type "string"'),
        ('one_of = ["a"]', "one_of = []", 'contracts.flights.columns."dep time".one_of', "an empty array"),
        ('"a+"', '"a+("', 'contracts.flights.columns."dep time".pattern', "no valid pattern: missing ), unterminated subpattern at position 2"),
        ("nullable = true, ", "", 'contracts.flights.columns."dep time".max_null_rate', "0.1"),
        ('key = ["id", "day"]', "max_quarantined = 0.5", "contracts.flights.max_quarantined", 'a setting that "stop" does not use'),
        ('[contracts.weather.columns]\nhour = { type = "time" }', "[contracts.weather]\ncolumns = {}", "contracts.weather.columns", "no column"),
        ('metric = "auc"', 'metric = "mae"', "objective.metric", '"mae"'),
        ('inputs = { flights = "flights" }', 'inputs = { flights = "flight" }', "pipelines.train.inputs.flights", '"flight"'),
        ('inputs = { flights = "flights" }', 'inputs = { "the flights" = "flights" }', 'pipelines.train.inputs."the flights"', '"the flights"'),
        ("params = { trials = 8 }", "params = { flights = 8 }", "pipelines.train.params.flights", "an argument given twice"),
        ("params = { trials = 8 }", "params = { n-trials = 8 }", "pipelines.train.params.n-trials", '"n-trials"'),
        ("params = { trials = 8 }", 'time_limit = "0s"', "pipelines.train.time_limit", "no time at all"),
        ("params = { trials = 2 }", "params = { flights = 8 }", "triggers.new.params.flights", "an argument given twice"),
        ("[0.1, 1]", "[0.1, 0.1]", "endpoints.delay.rollout.canary[1]", "0.1"),
        ("[0.1, 1]", "[0]", "endpoints.delay.rollout.canary[0]", "0"),
        ("[0.1, 1]", "[0.5, 1.5]", "endpoints.delay.rollout.canary[1]", "1.5"),
        ("rollout.shadow_rows = 10", "rollout.shadow_rows = 30000", "endpoints.delay.rollout.shadow_rows", "30000"),
        ("rollout.shadow_rows = 10", "rollout.canary_rows = 30000", "endpoints.delay.rollout.canary_rows", "30000"),
        ("rollout.shadow_rows = 10", "rollout.shadow_fraction = 0", "endpoints.delay.rollout.shadow_fraction", "0"),
        ("bound = 0.6", "", "gates.best.bound", "nothing"),
        ("bound = 0.6", "bound = 60", "gates.best.bound", "60"),
        ("bound = 0.6", 'bound = 0.6\nmetric = "rmse"', "gates.best.metric", '"rmse"'),
        ("bound = 0.6", "bound = 0.6\nmargin = 1", "gates.best.margin", 'a setting that "metric" does not use'),
        ('by = "carrier"', "", "gates.groups.by", "nothing"),
        ('tolerance = 0.1\n[m', 'bound = 0.1\n[m', "gates.parity.bound", 'a setting that "parity" does not use'),
        ('"delay"\nsignal = "quality"', '"dely"\nsignal = "quality"', "monitors.quality.endpoint", '"dely"'),
        ("threshold = 0.3", "alpha = 0.1", "monitors.drift.alpha", 'a setting that "input-drift" does not use'),
        ("threshold = 0.3", 'every = "0d"', "monitors.drift.every", "no time at all"),
        ('url_from = "ALERTS_URL"', "", "alerts.team.url_from", "nothing"),
        ('url_from = "ALERTS_URL"', 'url_from = "https://x.org/s3cret"', "alerts.team.url_from", "not a variable's name"),
        ('channel = "log"', 'channel = "log"\nurl_from = "X"', "alerts.log.url_from", 'a setting that "log" does not use'),
        ('monitor = "quality"', 'monitor = "qualty"', "triggers.fell.monitor", '"qualty"'),
        ('monitor = "quality"', 'monitor = "drift"', "triggers.fell.monitor", '"drift"'),
        ('monitor = "quality"', "", "triggers.fell.monitor", "nothing"),
        ('monitor = "quality"', 'monitor = "quality"\nevery = "1d"', "triggers.fell.every", 'a setting that "alert" does not use'),
        ('every = "30d"', "", "triggers.monthly.every", "nothing"),
        ('every = "30d"', 'every = "0d"', "triggers.monthly.every", "no time at all"),
        ('dataset = "weather"\np', 'dataset = "wether"\np', "triggers.new.dataset", '"wether"'),
        ('dataset = "weather"\np', "p", "triggers.new.dataset", "nothing"),
        ('30d"\npipeline = "train"', '30d"\npipeline = "tran"', "triggers.monthly.pipeline", '"tran"'),
        ('30d"\npipeline = "train"', '30d"\npipeline = "tidy"', "triggers.monthly.pipeline", '"tidy", which makes no versions of a model'),
        ('pipeline = "train"\nendpoint = "delay"\n[triggers.new]', 'pipeline = "train"\nendpoint = "dely"\n[triggers.new]', "triggers.monthly.endpoint", '"dely"'),
    ],
)  # fmt: skip
def test_one_change_breaks_one_rule(old: str, new: str, where: str, found: str) -> None:
    assert old in GOOD
    assert mistakes(GOOD.replace(old, new, 1)) == [(where, found)]


def test_an_endpoint_serves_a_model_that_some_pipeline_makes() -> None:
    found = mistakes(GOOD.replace('model = "delay"\nparams', 'model = "dely"\nparams'))
    assert found[0] == ("endpoints.delay.model", '"delay"')
    assert {where for where, _ in found[1:]} == {f"triggers.{name}.pipeline" for name in ("fell", "monthly", "new")}


def test_what_is_served_needs_a_gate() -> None:
    start, end = GOOD.index("[gates.best]"), GOOD.index("[monitors.quality]")
    assert mistakes(GOOD[:start] + GOOD[end:]) == [("gates", "no gate")]


def test_names_that_would_not_fit_a_path_are_refused() -> None:
    long = "m" * 64
    found = mistakes(GOOD.replace('"delay"', f'"{long}"').replace("[endpoints.delay]", f"[endpoints.{long}]"))
    assert ("pipelines.train.model", f'"{long[:20]}..."') in found


def test_a_secret_address_is_not_repeated_in_the_message() -> None:
    with pytest.raises(ProjectFileInvalid) as caught:
        parse_project(GOOD.replace('"ALERTS_URL"', '"https://x.org/s3cret"'))
    assert "s3cret" not in str(caught.value)


def test_a_table_that_cannot_be_read_breaks_no_check() -> None:
    for name in ("sources", "contracts", "pipelines", "triggers", "gates", "endpoints", "monitors", "alerts"):
        text = "\n".join(line for line in GOOD.split("\n"))
        found = mistakes(text.replace(f"[{name}.", f"[{name}x."))
        assert found == [(f"{name}x", "an unknown table")]


def test_each_entry_may_be_no_table_at_all() -> None:
    found = mistakes(
        "sources.a = 1\ncontracts.a = 1\npipelines.a = 1\ntriggers.a = 1\ngates.a = 1\nendpoints.a = 1\nmonitors.a = 1\n"
        "alerts.a = 1\nproject = 1\nobjective = 1\n"
    )
    assert len(found) == 10


def test_every_metric_belongs_to_one_task() -> None:
    known = [metric for metrics in TASK_METRICS.values() for metric in metrics]
    assert set(known) == set(MetricName)
    assert all(metrics == metrics_of(task) for task, metrics in TASK_METRICS.items())
