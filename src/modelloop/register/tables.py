"""SQL of the register. A version's row is inserted and never changed (only its model's name may be: `rename`); what may
change about it (description, tags, aliases, the package made of it) stands in tables of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from ..ground.core.records import Verdict
from ..ground.store.db import JSON, BigId, Time, metadata
from .records import AliasMove, Kind, ModelVersion

NAME, WORD = 256, 250

model = sa.Table(
    "register_model",
    metadata,
    sa.Column("name", sa.String(NAME), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("made_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
    # the highest number ever given: a number is not given twice, even when its version was deleted
    sa.Column("newest", sa.Integer, nullable=False),
)
model_tag = sa.Table(
    "register_model_tag",
    metadata,
    sa.Column("model", sa.String(NAME), primary_key=True),
    sa.Column("key", sa.String(WORD), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
version = sa.Table(
    "register_version",
    metadata,
    sa.Column("model", sa.String(NAME), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("run", sa.String(64), nullable=True, index=True),
    sa.Column("headline", sa.Float, nullable=True),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("trained_from", Time, nullable=True),
    sa.Column("trained_until", Time, nullable=True),
    sa.Column("lineage", JSON, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False, server_default="modelloop"),
    sa.Column("source", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("model_id", sa.String(64), nullable=True),
    sa.Column("unsafe", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_register_version_digest", "model", "digest"),
)
note = sa.Table(
    "register_note",
    metadata,
    sa.Column("model", sa.String(NAME), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
)
version_tag = sa.Table(
    "register_version_tag",
    metadata,
    sa.Column("model", sa.String(NAME), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(WORD), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
serving = sa.Table(
    "register_serving",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(NAME), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(64), nullable=True),
    sa.Column("refusal", sa.Text, nullable=False),
    sa.Column("opted_in", sa.String(200), nullable=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Index("ix_register_serving_version", "model", "number"),
)
alias = sa.Table(
    "register_alias",
    metadata,
    sa.Column("model", sa.String(NAME), primary_key=True),
    sa.Column("alias", sa.String(255), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("endpoint", sa.String(64), nullable=True),
)
alias_move = sa.Table(
    "register_alias_move",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(NAME), nullable=False),
    sa.Column("alias", sa.String(255), nullable=False),
    sa.Column("number", sa.Integer, nullable=True),
    sa.Column("before", sa.Integer, nullable=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("event_time", Time, nullable=True),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("endpoint", sa.String(64), nullable=True),
    sa.Index("ix_register_alias_move_alias", "model", "alias", "at"),
    sa.Index("ix_register_alias_move_endpoint", "endpoint", "at"),
)
removed = sa.Table(
    "register_removed",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(NAME), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=True),
    sa.Column("body", JSON, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

OF_MODEL = (model_tag, version, note, version_tag, serving, alias, alias_move)
"""Tables whose rows belong to a model by its name."""
OF_VERSION = (version, note, version_tag, serving)
_CORE = tuple(column.name for column in version.columns)


def insert_new(connection: Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there already; say whether it was inserted."""
    made = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    keys = tuple(table.primary_key.columns)
    return connection.execute(made.on_conflict_do_nothing().returning(*keys), row).first() is not None


