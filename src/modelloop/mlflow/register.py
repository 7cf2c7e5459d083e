"""The register as MLflow's model registry: names, versions, aliases, tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..ground.core.errors import InvalidInput
from ..ground.core.rights import Right
from ..register import actions
from ..register.records import ModelVersion, RegisteredModel
from ..register.source import read_source
from ..train.tracking.actions import models
from . import documents
from . import messages as m
from .bodies import needs
from .experiments import limit, tags_of
from .replies import EMPTY, encode
from .routing import Absent, Call, Route

MOST_MODELS, MOST_VERSIONS = 1000, 200_000
NO_STAGE = "None"
PROMPT = "mlflow.prompt.is_prompt"
_OURS = frozenset({"", "file", "runs", "models", "mlflow-artifacts"})
"""Sources of these kinds are here, or nowhere: a path of one machine is no place for a version's bytes."""
_STAGES = (
    "Stages are not part of Modelloop's MLflow-compatible API (MLflow itself gave them up). Name the version by an "
    "alias instead: client.set_registered_model_alias(name, alias, version)."
)
_PROMPTS = "Prompts are not part of Modelloop's MLflow-compatible API: keep them in files beside your code."


def version_uri(version: ModelVersion) -> str:
    """Return where a version's own files are: its name in hexadecimal, so that no name is read as a path."""
    return f"{documents.SCHEME}{documents.VERSIONS}/{version.model.encode().hex()}/{version.number}"


def model(found: RegisteredModel, newest: ModelVersion | None) -> dict[str, Any]:
    """Return a registered model."""
    return {
        "name": found.name,
        "creation_timestamp": found.made_ms,
        "last_updated_timestamp": found.changed_ms,
        "description": found.description,
        "latest_versions": [version(newest)] if newest else [],
        "tags": documents.pairs(found.tags),
        "aliases": [{"alias": alias, "version": str(number)} for alias, number in found.aliases.items()],
    }


def version(found: ModelVersion) -> dict[str, Any]:
    """Return a version."""
    told = {
        "name": found.model,
        "version": str(found.number),
        "creation_timestamp": found.made_ms,
        "last_updated_timestamp": found.changed_ms or found.made_ms,
        "description": found.description,
        "user_id": found.made_by,
        "current_stage": NO_STAGE,
        "source": found.source or version_uri(found),
        "run_id": found.run or "",
        "run_link": "",
        "status": found.status,
        "tags": documents.pairs(found.tags),
        "aliases": list(found.aliases),
    }
    return told | ({"model_id": found.model_id} if found.model_id else {})


def number(text: str | int | None) -> int:
    """Return the number of a version; raises InvalidInput."""
    word = needs(text, "version")
    if not (word.isascii() and word.isdecimal() and int(word[:10]) > 0 and len(word) < 10):
        raise InvalidInput(f"Parameter 'version' must be an integer, got {word[:40]!r}.", hint="Expected 1, 2, 3, ...")
    return int(word)


def create(call: Call) -> bytes:
    """Make a name."""
    asked: m.CreateRegisteredModel = call.message
    tags = tags_of(asked.tags)
    _refuse_prompts(tags)
    made = actions.create_model(call.ctx, needs(asked.name, "name"), description=asked.description or "", tags=tags)
    return encode({"registered_model": model(made, None)})


def get(call: Call) -> bytes:
    """Look a name up."""
    name = needs(call.message.name, "name")
    return encode({"registered_model": model(actions.get_model(call.ctx, name), actions.latest(call.ctx, name))})


def rename(call: Call) -> bytes:
    """Give a model another name."""
    asked: m.RenameRegisteredModel = call.message
    new = needs(asked.new_name, "new_name")
    renamed = actions.rename_model(call.ctx, needs(asked.name, "name"), new)
    return encode({"registered_model": model(renamed, actions.latest(call.ctx, new))})


def update(call: Call) -> bytes:
    """Describe a model."""
    asked: m.UpdateRegisteredModel = call.message
    name = needs(asked.name, "name")
    changed = actions.update_model(call.ctx, name, description=asked.description or "")
    return encode({"registered_model": model(changed, actions.latest(call.ctx, name))})


