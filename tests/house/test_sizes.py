"""Files, functions and classes stay small; there is no waiver but a smaller file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from source import PACKAGE, ROOT, Function, Source, sources

FILE, TEST_FILE, FUNCTION, METHODS, NESTING, BROAD = 400, 600, 50, 15, 3, 3
FORBIDDEN = {
    *("util", "utils", "helper", "helpers", "common", "misc", "base", "manager", "managers"),
    *("handler", "handlers", "service", "services", "impl"),
}
# What is imported inside functions: optional or heavy libraries, each for the time it costs who does not need it.
INSIDE = {
    "src/modelloop/ground/store/migrate.py": {"alembic"},
    # a plain run on a local store does without SQLAlchemy
    "src/modelloop/app.py": {".ground.store.db", ".ground.store.migrate"},
    "src/modelloop/data/adapters/forest.py": {"sklearn"},
    "src/modelloop/data/adapters/postgres.py": {"adbc_driver_postgresql"},
    "src/modelloop/data/formats/excel.py": {"fastexcel"},
    "src/modelloop/ground/flow/values.py": {"numpy", "polars"},
    "src/modelloop/prepare/ops/foreign.py": {"..adapters", "..adapters.graph"},
    "src/modelloop/project_checks/data.py": {"..data.contract.rules"},  # Polars, only where a contract has conditions
    "src/modelloop/train/adapters/lightgbm.py": {"lightgbm", "onnxmltools"},
    "src/modelloop/train/adapters/foreign/lightgbm.py": {"onnxmltools"},
    "src/modelloop/train/adapters/foreign/sklearn.py": {"skl2onnx"},
    "src/modelloop/train/adapters/foreign/xgboost.py": {"onnxmltools"},
    "src/modelloop/train/adapters/xgboost.py": {"onnxmltools"},
    "src/modelloop/train/adapters/sklearn.py": {"sklearn", "skl2onnx"},
    "src/modelloop/train/container.py": {"polars"},
    # durable studies know SQLAlchemy; a search in memory does without
    "src/modelloop/train/search/opening.py": {"..studies.actions", "..studies.folder"},
    # `modelloop --help` opens no store, shows no table and prints no JSON
    # polars and the judges (onnxruntime): a worker that only looks around needs neither
    "src/modelloop/deploy/actions/erasing.py": {"..parts"},
    "src/modelloop/deploy/actions/intake.py": {"..parts"},
    "src/modelloop/deploy/actions/reading.py": {"..parts"},
    "src/modelloop/retrain/actions/advancing.py": {".settling"},
    "src/modelloop/cli/face.py": {"rich", ".desk", "..ground.replies"},
}
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def test_files_are_short() -> None:
    long = [
        f"{source.name}: {lines} lines, at most {limit}"
        for folder, limit in ((PACKAGE, FILE), (ROOT / "tests", TEST_FILE))
        for source in sources(folder)
        if (lines := source.text.count("\n")) > limit and not is_revision(source)
    ]
    assert not long, "\n" + "\n".join(long)


def test_functions_are_short() -> None:
    long = [
        f"{source.name}:{function.lineno} {function.name}: {lines} lines, at most {FUNCTION}"
        for source in sources(PACKAGE)
        for function in source.functions()
        if (lines := length(function)) > FUNCTION and not is_revision(source)
    ]
    assert not long, "\n" + "\n".join(long)


def is_revision(source: Source) -> bool:
    """A schema revision is a list: one operation a table, in one function, as Alembic wants it."""
    return "/migrations/versions/" in source.name


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_classes_have_few_public_methods() -> None:
    large = [
        f"{source.name}:{kind.lineno} {kind.name}: {count} public methods, at most {METHODS}"
        for source in sources(PACKAGE)
        for kind in source.classes()
        if (count := sum(isinstance(n, Function) and not n.name.startswith("_") for n in kind.body)) > METHODS
    ]
    assert not large, "\n" + "\n".join(large)


def test_blocks_are_not_nested_deeply() -> None:
    deep = [
        f"{source.name}:{function.lineno} {function.name}: {depth} deep, at most {NESTING}"
        for source in sources(PACKAGE)
        for function in source.functions()
        if (depth := nesting(function.body)) > NESTING
    ]
    assert not deep, "\n" + "\n".join(deep)


def nesting(body: list[ast.stmt]) -> int:
    return max((depth_of(statement) for statement in body), default=0)


def depth_of(statement: ast.stmt) -> int:
    if isinstance(statement, Function | ast.ClassDef):
        return 0  # counted by itself
    if not isinstance(statement, BLOCKS):
        return 0
    if isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        return max(1 + nesting(statement.body), depth_of(statement.orelse[0]))  # elif is no deeper than if
    inner: list[ast.stmt] = []
    for name in ("body", "orelse", "finalbody"):
        inner += getattr(statement, name, [])
    for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        inner += part.body
    return 1 + nesting(inner)


def test_broad_excepts_are_few_and_say_why() -> None:
    broad = [
        (source, handler)
        for source in sources(PACKAGE)
        for handler in ast.walk(source.tree)
        if isinstance(handler, ast.ExceptHandler) and is_broad(handler)
    ]
    silent = [f"{s.name}:{h.lineno}" for s, h in broad if not re.search(r"BLE001 - \w+", line(s, h.lineno))]
    assert not silent, "\n" + "\n".join(silent)
    assert len(broad) <= BROAD, "\n".join(f"{source.name}:{handler.lineno}" for source, handler in broad)


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Say whether it swallows whatever comes; one that raises it again at its end does not."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    names = (
        {"BaseException"} if handler.type is None else {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
    )
    return bool(names & {"Exception", "BaseException"})


def line(source: Source, number: int) -> str:
    return source.text.splitlines()[number - 1]


def test_imports_stand_at_the_top() -> None:
    inside = [
        f"{source.name}:{node.lineno} {word}"
        for source in sources(PACKAGE)
        for function in source.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for word in imported(node)
        if word not in INSIDE.get(source.name, set())
    ]
    assert not inside, "\n" + "\n".join(inside)


def test_the_list_of_inner_imports_has_no_leftovers() -> None:
    missing = [name for name in INSIDE if not (ROOT / name).exists()]
    assert not missing, "\n" + "\n".join(missing)


def imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom) and node.level:
        return {"." * node.level + (node.module or "")}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return {alias.name.split(".")[0] for alias in node.names}


def test_names_say_what_a_thing_is() -> None:
    vague = [
        f"{source.name}: {name}"
        for source in sources(PACKAGE)
        for name in (*Path(source.name).with_suffix("").parts, *(kind.name for kind in source.classes()))
        if words(name) & FORBIDDEN
    ]
    assert not vague, "\n" + "\n".join(vague)


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_no_shell_is_started() -> None:
    shells = [
        f"{source.name}:{call.lineno}"
        for source in sources(PACKAGE)
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call)
        and (any(k.arg == "shell" for k in call.keywords) or ast.unparse(call.func) in {"os.system", "os.popen"})
    ]
    assert not shells, "\n" + "\n".join(shells)


def test_nothing_is_unpickled_or_evaluated() -> None:
    loads = [
        f"{source.name}:{node.lineno} {text}"
        for source in sources(PACKAGE)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
        and re.match(
            r"(import|from) (pickle|cloudpickle|dill|joblib|marshal|shelve)\b|(eval|exec)\(", text := ast.unparse(node)
        )
    ]
    assert not loads, "\n" + "\n".join(loads)


def test_nothing_is_left_for_later() -> None:
    left = [
        f"{source.name}:{number}"
        for source in sources(PACKAGE)
        for number, text in enumerate(source.text.splitlines(), 1)
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b", text)
    ]
    assert not left, "\n" + "\n".join(left)
