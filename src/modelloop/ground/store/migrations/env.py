"""What Alembic runs: the revisions, on the connection and in the transaction that `migrate` hands in."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    compare_type=True,
    render_as_batch=True,
)
context.run_migrations()
