"""MLflow's filter and order grammar, with errors that point at the place. Pure.

    metrics.acc > 0.9 AND params.`learning rate` = '0.1' AND tags.team IS NOT NULL AND attributes.status IN ('FINISHED')

A filter is a list of conditions joined by AND. What a condition may be about, and which comparisons it allows, is data:
a `Grammar`. Runs, experiments, logged models, registered models and versions each have theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from ...ground.core.errors import InvalidInput
from .records import INT64

Value: TypeAlias = "str | int | float | tuple[str, ...] | None"

MAX_TEXT = 50_000
MAX_CONDITIONS = 100
MAX_VALUES = 50_000

_ORDERED = frozenset(("=", "!=", "<", "<=", ">", ">="))
_TEXTUAL = frozenset(("=", "!=", "LIKE", "ILIKE"))
_LISTED = frozenset(("IN", "NOT IN"))
_PRESENCE = frozenset(("IS NULL", "IS NOT NULL"))

_ALIASES = {
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}


@dataclass(frozen=True, slots=True)
class Field:
    """What conditions of one kind may do."""

    name: str
    """The word that a caller of `parse` gets."""
    number: bool = False
    operators: frozenset[str] = _TEXTUAL


def text_field(name: str, *, listed: bool = True) -> Field:
    """Return an attribute that holds text."""
    return Field(name, operators=_TEXTUAL | _LISTED if listed else _TEXTUAL)


def number_field(name: str) -> Field:
    """Return an attribute that holds a number."""
    return Field(name, number=True, operators=_ORDERED)


@dataclass(frozen=True, slots=True)
class Grammar:
    """What may be searched by. An entity that is absent cannot be asked for."""

    attributes: Mapping[str, Field]
    """Each under its name and its aliases."""
    datasets: Mapping[str, Field] = field(default_factory=dict)
    named: Mapping[str, Field] = field(default_factory=dict)
    """Entities whose keys are free: metric, param, tag."""

    def entities(self) -> list[str]:
        """Return the words that may stand before the dot."""
        return [*self.named, "attribute", *(("dataset",) if self.datasets else ())]


METRIC = Field("metric", number=True, operators=_ORDERED)
PARAM = Field("param", operators=_TEXTUAL | _PRESENCE)
TAG = Field("tag", operators=_TEXTUAL | _PRESENCE)

_START, _NAME = number_field("start_time"), text_field("run_name")
RUNS = Grammar(
    attributes={
        "run_id": text_field("run_id"),
        "user_id": text_field("user_id"),
        "status": text_field("status"),
        "artifact_uri": text_field("artifact_uri"),
        **dict.fromkeys(("start_time", "created", "Created"), _START),
        "end_time": number_field("end_time"),
        **dict.fromkeys(("run_name", "run name", "Run name", "Run Name"), _NAME),
    },
    datasets={name: text_field(name) for name in ("name", "digest", "context")},
    named={"metric": METRIC, "param": PARAM, "tag": TAG},
)
EXPERIMENTS = Grammar(
    attributes={
        "name": text_field("name"),
        "experiment_id": Field("experiment_id", operators=frozenset(("=", "!=")) | _LISTED),
        "creation_time": number_field("creation_time"),
        "last_update_time": number_field("last_update_time"),
    },
    named={"tag": TAG},
)
_MADE, _CHANGED = number_field("creation_timestamp"), number_field("last_updated_timestamp")
_TIMES = {
    **dict.fromkeys(("creation_timestamp", "creation_time"), _MADE),
    **dict.fromkeys(("last_updated_timestamp", "last_updated_time"), _CHANGED),
}
LOGGED_MODELS = Grammar(
    attributes={
        **{name: text_field(name) for name in ("name", "model_id", "model_type", "status", "source_run_id")},
        **_TIMES,
    },
    named={
        "metric": METRIC,
        "param": Field("param", operators=PARAM.operators | _LISTED),
        "tag": Field("tag", operators=TAG.operators | _LISTED),
    },
)
REGISTERED_MODELS = Grammar(
    attributes={"name": text_field("name"), "timestamp": _CHANGED, **_TIMES},
    named={"tag": TAG},
)
MODEL_VERSIONS = Grammar(
    attributes={
        **{name: text_field(name) for name in ("name", "run_id", "source_path")},
        "version_number": number_field("version_number"),
        **_TIMES,
    },
    named={"tag": TAG},
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `key` is a metric's, param's or tag's name, or the name of an attribute (aliases resolved)."""

    entity: str
    """metric, param, tag, attribute or dataset."""
    key: str
    operator: str
    value: Value
    """Text, a number, a tuple of texts (IN), None (IS NULL)."""


@dataclass(frozen=True, slots=True)
class Order:
    """One key by which results are sorted."""

    entity: str
    key: str
    ascending: bool = True


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    parts: tuple[str, ...] = ()