def put(connection: Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the one that has its key."""
    made = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table).values(**row)
    keys = [column.name for column in table.primary_key.columns]
    rest = {name: value for name, value in row.items() if name not in keys}
    connection.execute(made.on_conflict_do_update(index_elements=keys, set_=rest))


def add(connection: Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row."""
    connection.execute(table.insert().values(**row))


def change(connection: Connection, table: sa.Table, where: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Update the rows in which every column has the value given; say whether there was one."""
    return bool(connection.execute(table.update().where(*_equal(table, where)).values(**values)).rowcount)


def drop(connection: Connection, table: sa.Table, where: Mapping[str, Any]) -> bool:
    """Delete the rows in which every column has the value given; say whether there was one."""
    return bool(connection.execute(table.delete().where(*_equal(table, where))).rowcount)


def find(connection: Connection, table: sa.Table, **where: Any) -> RowMapping | None:
    """Return the first row in which every column has the value given."""
    return connection.execute(sa.select(table).where(*_equal(table, where))).mappings().first()


def rows(connection: Connection, table: sa.Table, **where: Any) -> Sequence[RowMapping]:
    """Return all rows in which every column has the value given, in the order of the key."""
    query = sa.select(table).where(*_equal(table, where)).order_by(*table.primary_key.columns)
    return connection.execute(query).mappings().all()


def lock(connection: Connection, name: str) -> RowMapping | None:
    """Return a model's row, locked until the transaction ends: who registers or deletes under it stands in line."""
    query = sa.select(model).where(model.c.name == name).with_for_update()
    return connection.execute(query).mappings().first()


def insert(connection: Connection, made: ModelVersion) -> None:
    """Insert a version, and its model where there is none yet."""
    values = {name: getattr(made, name) for name in _CORE}
    moment = made.made_ms
    new = {"name": made.model, "description": "", "made_ms": moment, "changed_ms": moment, "newest": made.number}
    insert_new(connection, model, new)
    connection.execute(version.insert().values(**values | {"lineage": dict(made.lineage)}))
    higher = model.update().where(model.c.name == made.model, model.c.newest < made.number)
    connection.execute(higher.values(newest=made.number))


def rename(connection: Connection, old: str, new: str) -> None:
    """Give everything that belongs to a model to another name."""
    change(connection, model, {"name": old}, {"name": new})
    for table in OF_MODEL:
        change(connection, table, {"model": old}, {"model": new})


def by_digest(connection: Connection, name: str, digest: str) -> ModelVersion | None:
    """Return the oldest version with this content."""
    query = sa.select(version).where(version.c.model == name, version.c.digest == digest).order_by(version.c.number)
    return next(iter(filled(connection, connection.execute(query.limit(1)).mappings().all())), None)


def by_number(connection: Connection, name: str, number: int) -> ModelVersion | None:
    """Return one version."""
    return next(iter(filled(connection, rows(connection, version, model=name, number=number))), None)


def of_model(connection: Connection, name: str) -> tuple[ModelVersion, ...]:
    """Return the versions of a model, oldest first."""
    return filled(connection, rows(connection, version, model=name))


def models(connection: Connection) -> tuple[str, ...]:
    """Return the names of all models that have versions, sorted."""
    return tuple(connection.execute(sa.select(version.c.model).distinct().order_by(version.c.model)).scalars())


def untried(connection: Connection) -> Sequence[RowMapping]:
    """Return the foreign versions of which nobody has yet tried to make a package, oldest first."""
    tried = sa.exists().where(serving.c.model == version.c.model, serving.c.number == version.c.number)
    query = sa.select(version.c.model, version.c.number).where(version.c.kind == str(Kind.MLFLOW), ~tried)
    return connection.execute(query.order_by(version.c.made_at)).mappings().all()


def selected(connection: Connection, query: sa.Select[Any]) -> Sequence[RowMapping]:
    """Return what a query finds."""
    return connection.execute(query).mappings().all()


def filled(connection: Connection, found: Sequence[RowMapping]) -> tuple[ModelVersion, ...]:
    """Make versions of rows, with what may change about them: four queries, however many rows."""
    if not found:
        return ()
    names = {row["model"] for row in found}
    numbers = {row["number"] for row in found}
    notes = {_key(row): row for row in _of(connection, note, names, numbers)}
    packages = {_key(row): row for row in _of(connection, serving, names, numbers)}  # by id: the newest one stays
    tags: dict[tuple[str, int], dict[str, str]] = {}
    for row in _of(connection, version_tag, names, numbers):
        tags.setdefault(_key(row), {})[row["key"]] = row["value"]
    aliases: dict[tuple[str, int], list[str]] = {}
    for row in _of(connection, alias, names, numbers):
        aliases.setdefault(_key(row), []).append(row["alias"])
    made = []
    for row in found:
        key = _key(row)
        more = _mutable(row, notes.get(key), packages.get(key))
        more |= {"tags": tags.get(key, {}), "aliases": tuple(aliases.get(key, ()))}
        made.append(ModelVersion(**{name: row[name] for name in _CORE} | more))
    return tuple(made)


def moves(connection: Connection, name: str, word: str | None = None) -> tuple[AliasMove, ...]:
    """Return the history of one alias of a model, or of all of them, oldest first."""
    where = {"model": name} if word is None else {"model": name, "alias": word}
    return tuple(_move(row) for row in rows(connection, alias_move, **where))


def move_at(connection: Connection, name: str, word: str, moment: datetime) -> AliasMove | None:
    """Return the last move of an alias at or before a moment."""
    c = alias_move.c
    return _last(connection, sa.and_(c.model == name, c.alias == word, c.at <= moment))


def arrival_at(connection: Connection, endpoint: str, moment: datetime, *, by_event: bool) -> AliasMove | None:
    """Return the move that brought what answered at an endpoint at a moment of the wall clock or of the data's."""
    c = alias_move.c
    reached = sa.or_(c.event_time.is_(None), c.event_time <= moment) if by_event else c.at <= moment
    return _last(connection, sa.and_(c.endpoint == endpoint, c.alias.like("champion%"), reached))


def _last(connection: Connection, condition: sa.ColumnElement[bool]) -> AliasMove | None:
    query = sa.select(alias_move).where(condition).order_by(alias_move.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _move(row)


def _move(row: RowMapping) -> AliasMove:
    return AliasMove(**{name: row[name] for name in AliasMove.__slots__})


def _mutable(row: RowMapping, noted: RowMapping | None, made: RowMapping | None) -> dict[str, Any]:
    kind = Kind(row["kind"])
    moment = round(row["made_at"].timestamp() * 1000)
    own = row["digest"] if kind is Kind.MODELLOOP else None
    return {
        "verdict": Verdict(row["verdict"]),
        "kind": kind,
        "description": noted["description"] if noted else "",
        "changed_ms": noted["changed_ms"] if noted else moment,
        "package": made["digest"] if made else own,
        "refusal": made["refusal"] if made else "",
        "opted_in": made["opted_in"] if made else None,
    }


def _of(connection: Connection, table: sa.Table, names: Collection[str], numbers: Collection[int]) -> Sequence[Any]:
    """Return the rows that may belong to these versions: of one model by number, of many by model."""
    query = sa.select(table).where(table.c.model.in_(names)).order_by(*table.primary_key.columns)
    if len(numbers) <= 100:
        query = query.where(table.c.number.in_(numbers))
    return connection.execute(query).mappings().all()


def _key(row: RowMapping) -> tuple[str, int]:
    return row["model"], row["number"]


def _equal(table: sa.Table, where: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in where.items()]


def of_models(connection: Connection, table: sa.Table, names: Sequence[str]) -> Sequence[RowMapping]:
    """Return the rows that belong to some models."""
    query = sa.select(table).where(table.c.model.in_(names)).order_by(*table.primary_key.columns)
    return connection.execute(query).mappings().all() if names else []
