"""Experiments, as MLflow clients ask for them."""

from __future__ import annotations

from ..ground.core.errors import InvalidInput, NotFound
from ..ground.core.rights import Right
from ..train.tracking.actions import experiments as actions
from ..train.tracking.actions import inputs, searching
from ..train.tracking.records import MAX_SEARCH_PAGE, View
from . import documents
from . import messages as m
from .bodies import needs
from .documents import experiment_id
from .replies import EMPTY, encode
from .routing import Call, Route, one_of

VIEWS = {
    "ACTIVE_ONLY": View.ACTIVE,
    "DELETED_ONLY": View.DELETED,
    "ALL": View.ALL,
    1: View.ACTIVE,
    2: View.DELETED,
    3: View.ALL,
}
MOST_DATASETS = 20
MOST_SUMMARIES = 1000


def limit(value: int | None, default: int, most: int) -> int:
    """Return how many are asked for; raises InvalidInput beyond 1 to `most`."""
    count = default if value is None else value
    if not 1 <= count <= most:
        raise InvalidInput(f"Invalid value {count} for parameter 'max_results'.", hint=f"Expected 1 to {most}.")
    return count


def tags_of(given: list[m.Pair] | None) -> dict[str, str]:
    """Return tags or parameters by key; the last of a key holds."""
    return {pair.key: pair.value or "" for pair in given or ()}


def create(call: Call) -> bytes:
    """Make an experiment."""
    asked: m.CreateExperiment = call.message
    if asked.artifact_location:
        raise InvalidInput(
            f"artifact_location={asked.artifact_location[:200]!r} was given.",
            hint="Where bytes are kept comes from Modelloop's settings only: leave artifact_location out.",
        )
    made = actions.create_experiment(call.ctx, needs(asked.name, "name"), tags=tags_of(asked.tags))
    return encode({"experiment_id": str(made)})


def get(call: Call) -> bytes:
    """Look an experiment up."""
    found = actions.get_experiment(call.ctx, experiment_id(call.message.experiment_id))
    return encode({"experiment": documents.experiment(found)})


def get_by_name(call: Call) -> bytes:
    """Look an experiment up by its name."""
    name = needs(call.message.experiment_name, "experiment_name")
    found = actions.find_experiment(call.ctx, name)
    if found is None:
        raise NotFound(f"There is no experiment named {name[:80]!r}.", hint="`search_experiments` lists all.")
    return encode({"experiment": documents.experiment(found)})


def update(call: Call) -> bytes:
    """Rename an experiment."""
    asked: m.UpdateExperiment = call.message
    actions.rename_experiment(call.ctx, experiment_id(asked.experiment_id), needs(asked.new_name, "new_name"))
    return EMPTY


def delete(call: Call) -> bytes:
    """Put an experiment away, with its runs."""
    actions.delete_experiment(call.ctx, experiment_id(call.message.experiment_id))
    return EMPTY


def restore(call: Call) -> bytes:
    """Bring an experiment back."""
    actions.restore_experiment(call.ctx, experiment_id(call.message.experiment_id))
    return EMPTY


def set_tag(call: Call) -> bytes:
    """Put a tag on an experiment."""
    asked: m.ExperimentTag = call.message
    key = needs(asked.key, "key")
    actions.set_experiment_tag(call.ctx, experiment_id(asked.experiment_id), key, asked.value or "")
    return EMPTY


def delete_tag(call: Call) -> bytes:
    """Take a tag off an experiment."""
    asked: m.ExperimentTag = call.message
    actions.delete_experiment_tag(call.ctx, experiment_id(asked.experiment_id), needs(asked.key, "key"))
    return EMPTY


def search(call: Call) -> bytes:
    """Find experiments."""
    asked: m.SearchExperiments = call.message
    found = searching.search_experiments(
        call.ctx,
        filter=asked.filter or "",
        order_by=asked.order_by or (),
        view=one_of(asked.view_type, VIEWS, "view_type", View.ACTIVE),
        limit=limit(asked.max_results, 1000, MAX_SEARCH_PAGE),
        token=asked.page_token or None,
    )
    return documents.page("experiments", [documents.experiment(one) for one in found.items], found.next_token)


def datasets(call: Call) -> bytes:
    """List the datasets that runs of experiments were given."""
    ids = [experiment_id(one, "experiment_ids") for one in call.message.experiment_ids or ()]
    if len(ids) > MOST_DATASETS:
        raise InvalidInput(f"{len(ids)} experiment_ids were given.", hint=f"At most {MOST_DATASETS}.")
    told = [
        {"experiment_id": str(experiment), "name": name, "digest": digest} | ({"context": context} if context else {})
        for experiment, name, digest, context in inputs.datasets_of(call.ctx, ids)[:MOST_SUMMARIES]
    ]
    return encode({"dataset_summaries": told} if told else {})


ROUTES = (
    Route("POST", "experiments/create", Right.RUN, m.CreateExperiment, exists=True, answer=create),
    Route("GET", "experiments/get", Right.READ, m.ExperimentId, answer=get),
    Route("GET", "experiments/get-by-name", Right.READ, m.ExperimentName, answer=get_by_name),
    Route("POST", "experiments/update", Right.RUN, m.UpdateExperiment, exists=True, answer=update),
    Route("POST", "experiments/delete", Right.RUN, m.ExperimentId, answer=delete),
    Route("POST", "experiments/restore", Right.RUN, m.ExperimentId, answer=restore),
    Route("POST", "experiments/set-experiment-tag", Right.RUN, m.ExperimentTag, answer=set_tag),
    Route("POST", "experiments/delete-experiment-tag", Right.RUN, m.ExperimentTag, answer=delete_tag),
    Route("POST", "experiments/search", Right.READ, m.SearchExperiments, answer=search),
    Route("GET", "experiments/search", Right.READ, m.SearchExperiments, answer=search),
    Route("POST", "experiments/search-datasets", Right.READ, m.ExperimentIds, answer=datasets),
)
