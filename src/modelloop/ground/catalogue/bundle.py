"""From a function of a project to a package that another project can hold. Pure: source text in, source text out.

Nothing is imported: modules are found by their import statements. In the package their imports of each other are
relative, so it works under any name; everything else stays to the letter.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata

from ..core.errors import PipelineInvalid
from ..core.hashing import canonical_json, hash_json
from .records import Bundle

Read = Callable[[str], str | None]
"""Dotted module name -> its source in the project, None if it is no project module."""
HEADER = "# {title} ({digest}), taken over by `modelloop components take`. Change it there, not here.\n"


def collect(reference: str, read: Read) -> Bundle:
    """Return the source that `MODULE:FUNCTION` needs; raises PipelineInvalid where it is not to be found."""
    module, _, name = reference.partition(":")
    modules: dict[str, str] = {}
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if one in modules:
            continue
        text = read(one)
        if text is None:
            raise PipelineInvalid(f"{reference!r} is not to be found: the project has no module {one!r}.")
        modules[one] = text
        waiting += [found for found in _imported(_parse(one, text), one) if read(found) is not None]
    signature, doc = _described(_parse(module, modules[module]), module, name)
    return Bundle(reference, dict(sorted(modules.items())), signature, doc, _packages(modules))


def to_bytes(bundle: Bundle) -> bytes:
    """Return the bundle as canonical JSON; its hash names it."""
    return canonical_json(
        {
            "function": bundle.function,
            "modules": dict(bundle.modules),
            "signature": bundle.signature,
            "doc": bundle.doc,
            "packages": dict(bundle.packages),
        }
    )


def source_digest(bundle: Bundle) -> str:
    """Return the hash of what counts as its content: the function and the source, not the packages of the machine."""
    return hash_json([bundle.function, dict(bundle.modules)])


def files(bundle: Bundle, title: str, digest: str) -> dict[str, str]:
    """Return file name -> text of the package that holds the bundle; its `__init__` gives the function."""
    module, _, name = bundle.function.partition(":")
    head = HEADER.format(title=title, digest=digest[:12])
    made = {f"{one.replace('.', '_')}.py": head + _relative(one, bundle) for one in bundle.modules}
    doc = (bundle.doc or bundle.signature).replace("\\", "\\\\").replace('"""', "'''")
    made["__init__.py"] = f'{head}"""{doc}"""\n\nfrom .{module.replace(".", "_")} import {name} as {name}\n'
    return made


def _parse(module: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise PipelineInvalid(f"{module} cannot be read as Python: {error.msg} (line {error.lineno}).") from error


def _imported(tree: ast.Module, module: str) -> Iterator[str]:
    """Yield the dotted names that a module may import, those of `from x import y` as x and as x.y."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            start = _absolute(node, module)
            yield start
            for alias in node.names:
                yield f"{start}.{alias.name}" if start else alias.name


def _absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    above = module.split(".")[: -node.level]
    return ".".join([*above, *([node.module] if node.module else [])])


def _described(tree: ast.Module, module: str, name: str) -> tuple[str, str]:
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name not in functions:
        near = difflib.get_close_matches(name, functions, n=1)
        raise PipelineInvalid(
            f"{module} has no function {name!r}.",
            hint=f"Did you mean {module}:{near[0]}?" if near else f"It has: {', '.join(functions) or 'none'}.",
        )
    node = functions[name]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{name}({ast.unparse(node.args)}){returns}", ast.get_docstring(node) or ""


def _packages(modules: Mapping[str, str]) -> dict[str, str]:
    tops = {
        found.partition(".")[0] for one, text in modules.items() for found in _imported(_parse(one, text), one) if found
    }
    known = metadata.packages_distributions()
    names = {distribution for top in tops for distribution in known.get(top, ())}
    return {name: metadata.version(name) for name in sorted(names)}


def _relative(module: str, bundle: Bundle) -> str:
    """Return a module's source with its imports of the bundle's other modules made relative."""
    text = bundle.modules[module]
    lines = text.splitlines(keepends=True)
    found = [node for node in ast.walk(_parse(module, text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in sorted(found, key=lambda one: (one.lineno, one.col_offset), reverse=True):
        instead = _instead(node, module, bundle)
        if instead is not None:
            _replace(lines, node, instead)
    return "".join(lines)


def _instead(node: ast.Import | ast.ImportFrom, module: str, bundle: Bundle) -> str | None:
    if isinstance(node, ast.Import):
        ours = [alias for alias in node.names if alias.name in bundle.modules]
        return "; ".join(_import(alias, bundle) for alias in node.names) if ours else None
    start = _absolute(node, module)
    said = [_from(alias, start, bundle) for alias in node.names]
    whole = start in bundle.modules or any(f"{start}.{alias.name}" in bundle.modules for alias in node.names)
    return "; ".join(said) if whole else None


def _import(alias: ast.alias, bundle: Bundle) -> str:
    if alias.name not in bundle.modules:
        return f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
    if "." in alias.name and alias.asname is None:
        raise PipelineInvalid(
            f"`import {alias.name}` cannot be taken over: its name would change with the package's.",
            hint=f"Write `from {alias.name.rpartition('.')[0]} import {alias.name.rpartition('.')[2]}`.",
        )
    return f"from . import {alias.name.replace('.', '_')} as {alias.asname or alias.name}"


def _from(alias: ast.alias, start: str, bundle: Bundle) -> str:
    whole = f"{start}.{alias.name}" if start else alias.name
    if whole in bundle.modules:
        return f"from . import {whole.replace('.', '_')} as {alias.asname or alias.name}"
    as_name = f" as {alias.asname}" if alias.asname else ""
    return f"from .{start.replace('.', '_')} import {alias.name}{as_name}"


def _replace(lines: list[str], node: ast.Import | ast.ImportFrom, text: str) -> None:
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before = lines[first].encode()[: node.col_offset].decode()
    after = lines[last].encode()[node.end_col_offset :].decode()
    lines[first : last + 1] = [f"{before}{text}{after}", *([""] * (last - first))]
