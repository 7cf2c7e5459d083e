"""Conditions and orders as SQL: a search looks up the metrics that it names only, however many there are.

Every sort key is two columns without NULL (a rank that puts NaN and missing values last, then the value), so that the
next page begins just behind the last row whatever was added meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from ..grammar import Condition, Order
from . import speech

_NEWEST = (
    "SELECT model_id, value, nan, ROW_NUMBER() OVER"
    " (PARTITION BY model_id ORDER BY at_ms DESC, step DESC, run_id) AS nth FROM track_model_metric"
)
_COMPARED = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute's expression, and what it holds."""

    sql: str
    number: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched: a table (as `b`), its key, its attributes, and the tables of what it logged."""

    table: str
    attributes: Mapping[str, Column]
    named: Mapping[str, tuple[str, str]]
    """metric, param, tag -> their table, and its column that holds the key of the subject."""
    columns: str
    last: tuple[tuple[str, bool, type], ...]
    """What breaks ties, at the end a unique one: (expression, ascending, kind)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A sort key: an expression without NULL, its direction and its kind."""

    sql: str
    ascending: bool
    kind: type


@dataclass(slots=True)
class Question:
    """A SELECT on its way; `?` come in the order of the text: joins, then conditions."""

    subject: Subject
    connection: Connection
    joins: list[str] = field(default_factory=list)
    join_values: list[Any] = field(default_factory=list)
    wheres: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    narrowed: tuple[str, tuple[Any, ...]] = ("", ())
    """What else holds of each metric that a condition names."""

    def where(self, sql: str, *values: Any) -> None:
        """Add a condition."""
        self.wheres.append(sql)
        self.values.extend(values)

    def among(self, column: str, ids: Sequence[Any], *, inside: bool = True) -> None:
        """Add the condition that a column is one of many values, or none of them."""
        condition, value = speech.among(self.connection, column, ids)
        self.where(condition if inside else f"NOT ({condition})", value)

    def condition(self, asked: Condition) -> None:
        """Add one comparison of a filter."""
        if asked.entity == "attribute":
            column = self.subject.attributes[asked.key]
            self.where(*self.comparison(column.sql, asked))
        elif asked.entity == "dataset":
            self._dataset(asked)
        else:
            self._named(asked)

    def _named(self, asked: Condition) -> None:
        table, owner = self.subject.named[asked.entity]
        there = f"EXISTS (SELECT 1 FROM {table} x WHERE x.{owner} = b.id AND x.name = ?"
        if asked.operator in ("IS NULL", "IS NOT NULL"):
            self.where(("NOT " if asked.operator == "IS NULL" else "") + there + self._end(), asked.key)
            return
        compared, *values = self.comparison("x.value", asked)
        if asked.entity == "metric":
            # kept as 0 and a mark: NaN is not equal to anything, and neither less nor greater
            compared = f"({compared} OR x.nan)" if asked.operator == "!=" else f"{compared} AND NOT x.nan"
            compared, values = compared + self.narrowed[0], [*values, *self.narrowed[1]]
        self.where(f"{there} AND {compared}{self._end()}", asked.key, *values)

    def _end(self) -> str:
        """PostgreSQL is kept from turning look-ups by key into a join that reads every metric of every run: without
        statistics of a table that was just filled, it guesses that to be cheaper."""
        return ")" if speech.is_sqlite(self.connection) else " OFFSET 0)"

    def _dataset(self, asked: Condition) -> None:
        column = "i.context" if asked.key == "context" else f"d.{asked.key}"
        compared, *values = self.comparison(column, asked)
        joined = "track_run_input i JOIN track_dataset d ON d.id = i.dataset_id"
        self.where(f"EXISTS (SELECT 1 FROM {joined} WHERE i.run_id = b.id AND {compared}{self._end()}", *values)

    def comparison(self, column: str, asked: Condition) -> tuple[Any, ...]:
        """Return SQL and its values."""
        if isinstance(asked.value, tuple):
            condition, value = speech.among(self.connection, column, asked.value)
            return (condition if asked.operator == "IN" else f"NOT ({condition})"), value
        if asked.operator in ("LIKE", "ILIKE"):
            return self._like(column, asked.operator, str(asked.value))
        value = float(asked.value) if asked.entity == "metric" and asked.value is not None else asked.value
        return f"{column} {_COMPARED[asked.operator]} ?", value

    def _like(self, column: str, operator: str, pattern: str) -> tuple[Any, ...]:
        """`%` is any text, `_` any character, nothing is escaped; ILIKE takes A to Z for a to z, and no others."""
        if not speech.is_sqlite(self.connection):
            return f"{column} {operator} ? ESCAPE ''", pattern
        if operator == "ILIKE":
            return f"{column} LIKE ?", pattern
        marks = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
        return f"{column} GLOB ?", "".join(marks.get(letter, letter) for letter in pattern)

    def order(self, order: Order) -> None:
        """Add a sort key: NaN after all values, what has none after NaN, in either direction."""
        if order.entity == "attribute":
            column = self.subject.attributes[order.key]
            self._sorted(column.sql, order.ascending, int if column.number else str, nullable=column.nullable)
            return
        table, owner = self.subject.named[order.entity]
        alias = f"o{len(self.joins)}"
        if speech.is_sqlite(self.connection):
            self.join(f"LEFT JOIN {table} {alias} ON {alias}.{owner} = b.id AND {alias}.name = ?", order.key)
        else:  # see `_end`
            found = f"SELECT * FROM {table} x WHERE x.{owner} = b.id AND x.name = ? LIMIT 1"
            self.join(f"LEFT JOIN LATERAL ({found}) {alias} ON TRUE", order.key)
        if order.entity == "metric":
            self.sorted_metric(alias, order.ascending)
        else:
            self._sorted(f"{alias}.value", order.ascending, str, nullable=True)

    def on_datasets(self, datasets: Sequence[tuple[str, str | None]], *, everywhere: bool) -> None:
        """Metrics of models count where they were measured on one of these; `everywhere`: there must be some."""
        said, values = [], []
        for name, digest in datasets:
            said.append("(x.dataset_name = ?" + (")" if digest is None else " AND x.dataset_digest = ?)"))
            values += [name] if digest is None else [name, digest]
        self.narrowed = (f" AND ({' OR '.join(said)})", tuple(values))
        if everywhere:
            there = "EXISTS (SELECT 1 FROM track_model_metric x WHERE x.model_id = b.id"
            self.where(f"{there}{self.narrowed[0]})", *values)

    def order_of_model(self, order: Order, dataset: str | None, digest: str | None) -> None:
        """Add a sort key of logged models: of a metric the newest value, on a dataset where one is given."""
        if order.entity != "metric":
            self.order(order)
            return
        alias = f"o{len(self.joins)}"
        on = [("name", order.key), ("dataset_name", dataset), ("dataset_digest", digest)]
        given = [(column, value) for column, value in on if value is not None]
        newest = f"{_NEWEST} WHERE {' AND '.join(f'{column} = ?' for column, _ in given)}"
        joined = f"LEFT JOIN ({newest}) {alias} ON {alias}.model_id = b.id AND {alias}.nth = 1"
        self.join(joined, *(value for _, value in given))
        self.sorted_metric(alias, order.ascending)

    def join(self, sql: str, *values: Any) -> None:
        """Add a join."""
        self.joins.append(sql)
        self.join_values.extend(values)

    def sorted_metric(self, alias: str, ascending: bool) -> None:
        """Sort by the metric that was joined as `alias`."""
        rank = f"CASE WHEN {alias}.value IS NULL THEN 2 WHEN {alias}.nan THEN 1 ELSE 0 END"
        self.keys += [Key(rank, True, int), Key(f"COALESCE({alias}.value, 0.0)", ascending, float)]

    def _sorted(self, sql: str, ascending: bool, kind: type, *, nullable: bool) -> None:
        if nullable:
            self.keys.append(Key(f"CASE WHEN {sql} IS NULL THEN 1 ELSE 0 END", True, int))
            sql = f"COALESCE({sql}, {0 if kind is int else chr(39) * 2})"
        self.keys.append(Key(sql, ascending, kind))

    def ended(self) -> tuple[Key, ...]:
        """Add what breaks ties, as far as it is no key yet; return all keys."""
        for sql, ascending, kind in self.subject.last:
            if all(key.sql != sql for key in self.keys):
                self.keys.append(Key(sql, ascending, kind))
        return tuple(self.keys)

    def after(self, place: Sequence[Any]) -> None:
        """Only what comes behind a row with these keys."""
        condition = ""
        values: list[Any] = []
        for key, value in zip(reversed(self.keys), reversed(place), strict=True):
            beyond = f"{key.sql} {'>' if key.ascending else '<'} ?"
            condition = f"({beyond} OR ({key.sql} = ? AND {condition}))" if condition else beyond
            values = [value, value, *values] if values else [value]
        self.where(condition, *values)

    def rows(self, limit: int) -> list[tuple[Any, ...]]:
        """Ask: the subject's columns, then the keys."""
        keys = ", ".join(key.sql for key in self.keys)
        orders = ", ".join(f"{key.sql} {'ASC' if key.ascending else 'DESC'}" for key in self.keys)
        statement = (
            f"SELECT {self.subject.columns}, {keys} FROM {self.subject.table} b {' '.join(self.joins)}"
            f" WHERE {' AND '.join(self.wheres) or '1 = 1'} ORDER BY {orders} LIMIT ?"
        )
        return speech.rows(self.connection, statement, (*self.join_values, *self.values, limit))


