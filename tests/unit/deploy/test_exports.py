"""Exports of a deployment: valid where schemas judge them, the same each time, without secrets or machine paths."""

from __future__ import annotations

import ast
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deployed import live, publish, route
from modelloop.cli.acts.deployments import write
from modelloop.deploy.actions.exporting import carry, export_deployment
from modelloop.deploy.exports.oci import locked
from modelloop.deploy.exports.plain_yaml import to_yaml
from modelloop.deploy.exports.records import Files, Platform, Wish
from modelloop.deploy.gateway.options import read_options
from modelloop.deploy.records import Lookup, Stage
from modelloop.deploy.table import decode_table
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.register.package import load

STORE = "s3://models/flights?endpoint=http://objects:8333&region=us-east-1&allow_http=true"
ENDPOINT = "late_flights"
VERSIONS = ("1.31", "1.33")


def exported(ctx: Context, platform: Platform, wish: Wish | None = None, stage: Stage = Stage.CANARY) -> Files:
    publish(ctx.blobs, route(ctx.blobs, stage))
    return export_deployment(ctx, ENDPOINT, platform, wish or Wish())


def documents(files: Files, folder: str = "") -> dict[str, dict[str, Any]]:
    return {
        name: yaml.safe_load(data) for name, data in files.items() if name.startswith(folder) and name.endswith(".yaml")
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "wish", [Wish(), Wish(store=STORE, claim="predictions", image="registry/gateway@sha256:" + "0" * 64)]
)
def test_kubernetes_takes_every_manifest(ctx: Context, wish: Wish, version: str) -> None:
    found = documents(exported(ctx, Platform.KUBERNETES, wish))
    for name, manifest in found.items():
        if not name.endswith("keda.yaml"):  # a resource of KEDA's own
            kubernetes_validate.validate(manifest, version, strict=True)
    kinds = {manifest["kind"] for manifest in found.values()}
    assert kinds >= {
        *("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"),
    }


