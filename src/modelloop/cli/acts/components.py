"""The work of `modelloop components`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.text import Text

from ... import app
from ...ground.catalogue import actions
from ...ground.store.context import Context
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table


def listing(desk: Desk, *, place: Path | None) -> Answer:
    """List components."""
    with _catalogue(desk, place) as ctx:
        found = actions.components(ctx)
    newest = {one.name: one for one in found}
    rows = [(one.name, one.version, one.signature, one.project, one.by, one.at) for one in newest.values()]
    shown = table(("component", "version", "signature", "from", "by", "at"), rows, empty="nothing is published yet")
    return Answer({"components": found}, printed(shown))


def show(desk: Desk, *, name: str, place: Path | None) -> Answer:
    """Show one component."""
    title, _, version = name.partition(":")
    with _catalogue(desk, place) as ctx:
        found = actions.component(ctx, title, version or None)
        every = [one.version for one in actions.components(ctx, title)]
        source = actions.source(ctx, found)
    packages = ", ".join(f"{package} {number}" for package, number in found.packages.items())
    told = (
        ("component", found.title),
        ("function", found.signature),
        ("published", f"{found.at:%Y-%m-%d} by {found.by}, project {found.project}"),
        ("versions", ", ".join(every)),
        ("made with", packages or "the standard library"),
    )
    parts = [facts(told), Text(found.doc)]
    for module, text in source.modules.items():
        parts += [Text(f"\n{module}", style="bold"), Text(text)]
    data = {"component": found, "versions": every, "modules": dict(source.modules)}
    return Answer(data, printed(*parts))


def publish(desk: Desk, *, function: str, name: str, version: str) -> Answer:
    """Publish a function."""
    project = desk.project.project.name
    made = actions.publish(desk.ctx, desk.project_dir, function, name=name, version=version, project=project)
    told = (("published", made.title), ("function", made.signature), ("modules", ", ".join(made.modules)))
    return Answer(made, printed(facts(told)))


def take(desk: Desk, *, name: str, place: Path | None, force: bool) -> Answer:
    """Take a component over."""
    title, _, version = name.partition(":")
    with _catalogue(desk, place) as ctx:
        found = actions.component(ctx, title, version or None)
        folder = actions.take(ctx, found, desk.project_dir, force=force)
    function = found.function.partition(":")[2]
    use = f"from {actions.FOLDER}.{folder.name} import {function}"
    told = (("taken over", found.title), ("folder", folder), ("use it", use))
    return Answer({"component": found, "folder": str(folder), "use": use}, printed(facts(told)))


def check(desk: Desk, *, place: Path | None) -> Answer:
    """Check what was taken over."""
    with _catalogue(desk, place) as ctx:
        found = actions.taken(ctx, desk.project_dir)
    rows = [(one.name, one.version, ", ".join(one.changed) or "as published", one.newer) for one in found]
    shown = table(("component", "version", "changed by hand", "newer"), rows, empty="nothing was taken over")
    return Answer({"taken": found}, printed(shown), code=int(any(one.changed for one in found)))


@contextmanager
def _catalogue(desk: Desk, place: Path | None) -> Iterator[Context]:
    """Open the catalogue of this project's store, or of another project's."""
    if place is None:
        yield desk.ctx
        return
    ctx = app.open_context(app.find_project(place))
    try:
        yield ctx
    finally:
        ctx.db.close()
