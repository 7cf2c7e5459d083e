"""Names of a package that are loaded when they are first asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from modelloop.ground.core.later import on_demand

PACKAGES = ("modelloop", "modelloop.deploy.actions", "modelloop.register.actions")


@pytest.mark.parametrize("name", PACKAGES)
def test_whatever_a_package_promises_is_there(name: str) -> None:
    package = import_module(name)
    for promised in package.__all__:
        assert getattr(package, promised) is not None, promised


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_not_there_is_told_as_python_does(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module {name!r} has no attribute 'nonsense'"):
        _ = import_module(name).nonsense


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    package = import_module("modelloop.ground.core")
    monkeypatch.delattr(package, "utc", raising=False)
    get = on_demand("modelloop.ground.core", {".clock": ("utc",)})
    try:
        found = get("utc")
        assert package.__dict__["utc"] is found is import_module("modelloop.ground.core.clock").utc
    finally:
        package.__dict__.pop("utc", None)


def test_a_rollback_loads_few_of_the_verbs() -> None:
    """Asked in a process of its own: what is loaded here was loaded by others."""
    code = (
        "import sys; from modelloop.deploy.actions import rollback; "
        "print(*sorted(name for name in sys.modules if name.startswith('modelloop.deploy.actions.')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "modelloop.deploy.actions.steering" in told
    assert "modelloop.deploy.actions.watching" not in told
    assert "modelloop.deploy.actions.online" not in told