def test_the_schema_would_notice(ctx: Context) -> None:
    deployment = documents(exported(ctx, Platform.KUBERNETES))["manifests/deployment.yaml"]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["prot"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


def test_the_pod_is_nobody_special(ctx: Context) -> None:
    found = documents(exported(ctx, Platform.KUBERNETES, Wish(store=STORE)))
    pod = found["manifests/deployment.yaml"]["spec"]["template"]["spec"]
    (gateway,) = pod["containers"]
    guard = gateway["securityContext"]
    assert guard["readOnlyRootFilesystem"]
    assert guard["runAsNonRoot"]
    assert guard["capabilities"] == {"drop": ["ALL"]}
    assert not guard["allowPrivilegeEscalation"]
    assert not pod["automountServiceAccountToken"]
    assert {gateway[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")} == {"/v2/health/ready"}
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert pod["terminationGracePeriodSeconds"] > 5 + 5 + 10, "preStop, drain, and what is in flight"
    assert gateway["envFrom"] == [
        {"configMapRef": {"name": "late-flights"}},
        {"secretRef": {"name": "late-flights-store"}},
    ]
    assert "Secret" not in {manifest["kind"] for manifest in found.values()}, "secrets are referred to, never written"
    egress = found["manifests/network-policy.yaml"]["spec"]["egress"]
    assert egress[-1] == {"ports": [{"port": 8333, "protocol": "TCP"}]}


def test_selectors_lead_to_the_pods(ctx: Context) -> None:
    found = documents(exported(ctx, Platform.KUBERNETES), "manifests/")
    labels = found["manifests/deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        found["manifests/deployment.yaml"]["spec"]["selector"]["matchLabels"],
        found["manifests/service.yaml"]["spec"]["selector"],
        found["manifests/pod-disruption-budget.yaml"]["spec"]["selector"]["matchLabels"],
        found["manifests/network-policy.yaml"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    target = found["manifests/horizontalpodautoscaler.yaml"]["spec"]["scaleTargetRef"]["name"]
    assert target == found["manifests/deployment.yaml"]["metadata"]["name"]


@pytest.mark.parametrize("wish", [Wish(), Wish(store=STORE)])
def test_the_gateway_understands_what_the_pod_tells_it(ctx: Context, wish: Wish) -> None:
    (gateway,) = documents(exported(ctx, Platform.KUBERNETES, wish))["manifests/deployment.yaml"]["spec"]["template"][
        "spec"
    ]["containers"]
    options = read_options(gateway["args"])
    assert options.allow_remote
    assert options.port == gateway["ports"][0]["containerPort"]
    assert options.no_report == (wish.store is None)


def instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(" ", 1)[0], re.sub(r"\s+", " ", line.split(" ", 1)[1])) for line in lines]


def test_the_image_is_built_of_what_is_there_by_hash(ctx: Context) -> None:
    files = exported(ctx, Platform.OCI)
    found = instructions(files["Dockerfile"].decode())
    words = [word for word, _ in found]
    assert "ADD" not in words
    assert {rest.split(" AS ")[0] for word, rest in found if word == "FROM"} == {"${BASE}"}
    assert ("ARG", "BASE") in found, "no default: whoever builds pins it"
    assert any("@sha256:" in rest and "exit 1" in rest for word, rest in found if word == "RUN")
    installs = [rest for word, rest in found if word == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in rest and "--no-deps" in rest for rest in installs)
    for word, rest in found:
        if word == "COPY" and not rest.startswith("--from"):
            source = rest.split()[0]
            assert any(name == source or name.startswith(source + "/") for name in files), source
    last = max(place for place, word in enumerate(words) if word == "FROM")
    users = [(place, rest) for place, (word, rest) in enumerate(found) if word == "USER" and place > last]
    assert [rest for _, rest in users] == ["10001:10001"]
    assert set(words[users[0][0] + 1 :]) == {"ENTRYPOINT", "CMD"}


def test_the_image_starts_a_gateway_on_what_it_carries(ctx: Context) -> None:
    files = exported(ctx, Platform.OCI)
    found = dict(instructions(files["Dockerfile"].decode()))
    assert ast.literal_eval(found["ENTRYPOINT"]) == ["python", "-m", "modelloop.deploy.gateway"]
    options = read_options(ast.literal_eval(found["CMD"]))
    assert options.blobs == "file:///deployment"
    assert options.no_report
    assert "app/modelloop/deploy/gateway/__main__.py" in files
    assert not any("__pycache__" in name or "/demo/" in name for name in files)


def test_every_requirement_of_the_image_has_a_hash() -> None:
    lines = [line for line in locked().decode().replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    assert {"onnxruntime", "obstore", "uvicorn"} <= {line.partition("==")[0] for line in lines}
    assert all("==" in line and "--hash=sha256:" in line for line in lines)
    assert not {"sqlalchemy", "polars", "starlette"} & {line.partition("==")[0] for line in lines}
    lock = (Path(__file__).parents[3] / "requirements" / "test.txt").read_text()
    pinned = {line.split(" ")[0] for line in lock.splitlines() if "==" in line}
    assert {line.split(" ")[0] for line in lines} <= pinned, "the same versions as everywhere"


@pytest.mark.parametrize(("platform", "folder"), [(Platform.OCI, "deployment"), (Platform.RAY_SERVE, "deployment")])
def test_what_is_carried_can_be_loaded_and_is_checked(
    ctx: Context, tmp_path: Path, platform: Platform, folder: str
) -> None:
    write(exported(ctx, platform), tmp_path / "out")
    blobs = Blobs((tmp_path / "out" / folder).as_uri())
    table = decode_table(blobs.read_document("routing/table.json"))
    (carried,) = table.routes
    assert (table.generation, carried.stage, carried.share) == (7, Stage.CANARY, 0.25)
    for arm in (carried.champion, carried.challenger):
        assert arm is not None
        load(blobs, arm.package).golden()


def test_ray_serve_gets_a_module_and_its_configuration(ctx: Context) -> None:
    files = exported(ctx, Platform.RAY_SERVE)
    module = ast.parse(files["late_flights_app.py"])
    names = {
        target.id
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    config = documents(files)["serve_config.yaml"]
    (application,) = config["applications"]
    assert application["import_path"] == "late_flights_app:app"
    assert "app" in names
    kinds = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    assert {deployment["name"] for deployment in application["deployments"]} == kinds


@pytest.mark.parametrize("platform", list(Platform))
def test_the_same_table_gives_the_same_bytes(ctx: Context, platform: Platform) -> None:
    wish = Wish(store="s3://models/late")
    assert exported(ctx, platform, wish) == exported(ctx, platform, wish)


@pytest.mark.parametrize("platform", list(Platform))
def test_nothing_of_this_machine_goes_out(
    ctx: Context, platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-key-0123456789")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0123456789")
    files = exported(ctx, platform, Wish(store="s3://models/late"))
    secret = [
        b"very-secret-key",
        b"AKIA0123",
        str(tmp_path).encode(),
        str(Path.home()).encode() + b"/",
        socket.gethostname().encode(),
    ]
    for name, data in files.items():
        if not name.startswith("app/"):  # our own source
            assert not [word for word in secret if word in data], name
        assert not name.startswith("/")
        assert ".." not in name


@pytest.mark.parametrize(
    ("store", "found"),
    [
        ("file:///srv/blobs", "no object store"),
        ("s3://me:key@bucket", "no object store"),
        ("s3://bucket?secret_access_key=x", "holds keys"),
    ],
)
def test_a_store_of_this_machine_or_with_keys_is_refused(ctx: Context, store: str, found: str) -> None:
    with pytest.raises(InvalidInput, match=found):
        exported(ctx, Platform.KUBERNETES, Wish(store=store))


def test_what_cannot_be_carried_is_refused(ctx: Context) -> None:
    looked_up = replace(live(route(ctx.blobs)), features=(Lookup("weather", ("origin",), ("wind",)),))
    publish(ctx.blobs, looked_up)
    with pytest.raises(InvalidInput, match="online tables"):
        export_deployment(ctx, ENDPOINT, Platform.OCI, Wish())
    assert export_deployment(ctx, ENDPOINT, Platform.KUBERNETES, Wish(store=STORE))


def test_an_unknown_endpoint_is_named(ctx: Context) -> None:
    with pytest.raises(NotFound, match="published"):
        carry(ctx, ENDPOINT)
    publish(ctx.blobs, route(ctx.blobs))
    with pytest.raises(NotFound, match="Did you mean 'late_flights'"):
        carry(ctx, "late_flight")
    with pytest.raises(InvalidInput, match="--store"):
        export_deployment(ctx, ENDPOINT, Platform.KSERVE, Wish())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_yaml_is_read_as_it_was_meant(value: dict[str, Any]) -> None:
    if value:
        assert yaml.safe_load(to_yaml(value)) == value
