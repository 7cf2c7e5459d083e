"""What `modelloop init` writes: a small project that works."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import MappingProxyType

from .evaluate.settings import Task
from .ground.core.errors import Conflict
from .ground.core.ids import check_name

_TEMPLATES = Path(__file__).parent / "cli" / "templates"
_FILES = MappingProxyType(
    {
        "modelloop.toml": "modelloop.toml.tpl",
        "steps.py": "steps.py.tpl",
        ".gitignore": "gitignore.tpl",
        "README.md": "README.md.tpl",
    }
)
_KEPT = "landing/data/.gitkeep"
_WORDS: Mapping[Task, Mapping[str, str]] = MappingProxyType(
    {
        Task.BINARY: MappingProxyType(
            {
                "question": "Will it happen?",
                "metric": "auc",
                "metrics": "auc, log_loss or brier",
                "meaning": "Of one case where it happened and one where it did not: how often the first scores higher.",
                "type": "float",
                "range": ", min = 0, max = 1",
                "margin": "0.02",
                "tolerance": "0.0001",
                "bound": "0.7",
                "model": "LGBMClassifier",
                "loss": "log_loss",
                "validation": "log_loss(recent[LABEL].to_numpy(), model.predict_proba(later)[:, 1], labels=[0, 1])",
            }
        ),
        Task.REGRESSION: MappingProxyType(
            {
                "question": "How much will it be?",
                "metric": "mae",
                "metrics": "mae, rmse or r2",
                "meaning": "How far a prediction is off, on average, in the unit of the target.",
                "type": "float",
                "range": "",
                "margin": "0.1",
                "tolerance": "0.001",
                "bound": "5.0",
                "model": "LGBMRegressor",
                "loss": "mean_absolute_error",
                "validation": "mean_absolute_error(recent[LABEL].to_numpy(), model.predict(later))",
            }
        ),
        Task.MULTICLASS: MappingProxyType(
            {
                "question": "Which of them will it be?",
                "metric": "macro_f1",
                "metrics": "macro_f1, accuracy, log_loss, auc_ovr or top_k",
                "meaning": "How surely each class is found, and how rarely it is named wrongly: the mean over classes.",
                "type": "string",
                "range": "",
                "margin": "0.02",
                "tolerance": "0.0001",
                "bound": "0.7",
                "model": "LGBMClassifier",
                "loss": "log_loss",
                "validation": "log_loss(recent[LABEL].to_list(), model.predict_proba(later), labels=model.classes_)",
            }
        ),
    }
)


TASKS = tuple(_WORDS)
"""Tasks that a new project can have from the start."""


def scaffold(folder: Path, name: str, *, task: Task) -> list[Path]:
    """Write a project into `folder` and return the files, in reading order; raises Conflict if any of them is there.

    Nothing is written unless everything can be. `name` names project, model and endpoint (IdInvalid if it cannot).
    """
    check_name(name, "project")
    words = {**_WORDS[task], "name": name, "task": str(task)}
    files = {folder / file: _filled(template, words) for file, template in _FILES.items()}
    files[folder / _KEPT] = ""
    taken = [path for path in files if path.exists() or path.is_symlink()]
    if taken:
        raise Conflict(
            f"{folder} already has {', '.join(path.relative_to(folder).as_posix() for path in taken)}.",
            hint="Nothing was written. Choose another folder, or move these files away.",
            detail={"files": [str(path) for path in taken]},
        )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:  # x: refuses what came in between
            file.write(text)
    return list(files)


def _filled(template: str, words: Mapping[str, str]) -> str:
    return Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
