"""The verbs of tracking: experiments, runs, logging, searching, artifacts, logged models, and runs of pipelines."""

from __future__ import annotations

from .experiments import (
    create_experiment,
    delete_experiment,
    delete_experiment_tag,
    ensure_experiment,
    find_experiment,
    get_experiment,
    rename_experiment,
    restore_experiment,
    set_experiment_tag,
)
from .inputs import datasets_of, log_inputs, log_outputs
from .logging import apply, log_batch
from .mirror import project
from .models import (
    create_model,
    delete_model,
    delete_model_tag,
    finalize_model,
    get_model,
    log_model_params,
    models_of_run,
    search_models,
    set_model_tags,
)
from .runs import (
    create_run,
    delete_run,
    delete_tag,
    get_run,
    get_runs,
    history,
    history_of_many,
    restore_run,
    revision_of,
    set_tags,
    update_run,
)
from .searching import find_runs, search_experiments

__all__ = [
    "apply",
    "create_experiment",
    "create_model",
    "create_run",
    "datasets_of",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_model",
    "delete_model_tag",
    "delete_run",
    "delete_tag",
    "ensure_experiment",
    "finalize_model",
    "find_experiment",
    "find_runs",
    "get_experiment",
    "get_model",
    "get_run",
    "get_runs",
    "history",
    "history_of_many",
    "log_batch",
    "log_inputs",
    "log_model_params",
    "log_outputs",
    "models_of_run",
    "project",
    "rename_experiment",
    "restore_experiment",
    "restore_run",
    "revision_of",
    "search_experiments",
    "search_models",
    "set_experiment_tag",
    "set_model_tags",
    "set_tags",
    "update_run",
]
