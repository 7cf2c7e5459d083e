"""Any Python model as MLflow's pyfunc writes it. Reading one runs its code: only in a child, after a person allowed it.

MLflow itself is used where it is installed. Without it, two kinds can be read: loaders of the model's own
(`loader_module` in its `code` folder, with `_load_pyfunc`), and classes that derive from `PythonModel`, for which a
module of the same name stands in while they are unpickled.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ....ground.core.errors import InvalidInput
from ....prepare.records import Columns
from . import sklearn
from .form import Given, Inputs, Loaded, frame, need_pickle

OWN = "mlflow.pyfunc.model"
"""The loader of classes that derive from PythonModel."""


def load(given: Given) -> Loaded:
    """Load a model by its own code; raises InvalidInput unless a person allowed that."""
    root = _root(given)
    loader = given.settings.get("loader_module", "")
    need_pickle(given, f"A model read by {loader or 'its own code'}")
    predict = _with_mlflow(root) if find_spec("mlflow") else _alone(root, loader, given)

    def answer(columns: Columns, inputs: Inputs) -> Any:
        return predict(frame(columns, inputs))

    return Loaded(answer=answer, graphs=_none, versions={"python": sys.version.split()[0]}, platform="python_function")


def _root(given: Given) -> Path:
    """Return the folder that holds the MLmodel: `data` of such a model is the folder itself."""
    return next((one for one in (given.path, *given.path.parents) if (one / "MLmodel").is_file()), given.path)


def _none(_: Columns, __: Inputs) -> Iterator[bytes]:
    """Yield nothing: code has no graph."""
    return iter(())


def _with_mlflow(root: Path) -> Callable[[Any], Any]:
    model = import_module("mlflow.pyfunc").load_model(str(root))
    predict: Callable[[Any], Any] = model.predict
    return predict


def _alone(root: Path, loader: str, given: Given) -> Callable[[Any], Any]:
    if loader == OWN:
        return _python_model(root, given)
    if loader.startswith("mlflow.") or not loader:
        raise InvalidInput(
            f"It is read by {loader or 'nothing that it names'}.", hint="Install MLflow beside Modelloop."
        )
    data = given.settings.get("data", "")
    read = getattr(import_module(loader), "_load_pyfunc", None)
    if read is None:
        raise InvalidInput(f"Its loader {loader} has no _load_pyfunc.")
    predict: Callable[[Any], Any] = read(str(root / data) if data else str(root)).predict
    return predict


def _python_model(root: Path, given: Given) -> Callable[[Any], Any]:
    """Return the predict of a class that derives from PythonModel, or of a plain function."""
    _stand_in()
    code = given.settings.get("model_code_path", "")
    if code:
        model = _from_code(root / Path(code).name)
    else:
        path = root / (given.settings.get("python_model") or "python_model.pkl")
        model = sklearn.unpickled(Given(path, given.settings, pickle=True))
    artifacts = {name: str(root / path) for name, path in json.loads(given.settings.get("artifacts", "{}")).items()}
    context = SimpleNamespace(artifacts=artifacts, model_config=None)
    if not hasattr(model, "predict"):
        if callable(model):
            function: Callable[[Any], Any] = model
            return function
        raise InvalidInput(f"{type(model).__name__} has no predict.")
    if hasattr(model, "load_context"):
        model.load_context(context)
    takes = list(inspect.signature(model.predict).parameters)
    with_context = len(takes) > 1 and takes[0] == "context"
    return lambda rows: model.predict(context, rows) if with_context else model.predict(rows)


def _from_code(path: Path) -> Any:
    """Run a model's script, and return what it gave to `mlflow.models.set_model`."""
    spec = spec_from_file_location("model_of_code", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InvalidInput(f"Its code {path.name[:80]!r} is not in the folder.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    given = sys.modules["mlflow.models"].__dict__.get("given")
    if given is None:
        raise InvalidInput(f"{path.name} never calls mlflow.models.set_model.")
    return given


def _stand_in() -> None:
    """Put modules in MLflow's place that hold what a model's class needs to be found: its parents."""

    class PythonModel:
        """What MLflow calls so."""

        def load_context(self, context: Any) -> None:
            """Do nothing."""

    class PythonModelContext(SimpleNamespace):
        """What MLflow calls so."""

    made = {name: ModuleType(name) for name in ("mlflow", "mlflow.pyfunc", OWN, "mlflow.models")}
    for name in ("mlflow.pyfunc", OWN):
        made[name].__dict__.update(PythonModel=PythonModel, PythonModelContext=PythonModelContext)
    models = made["mlflow.models"]
    models.__dict__["set_model"] = lambda model: models.__dict__.update(given=model)
    made["mlflow"].__dict__.update(pyfunc=made["mlflow.pyfunc"], models=models)
    made["mlflow.pyfunc"].__dict__["model"] = made[OWN]
    sys.modules.update(made)