def delete(call: Call) -> bytes:
    """Delete a model with its versions."""
    actions.delete_model(call.ctx, needs(call.message.name, "name"), why="asked by an MLflow client")
    return EMPTY


def search(call: Call) -> bytes:
    """Find models."""
    asked: m.Search = call.message or m.Search()
    found = actions.search_models(
        call.ctx,
        filter=asked.filter or "",
        order_by=asked.order_by or (),
        limit=limit(asked.max_results, 100, MOST_MODELS),
        token=asked.page_token or None,
    )
    told = [model(one, actions.latest(call.ctx, one.name)) for one in found.items]
    return documents.page("registered_models", told, found.next_token)


def latest(call: Call) -> bytes:
    """Return the newest version: without stages there is one."""
    asked: m.ModelName = call.message
    if any(stage.lower() not in ("none", "") for stage in asked.stages or ()):
        raise Absent(_STAGES)
    newest = actions.latest(call.ctx, needs(asked.name, "name"))
    return encode({"model_versions": [version(newest)] if newest else []})


def set_tag(call: Call) -> bytes:
    """Put a tag on a model."""
    asked: m.RegisteredTag = call.message
    actions.set_model_tag(call.ctx, needs(asked.name, "name"), needs(asked.key, "key"), asked.value or "")
    return EMPTY


def delete_tag(call: Call) -> bytes:
    """Take a tag off a model."""
    asked: m.RegisteredTag = call.message
    actions.delete_model_tag(call.ctx, needs(asked.name, "name"), needs(asked.key, "key"))
    return EMPTY


def set_alias(call: Call) -> bytes:
    """Let an alias name a version."""
    asked: m.Alias = call.message
    alias = needs(asked.alias, "alias")
    actions.set_alias(call.ctx, needs(asked.name, "name"), alias, number(asked.version), why="set by an MLflow client")
    return EMPTY


def drop_alias(call: Call) -> bytes:
    """Take an alias away."""
    asked: m.Alias = call.message
    actions.drop_alias(call.ctx, needs(asked.name, "name"), needs(asked.alias, "alias"), why="by an MLflow client")
    return EMPTY


def by_alias(call: Call) -> bytes:
    """Return what an alias names."""
    asked: m.Alias = call.message
    name, alias = needs(asked.name, "name"), needs(asked.alias, "alias")
    if alias not in actions.get_model(call.ctx, name).aliases:  # MLflow says so where the model is there
        raise InvalidInput(f"Registered model alias {alias[:80]!r} not found.", hint=f"{name} has no such alias.")
    return encode({"model_version": version(actions.by_alias(call.ctx, name, alias))})


def create_version(call: Call) -> bytes:
    """Register a folder of files as the next version."""
    asked: m.CreateVersion = call.message
    tags = tags_of(asked.tags)
    _refuse_prompts(tags)
    source = needs(asked.source, "source")
    meant = read_source(source)
    if meant.kind == "elsewhere" and urlsplit(source).scheme.lower() in _OURS:
        raise InvalidInput(
            f"Invalid model version source: {source[:200]!r} names nothing here.",
            hint="Log the model first, and register runs:/RUN/PATH or models:/MODEL_ID.",
        )
    model_id = asked.model_id or (meant.id if meant.kind == "model" else None)
    run_id = asked.run_id or (models.get_model(call.ctx, model_id, deleted=True).source_run if model_id else None)
    made = actions.create_version(
        call.ctx,
        needs(asked.name, "name"),
        source=source,
        run_id=run_id,
        description=asked.description or "",
        tags=tags,
        model_id=model_id,
    )
    return encode({"model_version": version(made)})


def get_version(call: Call) -> bytes:
    """Look a version up."""
    return encode({"model_version": version(_version(call))})


def update_version(call: Call) -> bytes:
    """Describe a version."""
    asked: m.Version = call.message
    name, which = needs(asked.name, "name"), number(asked.version)
    changed = actions.update_version(call.ctx, name, which, description=asked.description or "")
    return encode({"model_version": version(changed)})


def delete_version(call: Call) -> bytes:
    """Delete a version that nothing rests on; aliases that named it go."""
    asked: m.Version = call.message
    name, which = needs(asked.name, "name"), number(asked.version)
    actions.delete_version(call.ctx, name, which, why="asked by an MLflow client", force=True)
    return EMPTY


