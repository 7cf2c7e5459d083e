"""Exported resources of KServe and KEDA, by the schemas that those projects publish and the rules of their webhooks."""

from __future__ import annotations

import copy
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from crd_schemas import mistakes, scaler_mistakes
from deployed import publish, route
from modelloop.deploy.actions.exporting import export_deployment
from modelloop.deploy.exports.records import Files, Platform, Wish
from modelloop.deploy.records import Stage
from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.store.context import Context

MODELS = Wish(store="s3://models/late")
VERSION = "1.33"


def exported(ctx: Context, platform: Platform, wish: Wish = MODELS, stage: Stage = Stage.CANARY) -> Files:
    publish(ctx.blobs, route(ctx.blobs, stage))
    return export_deployment(ctx, "late_flights", platform, wish)


def manifest(files: Files, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files[name])
    return found


def service_of(files: Files) -> dict[str, Any]:
    return manifest(files, "manifests/inferenceservice.yaml")


def refused_by_the_webhook(service: dict[str, Any]) -> list[str]:
    """Return what validateCanarySpecs and validatePredictor refuse (KServe 0.20.0, inference_service_validation.go)."""
    canaries = service["spec"].get("canary", [])
    stable = service["spec"]["predictor"]
    found = []
    mode = service["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode")
    if canaries and mode != "Standard":
        found.append("canary is only supported in Standard deployment mode")
    names = [canary["predictor"].get("name") for canary in canaries]
    if None in names or len({*names, stable.get("name")}) != len(names) + 1:
        found.append("each canary needs a name of its own")
    for canary in canaries:
        fixed = canary["predictor"].keys() & {"maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "workerSpec"}
        found += [f"a canary must not set {name}" for name in sorted(fixed)]
        if canary["predictor"].get("minReplicas", 0) > stable.get("minReplicas", 1):
            found.append("a canary's minReplicas must not exceed the stable predictor's")
        if not 0 <= canary["trafficPercent"] <= 100:
            found.append("trafficPercent must be between 0 and 100")
    if sum(canary["trafficPercent"] for canary in canaries) > 100:
        found.append("the sum of trafficPercent must be <= 100")
    if stable["model"].get("name"):
        found.append("the name field is not allowed in a standard predictor")
    if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", service["metadata"]["name"]):
        found.append("the name of the InferenceService is invalid")
    return found


@pytest.mark.parametrize("stage", [Stage.CANARY, Stage.TEST, Stage.SHADOW, Stage.LIVE])
def test_kserve_takes_runtime_and_service(ctx: Context, stage: Stage) -> None:
    files = exported(ctx, Platform.KSERVE, stage=stage)
    runtime, service = manifest(files, "manifests/servingruntime.yaml"), service_of(files)
    assert mistakes(runtime) == []
    assert mistakes(service) == []
    assert refused_by_the_webhook(service) == []
    assert not any(
        one["name"] == "PYTHONPATH" for container in runtime["spec"]["containers"] for one in container["env"]
    ), "KServe's webhook refuses it (DefaultBlockedEnvVars)"
    pod = {"containers": runtime["spec"]["containers"], "volumes": runtime["spec"]["volumes"]}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}, VERSION, strict=True
    )


def test_runtime_and_service_go_together(ctx: Context) -> None:
    files = exported(ctx, Platform.KSERVE)
    runtime, service = manifest(files, "manifests/servingruntime.yaml"), service_of(files)
    formats = {(entry["name"], entry["version"]) for entry in runtime["spec"]["supportedModelFormats"]}
    predictors = [service["spec"]["predictor"], service["spec"]["canary"][0]["predictor"]]
    for predictor, number in zip(predictors, "12", strict=True):
        model = predictor["model"]
        assert predictor["name"] == f"v{number}", "what was the canary's name is the predictor's after a promotion"
        assert (model["modelFormat"]["name"], model["modelFormat"]["version"]) in formats
        assert model["runtime"] == runtime["metadata"]["name"]
        assert model["protocolVersion"] == "v2"
        assert model["storageUri"] == f"s3://models/late/{number}"
        assert any(name.startswith(f"models/{number}/") for name in files)
    assert service["spec"]["canary"][0]["trafficPercent"] == 25


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.APPROVAL])
def test_kserve_has_no_shadow(ctx: Context, stage: Stage) -> None:
    files = exported(ctx, Platform.KSERVE, stage=stage)
    assert "canary" not in service_of(files)["spec"]
    assert not any(name.startswith("models/2/") for name in files)
    assert f"in its {stage}: left out" in files["README.md"].decode()


