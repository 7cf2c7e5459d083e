"""Arguments that come as text: from a request, a command line, a project file."""

from datetime import UTC, datetime

import pytest

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow.given import arguments_for
from modelloop.ground.flow.shape import Shape


def pipeline(as_of: datetime, until: datetime | None = None, name: str = "", *, seed: int) -> None:
    """Ask for times and a text."""


def test_a_text_becomes_a_time_only_where_a_time_is_asked_for() -> None:
    given = {"as_of": "2013-03-01T00:00:00Z", "until": "2013-04-01", "name": "2013-05-01"}
    found = arguments_for(Shape(pipeline), given, seed=3)
    assert found == {
        "as_of": datetime(2013, 3, 1, tzinfo=UTC),
        "until": datetime(2013, 4, 1, tzinfo=UTC),
        "name": "2013-05-01",
        "seed": 3,
    }


def test_what_is_no_time_is_refused_by_name() -> None:
    with pytest.raises(PipelineInvalid, match="'as_of' must be datetime; found 'soon'"):
        arguments_for(Shape(pipeline), {"as_of": "soon"}, seed=0)
