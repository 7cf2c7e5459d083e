"""The migrated schema is the one that the tables declare, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.migration import HeadMaintainer
from alembic.script import ScriptDirectory

from modelloop.ground.store.db import Database, metadata
from modelloop.ground.store.migrate import FOLDER, migrate, revision, revisions
from modelloop.testing.fakes import declare_tables


def test_migrations_give_what_the_tables_declare(database_url: str) -> None:
    declare_tables()
    db = Database(database_url)
    migrate(db)
    with db.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert revision(connection) == revisions()[-1]
    db.close()


def test_migrating_again_changes_nothing(database_url: str) -> None:
    declare_tables()
    db = Database(database_url)
    migrate(db)
    with db.reading() as connection:
        before = sorted(sa.inspect(connection).get_table_names())
    migrate(db)
    with db.reading() as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == before
    db.close()


def test_a_migration_that_fails_leaves_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declare_tables()
    db = Database(database_url)

    def fail(*_: object, **__: object) -> None:
        raise KeyError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(HeadMaintainer, "update_to_step", fail)  # after the tables are made
        with pytest.raises(KeyError):
            migrate(db)
    with db.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    migrate(db)
    with db.reading() as connection:
        assert revision(connection) == revisions()[-1]
    db.close()


def test_file_names_tell_the_revisions_in_one_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    walked = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [script.revision for script in reversed(walked)] == revisions()
    assert all(Path(script.path).name.startswith(f"{script.revision}_") for script in walked)
