"""Write docs/reference.md from the code: `python tests/draft_reference.py`. A house test holds it equal."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"
MODULES = {
    "modelloop": "What a project's steps are made of. Outside of a run they do nothing but what the function does.",
    "modelloop.prepare.transform": "The one preparation of training and serving.",
    "modelloop.prepare.ops": "The features a transform can make.",
    "modelloop.prepare.recipe": "From tables to training rows, as data.",
    "modelloop.prepare.columns": "From Polars to the columns a transform reads.",
    "modelloop.prepare.pointintime": "Features of what was known at a moment.",
    "modelloop.prepare.leak": "Proof that a feature uses nothing from the future.",
    "modelloop.prepare.split": "Training and holdout.",
    "modelloop.prepare.separation": "What training and holdout must not share.",
    "modelloop.train.domains": "What a hyper-parameter may be.",
    "modelloop.train.search": "Hyper-parameters.",
    "modelloop.train.gradients": "Hyper-parameters by their gradients.",
    "modelloop.evaluate.report": "Everything that rows say of a model.",
    "modelloop.evaluate.decisions": "From which score on to act.",
    "modelloop.evaluate.calibration": "Whether a score is a probability.",
    "modelloop.train.candidate": "What a training pipeline hands over.",
    "modelloop.client": "Talking to a control process.",
}


def render() -> str:
    """Return the page."""
    lines = ["# Reference: the names a project uses", "", "Generated from the code by `tests/draft_reference.py`.", ""]
    for name, purpose in MODULES.items():
        module = importlib.import_module(name)
        lines += [f"## {name}", "", purpose, ""]
        lines += [f"- {entry(public, getattr(module, public))}" for public in names(module)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def names(module: object) -> list[str]:
    """Return what the module publishes: `__all__`, or what it defines without an underscore."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(name for name in listed if callable(getattr(module, name)) and not name.endswith("Op"))
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
        if getattr(value, "__module__", "").startswith(getattr(module, "__name__", ""))
    ]
    lower = [name for name in own if name.islower()]
    return sorted(lower + [name for name in own if not name.islower()])


def entry(name: str, value: object) -> str:
    """Return `name(signature)`: and the first sentence of its docstring."""
    summary = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    try:
        shown = [str(p.replace(annotation=p.empty)) for p in inspect.signature(value).parameters.values()]  # type: ignore[arg-type]
        signature = f"({', '.join(shown)})"
    except (TypeError, ValueError):
        signature = ""
    return f"`{name}{signature}`: {summary}"


if __name__ == "__main__":
    REFERENCE.write_text(render())
