"""A store of MLflow comes in: experiments, runs with their own ids, logged models, files, the register. And the proof.

Every piece is looked at before it is written: what is here already as it is there is left alone. So an import that was
killed goes on where it was, and one that is repeated changes nothing.

Names: an experiment or registered model whose name is here already is the same one: what is new comes to it. It keeps
its own number, times and state; where tags, a run's state, or the version an alias names differ, the source wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

from ..ground.core.errors import Conflict, InvalidInput, NotFound
from ..ground.store.context import Context
from ..train.tracking import actions as tracking
from ..train.tracking.actions import taking
from ..train.tracking.records import (
    Batch,
    Experiment,
    Lifecycle,
    LoggedModel,
    Metric,
    Owner,
    Param,
    Tag,
    TrackedRun,
)
from . import proof
from .copying import Copies
from .records import Compared, ForeignModel, ForeignRun, ForeignStore, Imported
from .registering import take_registered

REFUSED = (InvalidInput, Conflict, NotFound)
"""What one thing that cannot come in raises: it is named, and the others come."""
_AT_ONCE = 10_000
_NAMED = 5
"""So many of what is only worth a note are named."""
Tell = Callable[[str], None]
_Pair = tuple[proof.Seen, proof.Seen | None]
"""As it is there, and here."""


def import_store(ctx: Context, store: ForeignStore, tell: Tell = lambda _text: None) -> Imported:
    """Bring everything in and compare both sides; `tell` hears what is being done. Raises where the store cannot be
    read or ours cannot be written; then it is called again."""
    report = Imported(store.name)
    copies = Copies(ctx, store, report)
    counts = _Counts()
    for found in store.experiments():
        tell(f"experiment {found.name}")
        number = _experiment(ctx, found, report, counts)
        if number is not None:
            _content(ctx, store, (found.id, number), copies, counts)
    tell("registered models")
    take_registered(ctx, store, report, counts.add)
    report.lines += counts.lines()
    report.lines.append(Compared("files", copies.there, copies.here, copies.equal))
    if copies.folderless:
        some = ", ".join(copies.folderless[:_NAMED])
        report.notes.append(f"{len(copies.folderless)} runs have no folder of artifacts: {some}.")
    met = {line.what: line.there for line in report.lines}
    for what, count in store.totals().items():
        if met.get(what, 0) != count:
            report.differs.append(
                f"{what}: the store counts {count}, and {met.get(what, 0)} of them belong to anything"
            )
    for what, count in store.not_taken().items():
        report.notes.append(f"{count} {what} have no place here and were left where they are.")
    return report


class _Counts:
    """Counts on either side, by kind, in the order in which kinds were met."""

    def __init__(self) -> None:
        self._there: Counter[str] = Counter()
        self._here: Counter[str] = Counter()
        self._equal: Counter[str] = Counter()

    def add(self, what: str, there: proof.Seen, here: proof.Seen | None) -> list[str]:
        """Count one thing of a kind and all that it holds; return in what the two differ."""
        differs = there.differs(here) if here is not None else ["it is not here"]
        self._there[what] += 1
        self._here[what] += here is not None
        self._equal[what] += not differs
        for part, count in there.counts.items():
            other = here.counts.get(part, 0) if here is not None else 0
            self._there[part] += count
            self._here[part] += other
            self._equal[part] += min(count, other) if not differs or count != other else count
        return differs

    def lines(self) -> list[Compared]:
        """Return the table."""
        return [Compared(what, count, self._here[what], self._equal[what]) for what, count in self._there.items()]


def _experiment(ctx: Context, found: Experiment, report: Imported, counts: _Counts) -> int | None:
    """Return the number of an experiment here, or None where nothing can come into it."""
    try:
        number, made = taking.take_experiment(ctx, found, came_from=report.source)
    except REFUSED as error:
        report.differs.append(f"experiment {found.name!r}: {error}")
        counts.add("experiments", proof.experiment(found, merged=True, tags=()), None)
        return None
    here = tracking.get_experiment(ctx, number)
    if made:
        report.wrote("experiments")
    there_seen = proof.experiment(found, merged=not made, tags=found.tags)
    differs = counts.add("experiments", there_seen, proof.experiment(here, merged=not made, tags=found.tags))
    report.differs += [f"experiment {found.name!r}: {part}" for part in differs]
    if here.lifecycle is Lifecycle.DELETED and found.lifecycle is Lifecycle.ACTIVE:
        report.differs.append(f"experiment {found.name!r}: it was deleted here. Restore it, then import once more.")
        return None
    return number


def _content(ctx: Context, store: ForeignStore, numbers: tuple[int, int], copies: Copies, counts: _Counts) -> None:
    """Bring in the runs and logged models of one experiment."""
    there, here = numbers
    report = copies.report
    for run in store.runs(there):
        one = replace(run, run=replace(run.run, experiment=here))
        seen: _Pair
        try:
            seen = _run(ctx, store, one, there, copies)
        except REFUSED as error:
            report.differs.append(f"run {one.run.id}: {error}")
            seen = (proof.run(one.run, store.metrics(one.run), {}), None)
        _counted(report, counts, ("runs", f"run {one.run.id}"), seen)
        report.digests[one.run.id] = (seen[0].digest, seen[1].digest if seen[1] else "")
    for model in store.models(there):
        mine = replace(model, model=replace(model.model, experiment=here))
        try:
            seen = _model(ctx, mine, there, copies)
        except REFUSED as error:
            report.differs.append(f"logged model {mine.model.id}: {error}")
            seen = (proof.model(mine.model, {}), None)
        _counted(report, counts, ("logged models", f"logged model {mine.model.id}"), seen)


def _counted(report: Imported, counts: _Counts, words: tuple[str, str], seen: _Pair) -> None:
    what, name = words
    report.differs += [f"{name}: {part}" for part in counts.add(what, *seen)]


def _run(
    ctx: Context, store: ForeignStore, one: ForeignRun, experiment: int, copies: Copies
) -> tuple[proof.Seen, proof.Seen]:
    """Bring one run in; return it as it is there, and as it is here afterwards."""
    run, owner = one.run, Owner("run", one.run.id)
    before = _run_here(ctx, run.id, copies)
    if before is not None:
        there = proof.run(run, store.metrics(run), copies.looked_at(owner, one.place, experiment))
        if not there.differs(before):
            return there, before
    if taking.take_run(ctx, run) is None:
        copies.report.wrote("runs")
    else:
        copies.report.wrote("runs changed")
    _fill(ctx, run, store.metrics(run), copies.report)
    taking.take_links(ctx, run)
    files = copies.copied(owner, one.place, experiment)
    taking.settle_run(ctx, run, one.deleted_ms)
    after = _run_here(ctx, run.id, copies)
    assert after is not None
    return proof.run(run, store.metrics(run), files), after


def _fill(ctx: Context, run: TrackedRun, metrics: Iterable[Metric], report: Imported) -> None:
    """Write params, tags and the history; what cannot be kept is named, everything else is written."""
    batches = [Batch(run.id, params=[Param(name, value)]) for name, value in run.params.items()]
    batches += [Batch(run.id, tags=[Tag(name, value)]) for name, value in run.tags.items()]
    points = iter(metrics)
    while part := list(islice(points, _AT_ONCE)):
        whole = Batch(run.id, metrics=part)
        if tracking.apply(ctx, [whole], limits=False) != [None]:
            batches += [Batch(run.id, metrics=[point]) for point in part]
    for start in range(0, len(batches), _AT_ONCE):
        answers = tracking.apply(ctx, batches[start : start + _AT_ONCE], limits=False)
        report.differs += [f"run {run.id}: {answer}" for answer in answers if answer is not None]


def _run_here(ctx: Context, run_id: str, copies: Copies) -> proof.Seen | None:
    """Return a run as it is here."""
    try:
        run = tracking.get_run(ctx, run_id)
    except NotFound:
        return None
    return proof.run(run, taking.all_metrics(ctx, run_id, list(run.metrics)), copies.here_of(Owner("run", run_id)))


def _model(ctx: Context, one: ForeignModel, experiment: int, copies: Copies) -> tuple[proof.Seen, proof.Seen]:
    """Bring one logged model in; return it as it is there, and as it is here afterwards."""
    model, owner = one.model, Owner("model", one.model.id)
    before = _model_here(ctx, model, copies)
    if before is not None:
        there = proof.model(model, copies.looked_at(owner, one.place, experiment))
        if not there.differs(before):
            return there, before
    copies.report.wrote("logged models" if before is None else "logged models changed")
    taking.take_model(ctx, model)
    files = copies.copied(owner, one.place, experiment)
    taking.settle_model(ctx, model)
    after = _model_here(ctx, model, copies)
    assert after is not None
    return proof.model(model, files), after


def _model_here(ctx: Context, model: LoggedModel, copies: Copies) -> proof.Seen | None:
    try:
        found = tracking.get_model(ctx, model.id, deleted=True)
    except NotFound:
        return None
    return proof.model(found, copies.here_of(Owner("model", model.id)))
