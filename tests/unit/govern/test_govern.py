"""The auditor's questions: is the log whole, and what stands behind an answer."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from modelloop.deploy import actions as deploy
from modelloop.govern.lineage import lineage
from modelloop.govern.verify import verify
from modelloop.ground.core.errors import AuditBroken, UnknownPrediction
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from served import ENDPOINT, make_project, put_version


def test_an_empty_log_verifies(ctx: Context) -> None:
    assert verify(ctx).entries == 0


def test_what_was_changed_afterwards_is_found(ctx: Context) -> None:
    put_version(ctx, 1)
    deploy.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="first")
    deploy.rollback(ctx, ENDPOINT, reason="no")
    whole = verify(ctx)
    assert whole.entries == 2
    assert len(whole.head) == 64
    with ctx.db.transaction() as connection:
        connection.execute(sa.update(audit.audit).where(audit.audit.c.seq == 1).values(actor="nobody"))
    with pytest.raises(AuditBroken, match="1"):
        verify(ctx)


def test_an_answer_nobody_gave_has_no_lineage(ctx: Context) -> None:
    with pytest.raises(UnknownPrediction):
        lineage(ctx, "pred_0")
