"""Find good hyper-parameters: the one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

from ..domains import Space
from ..parallel.crew import Crew, Objective, crew_for
from ..records import Study, Sureness
from ..studies.records import Declared, Ledger
from . import space as spaces
from .asked import Options, Plan, planned
from .choosing import Chooser
from .descending import descended
from .earlier import before
from .opening import ledger_for
from .result import nothing_found, ordered, ranked, scores, study
from .running import Conductor, Repeats, Trials
from .showing import shown
from .surer import sureness


def search(
    objective: Objective | Any,
    space: Space,
    *,
    trials: int,
    seed: int,
    direction: str | Sequence[str] | Mapping[str, str],
    metric: str | Sequence[str] = "",
    method: str = "tpe",
    **options: Unpack[Options],
) -> Study:
    """Call `objective` with parameters from `space` at most `trials` times and return all that was tried.

    `objective` gets a `Trying`: a mapping of the parameters with `.seed`, `.data` and `.report(step, value)`. It
    returns a number, or one for each of several metrics: `direction={"auc": "higher", "ms": "lower"}`.
    `direction` is `higher` or `lower`. `method` is `tpe`, `random`, `grid` (which ends early when the grid is done),
    `gp`, `cmaes`, `nsga2` (for several metrics), or `gradient` (`objective` is then a problem of `train.gradients`).
    The same seed asks for the same parameters as long as the objective answers the same and trials run one at a time.
    An answer that is not finite, and whatever the objective raises, makes a failed trial; when all fail, or the first
    five alike, EvidenceMissing tells what the first said. Keywords beyond these: see `Options`.

        space = {"num_leaves": integer(7, 63, log=True), "learning_rate": real(0.02, 0.3, log=True)}
        study = search(fit, space, trials=50, seed=1, direction="higher", metric="auc", confirm=5)
        best = study.params
        print(study.text())

    With `store` and `name` every trial is kept as it ends. The same call again goes on where it was, after a kill too,
    and two processes that make the same call at once share the trials.
    """
    plan = planned(space, trials=trials, seed=seed, direction=direction, metric=metric, method=method, options=options)
    name = options.get("name", "")
    with ledger_for(options.get("store"), name) as (ledger, ctx):
        declared = ledger.open(_declared(plan, name, before(plan, ctx)))
        chooser = None if plan.method == "gradient" else Chooser(plan, declared)
        with shown(plan, options, chooser.budget if chooser else plan.trials) as tell:
            conductor = Conductor(plan, ledger, chooser, tell)
            if chooser is None:
                return _descend(objective, plan, ledger, conductor, name)
            return _searched(objective, plan, ledger, conductor, options)


def _searched(objective: Objective, plan: Plan, ledger: Ledger, conductor: Conductor, options: Options) -> Study:
    with _crew(objective, plan, options, conductor) as crew:
        conductor.run(Trials(plan, ledger, conductor), crew)
        own = ordered(conductor.entries)
        if not any(entry.trial.state == "done" for entry in own):
            raise nothing_found(plan, own) from conductor.cause
        sure = _confirmed(plan, ledger, conductor, crew, options) if not conductor.out_of_time else None
    return study(plan, conductor.entries, name=options.get("name", ""), ended=conductor.ended, sure=sure)


def _descend(problem: Any, plan: Plan, ledger: Ledger, conductor: Conductor, name: str) -> Study:
    ended = descended(problem, plan, ledger, conductor)
    return study(plan, conductor.entries, name=name, ended=ended)


def _declared(plan: Plan, name: str, taken: Sequence[Mapping[str, Any]]) -> Declared:
    return Declared(
        name=name,
        method=plan.method,
        metrics=plan.metrics,
        directions=plan.directions,
        space=tuple(spaces.to_json(plan.space)),
        seed=plan.seed,
        pruner=plan.pruner,
        before=tuple(taken),
    )


@contextmanager
def _crew(objective: Objective, plan: Plan, options: Options, conductor: Conductor) -> Iterator[Crew]:
    given = options.get("crew")
    if given is not None:
        yield given
        return
    made = crew_for(
        objective,
        processes=options.get("processes", 1),
        executor=options.get("executor", "local"),
        data=options.get("data"),
        heard=conductor.hear,
        time_limit=plan.trial_limit,
    )
    try:
        yield made
    finally:
        made.close()


def _confirmed(plan: Plan, ledger: Ledger, conductor: Conductor, crew: Crew, options: Options) -> Sureness | None:
    """Try the best few again, or have them judged; None: that was not asked for, or gave nothing."""
    asked = plan.confirm
    if asked is None:
        return None
    usable = [entry for entry in ordered(conductor.entries) if entry.trial.state == "done"]
    best = ranked(plan, usable)[: asked.best]
    trials = {entry.trial.number: entry.trial for entry in usable}
    nths = range(asked.first, asked.first + asked.repeats)
    wanted = [(trials[number], nth) for nth in nths for number in best]
    if asked.judge is None:
        conductor.run(Repeats(plan, ledger, conductor, wanted, nths), crew)
    else:
        judging: Options = {**options, "crew": None}  # type: ignore[typeddict-item]
        with _crew(asked.judge, plan, judging, conductor) as judges:
            conductor.run(Repeats(plan, ledger, conductor, wanted, nths), judges)
    found = scores(conductor.entries, dict.fromkeys(best, nths))
    return sureness(found, asked=asked, sign=plan.signs[0], metric=plan.metrics[0])