RUN = Subject(
    table="track_run",
    attributes={
        "run_id": Column("b.id"),
        "user_id": Column('b."user"'),
        "status": Column("b.status"),
        "run_name": Column("b.name"),
        "artifact_uri": Column("'mlflow-artifacts:/' || b.experiment_id || '/' || b.id || '/artifacts'"),
        "start_time": Column("b.start_ms", number=True),
        "end_time": Column("b.end_ms", number=True, nullable=True),
    },
    named={
        "metric": ("track_latest", "run_id"),
        "param": ("track_param", "run_id"),
        "tag": ("track_tag", "run_id"),
    },
    columns="b.id, b.revision",
    last=(("b.start_ms", False, int), ("b.id", True, str)),
)
EXPERIMENT = Subject(
    table="track_experiment",
    attributes={
        "name": Column("b.name"),
        "experiment_id": Column("b.id", number=True),
        "creation_time": Column("b.made_ms", number=True),
        "last_update_time": Column("b.changed_ms", number=True),
    },
    named={"tag": ("track_experiment_tag", "experiment_id")},
    columns="b.id, b.name, b.lifecycle, b.made_ms, b.changed_ms",
    last=(("b.id", False, int),),
)
MODEL = Subject(
    table="track_model",
    attributes={
        "model_id": Column("b.id"),
        "name": Column("b.name"),
        "status": Column("b.status"),
        "model_type": Column("b.kind"),
        "source_run_id": Column("b.source_run", nullable=True),
        "creation_timestamp": Column("b.made_ms", number=True),
        "last_updated_timestamp": Column("b.changed_ms", number=True),
    },
    named={
        "metric": ("track_model_metric", "model_id"),
        "param": ("track_model_param", "model_id"),
        "tag": ("track_model_tag", "model_id"),
    },
    columns="b.id",
    last=(("b.made_ms", False, int), ("b.id", True, str)),
)
