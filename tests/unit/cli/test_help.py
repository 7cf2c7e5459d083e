"""Help must stay cheap: what is heavy is imported by the command that uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

from modelloop.cli import face
from modelloop.cli.entry import COMMANDS, HIDDEN

HEAVY = (
    "sqlalchemy",
    "alembic",
    "polars",
    "numpy",
    "starlette",
    "uvicorn",
    "httpx",
    "jinja2",
    "orjson",
    "obstore",
    "msgspec",
)
PROBE = """
import json, sys
from modelloop.cli import main
code = main(json.loads(sys.argv[1]))
print(json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["data", "show", "--help"], ["run", "--help"], ["demo", "--help"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, json.dumps(words)], capture_output=True, text=True, check=True)
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0
    assert done.stdout.strip()
    assert not set(HEAVY) & set(told["modules"])


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS.values()] + list(HIDDEN.values()))
def test_every_command_exists(path: str) -> None:
    module, _, name = path.partition(":")
    assert getattr(import_module(module), name).__doc__ or name in (
        "app",
        "predictions",
        "rollouts",
        "rollout",
        "runs",
        "models",
        "monitor",
        "episodes",
        "audit",
    )


def test_every_act_exists_and_takes_what_its_command_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands name their acts in text; call each command and bind what it gives to the act's signature."""
    import inspect  # noqa: PLC0415

    called: list[str] = []

    def bound(target: str, _face: face.Face, **arguments: object) -> int:
        module, _, name = target.partition(":")
        inspect.signature(getattr(import_module(f"modelloop.cli.acts.{module}"), name)).bind(object(), **arguments)
        called.append(target)
        return 0

    for module in ("data", "demo", "look", "processes", "start", "steer"):
        commands = import_module(f"modelloop.cli.commands.{module}")
        monkeypatch.setattr(commands, "act", bound)
        for name, function in vars(commands).items():
            if inspect.isfunction(function) and function.__module__ == commands.__name__:
                required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
                positional = ["x" for p in required if p.kind is p.POSITIONAL_ONLY]
                function(*positional, **{p.name: "x" for p in required if p.kind is p.KEYWORD_ONLY})
                assert called, name
    assert len(set(called)) == len(called) >= 25
