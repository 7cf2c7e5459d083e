"""the register: models, aliases and their history."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, BigId, Time

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "register_model",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_register_model")),
    )
    op.create_table(
        "register_model_tag",
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "key", name=op.f("pk_register_model_tag")),
    )
    op.create_table(
        "register_note",
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", "number", name=op.f("pk_register_note")),
    )
    op.create_table(
        "register_version_tag",
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "number", "key", name=op.f("pk_register_version_tag")),
    )
    op.create_table(
        "register_serving",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=False),
        sa.Column("opted_in", sa.String(length=200), nullable=True),
        sa.Column("at", Time(), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_serving")),
    )
    op.create_index("ix_register_serving_version", "register_serving", ["model", "number"], unique=False)
    op.create_table(
        "register_alias",
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("model", "alias", name=op.f("pk_register_alias")),
    )
    op.create_table(
        "register_alias_move",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("before", sa.Integer(), nullable=True),
        sa.Column("at", Time(), nullable=False),
        sa.Column("event_time", Time(), nullable=True),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_alias_move")),
    )
    op.create_index("ix_register_alias_move_alias", "register_alias_move", ["model", "alias", "at"], unique=False)
    op.create_index("ix_register_alias_move_endpoint", "register_alias_move", ["endpoint", "at"], unique=False)
    op.create_table(
        "register_removed",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("body", JSON, nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_removed")),
    )
    op.create_index("ix_register_removed_model", "register_removed", ["model"], unique=False)
    _widen_versions()
    _name_models()
    _remember_lives()


def _widen_versions() -> None:
    with op.batch_alter_table("register_version", schema=None) as batch_op:
        batch_op.alter_column("model", existing_type=sa.String(63), type_=sa.String(256), existing_nullable=False)
        batch_op.alter_column("run", existing_type=sa.String(40), type_=sa.String(64), existing_nullable=True)
        batch_op.add_column(sa.Column("kind", sa.String(length=16), server_default="modelloop", nullable=False))
        batch_op.add_column(sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("model_id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("unsafe", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.drop_constraint("uq_register_version_model", type_="unique")
        batch_op.create_index("ix_register_version_digest", ["model", "digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_register_version_run"), ["run"], unique=False)


def _table(name: str, *columns: tuple[str, Any]) -> sa.TableClause:
    return sa.table(name, *(sa.column(word, kind) for word, kind in columns))


def _name_models() -> None:
    """A model was only a word in its versions."""
    bind = op.get_bind()
    old = _table("register_version", ("model", sa.String), ("number", sa.Integer), ("made_at", Time()))
    first, last, newest = sa.func.min(old.c.made_at), sa.func.max(old.c.made_at), sa.func.max(old.c.number)
    found = bind.execute(sa.select(old.c.model, first, last, newest).group_by(old.c.model)).all()
    new = _table(
        "register_model",
        *(("name", sa.String), ("description", sa.Text), ("newest", sa.Integer)),
        *(("made_ms", sa.BigInteger), ("changed_ms", sa.BigInteger)),
    )
    for name, made, changed, number in found:
        moments = {"made_ms": round(made.timestamp() * 1000), "changed_ms": round(changed.timestamp() * 1000)}
        bind.execute(new.insert().values(name=name, description="", newest=number, **moments))


def _remember_lives() -> None:
    """What answered until now becomes the history of the alias champion; the newest of each endpoint is it now."""
    bind = op.get_bind()
    words = ("endpoint", "version", "before", "reason", "actor")
    times = (("at", Time()), ("event_time", Time()))
    lives = _table("deploy_live", ("id", sa.Integer), *((word, sa.String) for word in words), *times)
    texts = ("model", "alias", "by", "why", "endpoint")
    moved = _table(
        "register_alias_move",
        *((word, sa.String) for word in texts),
        *(("number", sa.Integer), ("before", sa.Integer)),
        *times,
    )
    held_words = ("model", "alias", "endpoint")
    kept = _table("register_alias", *((word, sa.String) for word in held_words), ("number", sa.Integer))
    held: dict[tuple[str, str], tuple[str, int]] = {}
    for row in bind.execute(sa.select(lives).order_by(lives.c.id)).all():
        model, _, number = row.version.rpartition(":")
        alias = "champion"
        if held.get((model, alias), (row.endpoint, 0))[0] != row.endpoint:
            alias = f"champion-{row.endpoint}"
        before = held.get((model, alias), ("", None))[1]
        values = {"model": model, "alias": alias, "number": int(number), "endpoint": row.endpoint, "before": before}
        told = {"at": row.at, "event_time": row.event_time, "by": row.actor, "why": row.reason}
        bind.execute(moved.insert().values(**values, **told))
        held[model, alias] = (row.endpoint, int(number))
    for (model, alias), (endpoint, number) in held.items():
        bind.execute(kept.insert().values(model=model, alias=alias, endpoint=endpoint, number=number))
