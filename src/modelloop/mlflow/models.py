"""Logged models: what a run's `log_model` makes, and what may later be registered."""

from __future__ import annotations

from collections.abc import Mapping

from ..ground.core.errors import InvalidInput
from ..ground.core.rights import Right
from ..train.tracking.actions import models as actions
from ..train.tracking.records import ModelState
from . import documents
from . import messages as m
from .documents import experiment_id
from .experiments import limit, tags_of
from .naming import some_name
from .replies import EMPTY, encode
from .routing import Call, Route, one_of

STATES: Mapping[str | int, ModelState] = {
    **{str(state): state for state in ModelState},
    **dict(enumerate(ModelState, start=1)),
}
MOST_MODELS = 1000


def create(call: Call) -> bytes:
    """Begin a logged model; its files follow, then `finalize`."""
    asked: m.CreateLoggedModel = call.message
    made = actions.create_model(
        call.ctx,
        experiment_id(asked.experiment_id),
        name=asked.name or some_name(),
        kind=asked.model_type or "",
        source_run=asked.source_run_id or None,
        params=tags_of(asked.params),
        tags=tags_of(asked.tags),
    )
    return encode({"model": documents.logged_model(made)})


def get(call: Call) -> bytes:
    """Look a logged model up."""
    asked: m.GetLoggedModel = call.message or m.GetLoggedModel()
    found = actions.get_model(call.ctx, call.words[0], deleted=bool(asked.allow_deleted))
    return encode({"model": documents.logged_model(found)})


def finalize(call: Call) -> bytes:
    """Say that all files of a logged model are there, or that they failed to come."""
    status = one_of(call.message.status, STATES, "status")
    if status is None:
        raise InvalidInput("Missing value for required parameter 'status'.")
    return encode({"model": documents.logged_model(actions.finalize_model(call.ctx, call.words[0], status))})


def delete(call: Call) -> bytes:
    """Put a logged model away."""
    actions.delete_model(call.ctx, call.words[0])
    return EMPTY


def set_tags(call: Call) -> bytes:
    """Put tags on a logged model."""
    actions.set_model_tags(call.ctx, call.words[0], tags_of(call.message.tags))
    return encode({"model": documents.logged_model(actions.get_model(call.ctx, call.words[0]))})


def delete_tag(call: Call) -> bytes:
    """Take a tag off a logged model."""
    actions.delete_model_tag(call.ctx, call.words[0], call.words[1])
    return EMPTY


def log_params(call: Call) -> bytes:
    """Give a logged model parameters."""
    actions.log_model_params(call.ctx, call.words[0], tags_of(call.message.params))
    return EMPTY


def search(call: Call) -> bytes:
    """Find logged models."""
    asked: m.SearchLoggedModels = call.message
    if not asked.experiment_ids:
        raise InvalidInput("Missing value for required parameter 'experiment_ids'.")
    found = actions.search_models(
        call.ctx,
        [experiment_id(one, "experiment_ids") for one in asked.experiment_ids],
        filter=asked.filter or "",
        datasets=[(one.dataset_name, one.dataset_digest) for one in asked.datasets or ()],
        order_by=[
            (one.field_name, one.ascending is not False, one.dataset_name, one.dataset_digest)
            for one in asked.order_by or ()
        ],
        limit=limit(asked.max_results, 50, MOST_MODELS),
        token=asked.page_token or None,
    )
    return documents.page("models", [documents.logged_model(one) for one in found.items], found.next_token)


ROUTES = (
    Route("POST", "logged-models", Right.RUN, m.CreateLoggedModel, answer=create),
    Route("POST", "logged-models/search", Right.READ, m.SearchLoggedModels, answer=search),
    Route("GET", "logged-models/{}", Right.READ, m.GetLoggedModel, answer=get),
    Route("PATCH", "logged-models/{}", Right.RUN, m.FinalizeLoggedModel, answer=finalize),
    Route("DELETE", "logged-models/{}", Right.RUN, answer=delete),
    Route("PATCH", "logged-models/{}/tags", Right.RUN, m.LoggedModelTags, answer=set_tags),
    Route("DELETE", "logged-models/{}/tags/{*}", Right.RUN, answer=delete_tag),
    Route("POST", "logged-models/{}/params", Right.RUN, m.LoggedModelParams, answer=log_params),
)