def download_uri(call: Call) -> bytes:
    """Return where a version's own files are; those that were never here are where the client said."""
    found = _version(call)
    elsewhere = found.source and read_source(found.source).kind == "elsewhere"
    return encode({"artifact_uri": found.source if elsewhere else version_uri(found)})


def search_versions(call: Call) -> bytes:
    """Find versions."""
    asked: m.Search = call.message or m.Search()
    found = actions.search_versions(
        call.ctx,
        filter=asked.filter or "",
        order_by=asked.order_by or (),
        limit=limit(asked.max_results, 10_000, MOST_VERSIONS),
        token=asked.page_token or None,
    )
    return documents.page("model_versions", [version(one) for one in found.items], found.next_token)


def set_version_tag(call: Call) -> bytes:
    """Put a tag on a version."""
    asked: m.RegisteredTag = call.message
    name, which = needs(asked.name, "name"), number(asked.version)
    actions.set_version_tag(call.ctx, name, which, needs(asked.key, "key"), asked.value or "")
    return EMPTY


def delete_version_tag(call: Call) -> bytes:
    """Take a tag off a version."""
    asked: m.RegisteredTag = call.message
    name, which = needs(asked.name, "name"), number(asked.version)
    actions.delete_version_tag(call.ctx, name, which, needs(asked.key, "key"))
    return EMPTY


def _version(call: Call) -> ModelVersion:
    asked: m.Version = call.message
    return actions.of_number(call.ctx, needs(asked.name, "name"), number(asked.version))


def _refuse_prompts(tags: Mapping[str, str]) -> None:
    if tags.get(PROMPT, "").lower() == "true":
        raise Absent(_PROMPTS)


_NAMES, _OF = "registered-models/", "model-versions/"
ROUTES = (
    Route("POST", _NAMES + "create", Right.RUN, m.CreateRegisteredModel, exists=True, answer=create),
    Route("GET", _NAMES + "get", Right.READ, m.ModelName, answer=get),
    Route("POST", _NAMES + "rename", Right.RUN, m.RenameRegisteredModel, exists=True, answer=rename),
    Route("PATCH", _NAMES + "update", Right.RUN, m.UpdateRegisteredModel, answer=update),
    Route("DELETE", _NAMES + "delete", Right.DEPLOY, m.ModelName, answer=delete),
    Route("GET", _NAMES + "search", Right.READ, m.Search, answer=search),
    Route("POST", _NAMES + "get-latest-versions", Right.READ, m.ModelName, answer=latest),
    Route("GET", _NAMES + "get-latest-versions", Right.READ, m.ModelName, answer=latest),
    Route("POST", _NAMES + "set-tag", Right.RUN, m.RegisteredTag, answer=set_tag),
    Route("DELETE", _NAMES + "delete-tag", Right.RUN, m.RegisteredTag, answer=delete_tag),
    Route("POST", _NAMES + "alias", Right.DEPLOY, m.Alias, answer=set_alias),
    Route("DELETE", _NAMES + "alias", Right.DEPLOY, m.Alias, answer=drop_alias),
    Route("GET", _NAMES + "alias", Right.READ, m.Alias, answer=by_alias),
    Route("POST", _OF + "create", Right.RUN, m.CreateVersion, answer=create_version),
    Route("GET", _OF + "get", Right.READ, m.Version, answer=get_version),
    Route("PATCH", _OF + "update", Right.RUN, m.Version, answer=update_version),
    Route("DELETE", _OF + "delete", Right.DEPLOY, m.Version, answer=delete_version),
    Route("GET", _OF + "get-download-uri", Right.READ, m.Version, answer=download_uri),
    Route("GET", _OF + "search", Right.READ, m.Search, answer=search_versions),
    Route("POST", _OF + "set-tag", Right.RUN, m.RegisteredTag, answer=set_version_tag),
    Route("DELETE", _OF + "delete-tag", Right.RUN, m.RegisteredTag, answer=delete_version_tag),
    Route("POST", _OF + "transition-stage", Right.DEPLOY, m.Version, absent=_STAGES),
)