def test_a_storage_of_kserve_has_no_options(ctx: Context) -> None:
    with pytest.raises(InvalidInput, match="not from options") as refused:
        exported(ctx, Platform.KSERVE, Wish(store="s3://models/late?region=us-east-1"))
    assert "--store s3://models/late." in refused.value.hint


def changed(value: dict[str, Any], at: tuple[Any, ...], to: Any) -> dict[str, Any]:
    made = copy.deepcopy(value)
    inner = made
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = to
    return made


@pytest.mark.parametrize(
    ("at", "to"),
    [
        (("spec", "canary", 0, "trafficPercent"), 101),
        (("spec", "canary", 0, "trafficPercent"), "25"),
        (("spec", "canary", 0, "weight"), 25),
        (("spec", "predictor", "name"), "V1"),
        (("spec", "predictor", "model", "storageURI"), "s3://models/late/1"),
        (("spec", "predictor", "scaleMetric"), "requests"),
        (("spec", "predictor", "minReplicas"), 1.5),
        (("spec", "predictors"), {}),
        (("metadata", "annotation"), {}),
        (("kind",), "inferenceservice"),
    ],
)
def test_the_schema_of_kserve_notices(ctx: Context, at: tuple[Any, ...], to: Any) -> None:
    service = service_of(exported(ctx, Platform.KSERVE))
    wrong = changed(service, at, to)
    if at == ("kind",):
        with pytest.raises(FileNotFoundError):
            mistakes(wrong)
    else:
        assert len(mistakes(wrong)) == 1


def test_the_webhook_notices_what_the_schema_cannot(ctx: Context) -> None:
    service = service_of(exported(ctx, Platform.KSERVE))
    wrong = changed(service, ("metadata", "annotations"), {})
    wrong = changed(wrong, ("spec", "canary", 0, "predictor", "maxReplicas"), 3)
    wrong["spec"]["canary"][0]["predictor"].pop("name")
    assert mistakes(wrong) == []
    assert len(refused_by_the_webhook(wrong)) == 3


def scaled_object(ctx: Context) -> dict[str, Any]:
    return manifest(exported(ctx, Platform.KUBERNETES, Wish()), "alternatives/keda.yaml")


def test_keda_takes_its_scaled_object(ctx: Context) -> None:
    made = scaled_object(ctx)
    assert mistakes(made) == []
    (trigger,) = made["spec"]["triggers"]
    assert list(scaler_mistakes(trigger)) == []
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert made["spec"]["minReplicaCount"] <= made["spec"]["maxReplicaCount"], "a rule of the CRD"
    assert len(f"keda-hpa-{made['metadata']['name']}") <= 63, "verifyName of KEDA's webhook"


@pytest.mark.parametrize(
    ("at", "to"),
    [
        (("spec", "triggers", 0, "metadata", "threshold"), 0.7),
        (("spec", "triggers", 0, "kind"), "prometheus"),
        (("spec", "scaleTargetRef", "deployment"), "late"),
        (("spec", "minReplicas"), 2),
        (("spec", "maxReplicaCount"), "10"),
        (("spec", "triggers"), {}),
    ],
)
def test_the_schema_of_keda_notices(ctx: Context, at: tuple[Any, ...], to: Any) -> None:
    assert len(mistakes(changed(scaled_object(ctx), at, to))) == 1


def test_the_scaler_notices(ctx: Context) -> None:
    (trigger,) = scaled_object(ctx)["spec"]["triggers"]
    trigger["metadata"]["metricName"] = trigger["metadata"].pop("query")
    assert list(scaler_mistakes(trigger)) == ["metricName is unknown", "query is missing"]
