"""Functions go to other processes by name: the module they are in, its file, and what they are called there.

No code is pickled. What has no name (local functions, lambdas, functions of a notebook) goes as source: `written`.
A script is run again by the process that needs its functions, as Python's own multiprocessing does, but only up to
where it asks for a crew: so a script without `if __name__ == "__main__":` works, too.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from ...ground.core.errors import InvalidInput, PipelineInvalid
from .shelf import Files, open_value
from .written import Writer, load_written

MAIN, AGAIN = "__main__", "__modelloop_main__"
loading: ContextVar[bool] = ContextVar("modelloop_loading_script", default=False)
"""Set while a script is run again for its functions."""


class FarEnough(BaseException):
    """Raised where a script that is run again asks for a crew: what it has defined so far is what is needed."""


def check_not_loading() -> None:
    """Called by whatever starts processes: within a script that is run again, the script ends here."""
    if loading.get():
        raise FarEnough


@dataclass(frozen=True, slots=True)
class Target:
    """Describes functions, for a shelf that takes what they carry along."""

    shelf: Files

    def describe(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return what `load` needs, JSON-ready; raises InvalidInput for what cannot be sent."""
        if isinstance(function, functools.partial):
            return {"partial": {
                "of": self.describe(function.func),
                "args": [self.carried(f"argument {place}", one) for place, one in enumerate(function.args)],
                "kwargs": {name: self.carried(name, one) for name, one in function.keywords.items()},
            }}  # fmt: skip
        named = named_of(function)
        if named is not None:
            return {"named": named}
        if not hasattr(function, "__code__") or hasattr(function, "__self__"):
            raise InvalidInput(
                f"{_shown(function)} cannot be sent to another process: it is an object, not a function.",
                hint="Write a function at the top of a module, and hand it what it needs as data={...}.",
            )
        return {"written": Writer(self.carried, importable).write(function, self.shelf.folder)}

    def carried(self, name: str, value: Any) -> dict[str, Any]:
        """Describe what a function carries: another function, a class, a module, or data."""
        if isinstance(value, ModuleType):
            return {"module": value.__name__}
        if isinstance(value, type) or (callable(value) and not hasattr(value, "__arrow_c_stream__")):
            return {"target": self.describe(value)}
        return {"value": self.shelf.put(name, value)}


def named_of(found: Any) -> dict[str, Any] | None:
    """Return where a function or class has its name, None where it has none."""
    module = sys.modules.get(getattr(found, "__module__", None) or "")
    if not importable(module):
        return None
    assert module is not None
    qualname = getattr(found, "__qualname__", "")
    with suppress(AttributeError):
        if attrgetter(qualname)(module) == found:
            return {"module": module_of(module), "name": qualname}
    name = next((name for name, value in vars(module).items() if value is found), None)
    return None if name is None else {"module": module_of(module), "name": name}


def importable(module: ModuleType | None) -> bool:
    """Say whether another process can load a module: a notebook or a prompt has no file."""
    if module is None:
        return False
    if module.__name__ != MAIN:
        return True
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).suffix in (".py", "") and Path(file).is_file()


def module_of(module: ModuleType) -> dict[str, Any]:
    """Return how a module is loaded elsewhere."""
    file = getattr(module, "__file__", None)
    told: dict[str, Any] = {"name": module.__name__, "file": None if file is None else str(Path(file).resolve())}
    spec = getattr(module, "__spec__", None)
    if module.__name__ == MAIN and spec is not None:  # python -m package.module
        told["package"] = spec.parent
    return told


def load(told: Mapping[str, Any], folder: Path) -> Any:
    """Return the function. Raises PipelineInvalid where it cannot be found here; what its module raises is raised."""
    ((kind, what),) = told.items()
    if kind == "named":
        return _named(what)
    if kind == "partial":
        args = [open_carried(one, folder) for one in what["args"]]
        kwargs = {name: open_carried(one, folder) for name, one in what["kwargs"].items()}
        return functools.partial(load(what["of"], folder), *args, **kwargs)
    return load_written(what, folder, lambda one: open_carried(one, folder), load_module)


def open_carried(told: Mapping[str, Any], folder: Path) -> Any:
    """Return what a function carries."""
    ((kind, what),) = told.items()
    if kind == "module":
        return importlib.import_module(what)
    return load(what, folder) if kind == "target" else open_value(what, folder)


def load_module(told: Mapping[str, Any]) -> ModuleType:
    """Import a module by its name, from its file where that name leads elsewhere; run a script again."""
    name, file = told["name"], told["file"]
    if name == MAIN:
        return _script(file, told.get("package"))
    with suppress(ModuleNotFoundError):
        module = importlib.import_module(name)
        own = getattr(module, "__file__", None)
        if file is None or (own is not None and Path(own).resolve() == Path(file)):
            return module
    if file is None:
        raise PipelineInvalid(f"There is no module {name!r} in another process.", hint="Put it into a file.")
    return _from_file(name, file)


def environment() -> dict[str, Any]:
    """Return what a process needs to import as this one does, JSON-ready."""
    return {"path": [str(Path(place).resolve()) if place == "" else place for place in sys.path], "argv": sys.argv}


def settle(told: Mapping[str, Any]) -> None:
    """Import as another process does."""
    sys.path[:] = [*told["path"], *(place for place in sys.path if place not in told["path"])]
    sys.argv[:] = told["argv"]


def read_job(folder: Path) -> dict[str, Any]:
    """Return what a crew has written down for its processes."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    return job


def write_job(folder: Path, job: Mapping[str, Any]) -> None:
    """Write down for the processes of a crew what they shall do."""
    (folder / "job.json").write_text(json.dumps(job))


def _named(what: Mapping[str, Any]) -> Any:
    module = load_module(what["module"])
    try:
        return attrgetter(what["name"])(module)
    except AttributeError as error:
        raise PipelineInvalid(
            f"{what['module']['file'] or what['module']['name']} has no {what['name']!r} in another process"
            + (", where it is run up to where it first starts processes." if module.__name__ == AGAIN else "."),
            hint='Define it at the top of the file, and put what starts the work under `if __name__ == "__main__":`.',
        ) from error


def _script(file: str, package: str | None) -> ModuleType:
    if AGAIN in sys.modules:
        return sys.modules[AGAIN]
    spec = importlib.util.spec_from_loader(AGAIN, importlib.machinery.SourceFileLoader(AGAIN, file), origin=file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = file
    if package is not None:
        module.__package__ = package
    sys.modules[AGAIN] = sys.modules[MAIN] = module
    token = loading.set(True)
    try:
        with suppress(FarEnough), redirect_stdout(io.StringIO()):
            spec.loader.exec_module(module)
    finally:
        loading.reset(token)
    return module


def _from_file(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PipelineInvalid(f"{file} is no module that another process can load.", hint="Put it into a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _shown(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)
