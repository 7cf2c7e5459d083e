"""MLflow's grammar: what it takes, what it refuses and where it points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.tracking.grammar import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Condition,
    Order,
    parse,
    parse_order,
    parse_orders,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.acc > 0.9", Condition("metric", "acc", ">", 0.9)),
        ("metric.acc>=1", Condition("metric", "acc", ">=", 1)),
        ("metrics.`a b` != -1e-3", Condition("metric", "a b", "!=", -0.001)),
        ('metrics."train/loss" <= .5', Condition("metric", "train/loss", "<=", 0.5)),
        ("`metrics`.`x` = 2", Condition("metric", "x", "=", 2)),
        ("params.model = 'tree'", Condition("param", "model", "=", "tree")),
        ("parameter.model LIKE '%tree'", Condition("param", "model", "LIKE", "%tree")),
        ('param.model ilike "Tree"', Condition("param", "model", "ILIKE", "Tree")),
        ("tags.mlflow.source.name = 'x'", Condition("tag", "mlflow.source.name", "=", "x")),
        ("tag.a IS NULL", Condition("tag", "a", "IS NULL", None)),
        ("params.a is not null", Condition("param", "a", "IS NOT NULL", None)),
        ("tags.who = 'it''s'", Condition("tag", "who", "=", "it's")),
        ('tags.who = "it\'s"', Condition("tag", "who", "=", "it's")),
        ("status = 'FINISHED'", Condition("attribute", "status", "=", "FINISHED")),
        ("attributes.run_id IN ('a', 'b')", Condition("attribute", "run_id", "IN", ("a", "b"))),
        ("run_id not in ('a')", Condition("attribute", "run_id", "NOT IN", ("a",))),
        ("attr.`Run name` = 'x'", Condition("attribute", "run_name", "=", "x")),
        ("run.created > 5", Condition("attribute", "start_time", ">", 5)),
        ("datasets.name LIKE 'd%'", Condition("dataset", "name", "LIKE", "d%")),
        ("dataset.context IN ('train')", Condition("dataset", "context", "IN", ("train",))),
        ("tags.`日本 ü` = '語'", Condition("tag", "日本 ü", "=", "語")),
    ],
)
def test_one_condition(text: str, expected: Condition) -> None:
    assert parse(text, RUNS) == (expected,)


def test_conditions_are_joined_by_and() -> None:
    text = "metrics.a > 1 AND params.b = 'x AND y' and\n tags.c != 'z'"
    assert [one.key for one in parse(text, RUNS)] == ["a", "b", "c"]


def test_no_text_is_no_condition() -> None:
    assert parse("", RUNS) == parse(None, RUNS) == parse("  \n", RUNS) == ()


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("metrics.acc >", 13, "numeric value"),
        ("metrics.acc > '1'", 14, "numeric value"),
        ("params.a = 1", 11, "quoted string"),
        ("foo.a = 1", 0, "invalid entity type 'foo'"),
        ("metrics.a == 1", 10, "invalid comparator '=='"),
        ("metrics.a > 1 OR metrics.b > 2", 14, "OR is not supported"),
        ("metrics.a > 1 metrics.b > 2", 14, "expected AND"),
        ("metrics.a > 1 AND", 17, "expected what is compared"),
        ("params.a = 'x", 11, "does not end"),
        ("attributes.nope = 'x'", 0, "invalid attribute key 'nope'"),
        ("dataset.schema = 'x'", 0, "invalid dataset key"),
        ("metrics.a IS NULL", 10, "invalid comparator 'IS NULL'"),
        ("metrics.a LIKE 'x'", 10, "invalid comparator 'LIKE'"),
        ("run_id IN ()", 11, "quoted string"),
        ("run_id IN ('a' 'b')", 15, "expected ','"),
        ("run_id IN 'a'", 10, "list in parentheses"),
        ("params.a > 'x'", 9, "invalid comparator '>'"),
        ("metrics.a > 1; DROP TABLE track_run", 13, "expected AND"),
        ("start_time > 'x'", 13, "numeric value"),
        ("metrics.a > nan", 12, "numeric value"),
        ("tags.x = 'a\x00'", 11, "no text holds"),
        ("= 1", 0, "expected what is compared"),
        ("tags.`` = 'x'", 0, "without a name"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, position: int, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text, RUNS)
    assert caught.value.detail["position"] == position
    assert f"at character {position + 1}:" in caught.value.message
    assert says in caught.value.message
    line, caret = caught.value.detail["caret"].split("\n")
    assert caret.index("^") <= len(line)


def test_the_pointer_stays_short_in_a_long_text() -> None:
    text = " AND ".join(f"metrics.m{number} > 1" for number in range(50)) + " AND nope"
    with pytest.raises(InvalidInput) as caught:
        parse(text, RUNS)
    line, caret = caught.value.detail["caret"].split("\n")
    assert len(line) <= 80
    assert line[caret.index("^") :] == "nope"


def test_too_much_is_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 100"):
        parse(" AND ".join(["metrics.a > 1"] * 101), RUNS)
    with pytest.raises(InvalidInput, match="longer than"):
        parse("x" * 60_000, RUNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.acc DESC", Order("metric", "acc", ascending=False)),
        ("metrics.`a b`", Order("metric", "a b")),
        ("start_time asc", Order("attribute", "start_time")),
        ("attributes.created DESC", Order("attribute", "start_time", ascending=False)),
        ("tags.x", Order("tag", "x")),
        ("params.`p` ASC", Order("param", "p")),
    ],
)
def test_orders(text: str, expected: Order) -> None:
    assert parse_order(text, RUNS) == expected


@pytest.mark.parametrize(
    "text", ["", "metrics.a, metrics.b", "metrics.a UP", "dataset.name", "nope", "created DESC x", "1"]
)
def test_orders_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="order_by at character"):
        parse_order(text, RUNS)


def test_a_key_may_sort_once() -> None:
    with pytest.raises(InvalidInput, match="duplicate"):
        parse_orders(["created", "start_time DESC"], RUNS)


def test_each_grammar_has_its_own_words() -> None:
    assert parse("name LIKE 'x%' AND tags.a = 'b'", EXPERIMENTS)
    assert parse("model_id IN ('m-1') AND params.a IN ('b')", LOGGED_MODELS)
    assert parse("name = 'x'", REGISTERED_MODELS)
    assert parse("version_number > 3 AND run_id IN ('a')", MODEL_VERSIONS)
    for text, grammar in (("metrics.a > 1", EXPERIMENTS), ("status = 'x'", REGISTERED_MODELS)):
        with pytest.raises(InvalidInput):
            parse(text, grammar)


_KEYS = st.text(st.characters(exclude_characters="`\x00", exclude_categories=["Cs"]), min_size=1, max_size=30)
_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    entity = draw(st.sampled_from(["metric", "param", "tag", "run_id"]))
    if entity == "metric":
        return Condition(entity, draw(_KEYS), draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="])), draw(_NUMBERS))
    if entity == "run_id":
        values = tuple(draw(st.lists(_TEXTS, min_size=1, max_size=4)))
        return Condition("attribute", "run_id", draw(st.sampled_from(["IN", "NOT IN"])), values)
    operator = draw(st.sampled_from(["=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"]))
    return Condition(entity, draw(_KEYS), operator, None if operator.startswith("IS") else draw(_TEXTS))


def written(condition: Condition) -> str:
    name = "run_id" if condition.entity == "attribute" else f"{condition.entity}s.`{condition.key}`"
    if condition.value is None:
        return f"{name} {condition.operator}"
    if isinstance(condition.value, tuple):
        return f"{name} {condition.operator} ({', '.join(map(quoted, condition.value))})"
    value = quoted(condition.value) if isinstance(condition.value, str) else repr(condition.value)
    return f"{name} {condition.operator} {value}"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@given(st.lists(conditions(), min_size=1, max_size=5))
def test_what_is_written_is_read(given_: list[Condition]) -> None:
    found = parse(" AND ".join(map(written, given_)), RUNS)
    assert found == tuple(given_)
    assert [type(one.value) for one in found] == [type(one.value) for one in given_]


@given(st.text(max_size=80) | st.text("metrics.params'\"`=<>!()INLKE AND0123,", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for grammar in (RUNS, EXPERIMENTS, MODEL_VERSIONS):
        for read in (parse, parse_order):
            assert 0 <= refused_at(text, lambda read=read, grammar=grammar: read(text, grammar)) <= len(text)  # type: ignore[misc]


def refused_at(text: str, read: Callable[[], object]) -> int:
    """Where it was refused; 0 where it was not."""
    try:
        read()
    except InvalidInput as error:
        return int(error.detail["position"])
    return 0
