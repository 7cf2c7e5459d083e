"""A dataset is scored piece by piece; what cannot be scored says why; what was cut off goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data import actions as data
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings
from modelloop.deploy.actions import scoring
from modelloop.deploy.actions.scoring import Wish, score_dataset
from modelloop.deploy.scoring import BY, ERROR, pieces
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound
from modelloop.ground.store.context import Context
from modelloop.prepare.columns import from_frame
from modelloop.register import actions as register
from modelloop.register.package import load
from modelloop.testing.fakes import make_context
from packages import make_candidate, make_evidence
from versioned import make

CONTRACT = ContractSettings(
    {
        "id": ColumnSettings(ColumnType.INTEGER),
        "delay": ColumnSettings(ColumnType.FLOAT, nullable=True),
        "distance": ColumnSettings(ColumnType.INTEGER, nullable=True),
        "carrier": ColumnSettings(ColumnType.STRING),
    },
    key=("id",),
)


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": list(range(count)),
            "delay": [None if i % 5 == 0 else i / 2 for i in range(count)],
            "distance": [100 + i for i in range(count)],
            "carrier": ["AA" if i % 2 else "UA" for i in range(count)],
        },
        schema_overrides={"delay": pl.Float64},
    )


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    context = make_context(tmp_path)
    register.register(context, "delay", make_candidate(), make_evidence())
    yield context
    context.db.close()


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 9))
def test_pieces_are_the_rows_in_order(heights: list[int], chunk: int) -> None:
    frame = pl.DataFrame({"n": range(sum(heights))}, schema={"n": pl.Int64})
    made = list(pieces(frame.lazy(), chunk))
    assert [row for piece in made for row in piece["n"]] == frame["n"].to_list()
    assert all(piece.height == chunk for piece in made[:-1])


def test_scores_are_those_of_the_package(ctx: Context) -> None:
    make(ctx, rows(23), dataset="flights", contract=CONTRACT)
    told: list[tuple[int, int]] = []
    made = score_dataset(ctx, Wish("delay:1", "flights", "scores", chunk=5, processes=2), lambda *now: told.append(now))
    assert (made.rows, made.failed, made.made, made.number) == (23, 0, 1, 1)
    assert told[0] == (0, 23)
    assert told[-1] == (23, 23)
    found = data.read(ctx, "scores").collect().sort("id")
    assert found.columns == ["id", "score", BY, ERROR]
    given_rows = rows(23)
    package = load(ctx.blobs, made.package)
    wanted = package.scorer.score(from_frame(given_rows, ["delay", "distance", "carrier"]))
    assert np.allclose(found["score"].to_numpy(), wanted)
    assert found[BY].unique().to_list() == ["delay:1"]
    assert data.version(ctx, "scores").message == f"delay:1 scored flights:1 ({made.id})"
    again = score_dataset(ctx, Wish("delay:1", "flights", "scores", chunk=5))
    assert again == made
    assert len(data.versions(ctx, "scores")) == 1


def test_a_row_that_cannot_be_scored_says_why(ctx: Context) -> None:
    frame = rows(12).with_columns(distance=pl.when(pl.col("id") == 7).then(None).otherwise(pl.col("distance")))
    make(ctx, frame, dataset="flights", contract=CONTRACT)
    made = score_dataset(ctx, Wish("delay:1", "flights:1", "scores", ("id", "carrier"), 4, 1))
    assert made.failed == 1
    found = data.read(ctx, "scores").collect().sort("id")
    assert found["score"].null_count() == 1
    assert "'distance' is missing" in str(found.row(7, named=True)[ERROR])
    assert found["carrier"].to_list() == frame["carrier"].to_list()


def test_a_scoring_that_was_cut_off_goes_on(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    make(ctx, rows(30), dataset="flights", contract=CONTRACT)
    wish = Wish("delay:1", "flights", "scores", chunk=5, processes=1)

    def cut(done: int, _rows: int) -> None:
        if done >= 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(ctx, wish, cut)
    assert [one.finished_at for one in scoring.scorings(ctx)] == [None]
    worked: list[int] = []
    real = scoring._keep
    monkeypatch.setattr(scoring, "_keep", lambda c, s, place, piece: worked.append(place) or real(c, s, place, piece))
    made = score_dataset(ctx, wish)
    assert 0 < len(worked) <= 3
    assert made.made == 1
    assert data.read(ctx, "scores").collect()["id"].sort().to_list() == list(range(30))


def test_wrong_wishes_are_refused_before_anything_is_done(ctx: Context) -> None:
    make(ctx, rows(3), dataset="flights", contract=CONTRACT)
    with pytest.raises(InvalidInput, match="into itself"):
        score_dataset(ctx, Wish("delay:1", "flights", "flights"))
    with pytest.raises(InvalidInput, match="no column 'weather'"):
        score_dataset(ctx, Wish("delay:1", "flights", "scores", keep=("weather",)))
    with pytest.raises(NotFound):
        score_dataset(ctx, Wish("delay:9", "flights", "scores"))
    with pytest.raises(NotFound):
        score_dataset(ctx, Wish("delay:1", "trains", "scores"))
    with pytest.raises(InvalidInput, match="Pieces of 0"):
        score_dataset(ctx, Wish("delay:1", "flights", "scores", chunk=0))
    assert scoring.scorings(ctx) == []
    assert issubclass(Conflict, Exception)