_PATTERN = re.compile(
    r"""(?P<space>\s+)
    |(?P<name>(?:[^\W0-9]\w*|`[^`]*`)(?:\s*\.\s*(?:`[^`]*`|"[^"]*"|'[^']*'|[\w@$\#/:-]+(?:\.[\w@$\#/:-]+)*))?|`[^`]*`)
    |(?P<number>[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.]))
    |(?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<operator><=|>=|!=|==|<>|=|<|>)
    |(?P<mark>[(),;])""",
    re.VERBOSE,
)
_KEYWORDS = frozenset(("AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "IS", "NULL", "BETWEEN"))


def parse(text: str | None, grammar: Grammar) -> tuple[Condition, ...]:
    """Read a filter; no text is no condition. Raises InvalidInput that points at the place."""
    if text is None or not text.strip():
        return ()
    return _Reader(text, grammar, "filter").conditions()


def parse_order(text: str, grammar: Grammar) -> Order:
    """Read one key of an order: `metrics.loss ASC`, `start_time DESC`. Raises InvalidInput that points at the place."""
    return _Reader(text, grammar, "order_by").order()


def parse_orders(texts: Sequence[str], grammar: Grammar) -> tuple[Order, ...]:
    """Read all keys of an order; raises InvalidInput, also where two are the same."""
    orders: dict[tuple[str, str], Order] = {}
    for text in texts:
        order = parse_order(text, grammar)
        if (order.entity, order.key) in orders:
            raise InvalidInput(
                f"`order_by` contains duplicate fields: {order.entity} {order.key!r} comes twice.", hint="Name it once."
            )
        orders[order.entity, order.key] = order
    return tuple(orders.values())


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, grammar: Grammar, what: str) -> None:
        self._text = text
        self._grammar = grammar
        self._what = what
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            raise InvalidInput(f"The {what} is longer than {MAX_TEXT} characters, or no text.", hint="Shorten it.")
        for found in ("\x00", *re.findall("[\ud800-\udfff]", text)[:1]):
            if found in text:
                self._fail(text.index(found), "a character that no text holds", "Leave it out.")
        self._tokens = list(self._cut())
        self._next = 0

    def conditions(self) -> tuple[Condition, ...]:
        """Read conditions joined by AND, to the end."""
        found = [self._condition()]
        while (token := self._take()).kind != "end":
            if _word(token) != "AND":
                self._unjoined(token)
            if len(found) == MAX_CONDITIONS:
                self._fail(token.at, f"more than {MAX_CONDITIONS} conditions", "Ask for less at once.")
            found.append(self._condition())
        return tuple(found)

    def order(self) -> Order:
        """Read a key and its direction, to the end."""
        name = self._take()
        if name.kind != "name":
            self._fail(
                name.at, f"expected a key such as metrics.loss, found {_shown(name)}", "Add ASC or DESC after it."
            )
        entity, allowed, key = self._about(name)
        if entity == "dataset":
            self._fail(name.at, "runs cannot be sorted by a dataset", "Sort by a metric, param, tag or attribute.")
        direction = self._take()
        if direction.kind != "end" and _word(direction) not in ("ASC", "DESC"):
            self._fail(direction.at, f"expected ASC or DESC, found {_shown(direction)}", "Give one key per entry.")
        if direction.kind != "end" and (more := self._take()).kind != "end":
            self._fail(more.at, f"unexpected {_shown(more)}", "Give one key per entry.")
        return Order(entity, key if allowed is None else allowed.name, _word(direction) != "DESC")

    def _condition(self) -> Condition:
        name = self._take()
        if name.kind != "name" or _word(name) in _KEYWORDS:
            hint = "Write a condition such as metrics.acc > 0.9 or params.model = 'tree'."
            self._fail(name.at, f"expected what is compared, found {_shown(name)}", hint)
        entity, attribute, key = self._about(name)
        allowed = attribute or self._grammar.named[entity]
        operator, at = self._operator(allowed)
        if operator in _PRESENCE:
            return Condition(entity, key, operator, None)
        value = self._list(at) if operator in _LISTED else self._value(allowed, name)
        return Condition(entity, attribute.name if attribute else key, operator, value)

    def _about(self, token: _Token) -> tuple[str, Field | None, str]:
        """Return the entity, its field where it is one of a fixed set, and the key."""
        if len(token.parts) == 1:
            word, key = "attribute", token.parts[0]
        else:
            word, key = token.parts
        entity = _ALIASES.get(word, word)
        if entity not in self._grammar.entities():
            allowed = ", ".join(f"{one}." for one in self._grammar.entities())
            self._fail(token.at, f"invalid entity type {word!r}", f"Valid are {allowed} or a plain attribute.")
        if entity in self._grammar.named:
            if not key:
                self._fail(token.at, f"a {entity} without a name", f"Write {entity}s.name or {entity}s.`a name`.")
            return entity, None, key
        fields = self._grammar.attributes if entity == "attribute" else self._grammar.datasets
        if key not in fields:
            self._fail(token.at, f"invalid {entity} key {key!r}", f"Valid keys are {', '.join(sorted(fields))}.")
        return entity, fields[key], fields[key].name

    def _operator(self, allowed: Field) -> tuple[str, int]:
        token = self._take()
        words = _word(token)
        if token.kind == "name" and words in ("NOT", "IS"):
            words = self._longer(words, token)
        known = token.kind == "operator" or words in ("LIKE", "ILIKE", "IN", "NOT IN", *_PRESENCE)
        if not known:
            hint = f"Compare by {', '.join(sorted(allowed.operators))}."
            self._fail(token.at, f"expected a comparison, found {_shown(token)}", hint)
        if words not in allowed.operators:
            hint = f"A {allowed.name} is compared by {', '.join(sorted(allowed.operators))}."
            self._fail(token.at, f"invalid comparator {words!r}", hint)
        return words, token.at

    def _longer(self, words: str, token: _Token) -> str:
        """Read the rest of NOT IN, IS NULL, IS NOT NULL."""
        while words in ("NOT", "IS", "IS NOT"):
            following = self._take()
            words = f"{words} {_word(following)}"
            if words not in ("NOT IN", "IS NOT", "IS NULL", "IS NOT NULL"):
                self._fail(token.at, f"invalid comparator {words!r}", "Write IN, NOT IN, IS NULL or IS NOT NULL.")
        return words

    def _value(self, allowed: Field, name: _Token) -> Value:
        token = self._take()
        wanted = "number" if allowed.number else "string"
        if token.kind != wanted:
            what = "numeric value, without quotes" if allowed.number else "quoted string value (e.g. 'my-value')"
            hint = f"{name.text} is compared with a {'number' if allowed.number else 'text in quotes'}."
            self._fail(token.at, f"expected a {what}, found {_shown(token)}", hint)
        return _number(token.text) if allowed.number else _unquoted(token.text)

    def _list(self, at: int) -> tuple[str, ...]:
        hint = "Write IN ('a', 'b')."
        if (token := self._take()).text != "(" or token.kind != "mark":
            self._fail(token.at, f"expected a list in parentheses, found {_shown(token)}", hint)
        found: list[str] = []
        while True:
            token = self._take()
            if token.kind != "string":
                self._fail(token.at, f"expected a quoted string value, found {_shown(token)}", hint)
            found.append(_unquoted(token.text))
            if (token := self._take()).kind != "mark" or token.text not in ",)":
                self._fail(token.at, f"expected ',' or ')', found {_shown(token)}", hint)
            if len(found) > MAX_VALUES:
                self._fail(at, f"a list of more than {MAX_VALUES} values", "Ask in several searches.")
            if token.text == ")":
                return tuple(found)

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _cut(self) -> Iterator[_Token]:
        at, end = 0, len(self._text)
        while at < end:
            found = _PATTERN.match(self._text, at)
            if found is None:
                self._uncut(at)
            kind = found.lastgroup or ""
            if kind == "name":
                yield _Token(kind, found.group(), at, _parts(found.group()))
            elif kind != "space":
                yield _Token(kind, found.group(), at)
            at = found.end()
        yield _Token("end", "", end)

    def _uncut(self, at: int) -> NoReturn:
        character = self._text[at]
        if character in "'\"`":
            self._fail(at, f"a quote {character} that does not end", "Close it, or use the other kind of quotes.")
        self._fail(
            at, f"unexpected {character!r}", "Put names with special characters in `backticks`, texts in 'quotes'."
        )

    def _unjoined(self, token: _Token) -> NoReturn:
        if _word(token) == "OR":
            self._fail(token.at, "OR is not supported", "Conditions are joined by AND only; search twice instead.")
        self._fail(token.at, f"expected AND or the end, found {_shown(token)}", "Join conditions by AND.")

    def _fail(self, at: int, what: str, hint: str) -> NoReturn:
        start = max(0, at - 40)
        line = re.sub(r"\s", " ", self._text[start : at + 40])
        raise InvalidInput(
            f"Invalid {self._what} at character {at + 1}: {what}.",
            hint=hint,
            detail={"position": at, "caret": f"{line}\n{' ' * (at - start)}^"},
        )


def _parts(text: str) -> tuple[str, ...]:
    """Return the entity and the key of a name, without their quotes; or the name alone."""
    quoted = text.startswith("`")
    end = text.index("`", 1) + 1 if quoted else len(text.partition(".")[0])
    first, rest = text[:end].strip(), text[end:].strip()
    first = first[1:-1] if quoted else first
    if not rest:
        return (first,)
    key = rest.removeprefix(".").strip()
    return (first, key[1:-1] if key[:1] in ("`", '"', "'") else key)


def _word(token: _Token) -> str:
    return token.text.upper() if token.kind in ("name", "operator") else ""


def _shown(token: _Token) -> str:
    return "the end" if token.kind == "end" else repr(token.text[:60])


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


def _number(text: str) -> int | float:
    if re.fullmatch(r"[-+]?[0-9]{1,19}", text) and -INT64 <= int(text) < INT64:
        return int(text)
    return float(text)
