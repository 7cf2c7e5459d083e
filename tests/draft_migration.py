"""Draft the next schema revision from what the tables declare.

    python tests/draft_migration.py "what changes" [--first]

`--first` drafts revision 0001 anew, as explicit operations (before the first release only).
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import UpgradeOps

from modelloop.ground.store.db import Database, metadata
from modelloop.ground.store.migrate import FOLDER, migrate, revisions
from modelloop.testing.fakes import declare_tables

HEAD = '''"""{message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, BigId, Time

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {body}
'''
# our own column types, by the names under which the head imports them
TYPES = (
    (r"modelloop\.ground\.store\.db\.Time\([^()]*\)", "Time()"),
    (r"sa\.JSON\(\)\.with_variant\([^()]*\(.*?\)(?:, *[^()]*)?, 'postgresql'\)", "JSON"),
    (r"sa\.BigInteger\(\)\.with_variant\(sa\.Integer\(\), 'sqlite'\)", "BigId"),
)


def draft(message: str, *, first: bool) -> Path:
    """Write the draft into the folder of revisions and return its path."""
    declare_tables()
    known = [] if first else revisions()
    number = f"{len(known) + 1:04}"
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/facts.sqlite")
        if not first:
            migrate(db)
        with db.transaction() as connection:
            script = produce_migrations(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        db.close()
    assert isinstance(script.upgrade_ops, UpgradeOps)
    body = render_python_code(script.upgrade_ops, render_as_batch=not first, user_module_prefix=None)
    for pattern, word in TYPES:
        body = re.sub(pattern, word, body, flags=re.DOTALL)
    name = "first" if first else "_".join(re.findall(r"[a-z0-9]+", message.lower())[:5])
    path = FOLDER / "versions" / f"{number}_{name}.py"
    down = f'"{known[-1]}"' if known else "None"
    path.write_text(HEAD.format(message=message, revision=number, down=down, body=body.strip()))
    return path


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--first"]
    written = draft(words[0] if words else "The first schema", first="--first" in sys.argv)
    sys.stdout.write(f"{written}\n")
