"""`modelloop data`: what was brought in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ...data.settings import Format as Written
from ..face import act
from ..options import PLAIN, Limit, Options

Number1 = Annotated[int, Parameter(validator=Number(gte=1, lte=10**9))]

app = App(name="data", help="Datasets: what came in, its versions and branches, what was set aside, what is let go.")


@app.default
def listing(*, face: Options = PLAIN) -> int:
    """List datasets with their newest version."""
    return act("data:listing", face)


app.command(listing, name="list")


@app.command
def show(name: str, /, *, version: Number1 | None = None, face: Options = PLAIN) -> int:
    """Show a dataset: its versions, and the report of one of them.

    Parameters
    ----------
    name
        NAME, NAME:3, NAME:TAG, NAME@BRANCH or NAME@2026-11-01.
    version
        The version whose report is shown; the newest if left out.
    """
    return act("data:show", face, name=name, version=version)


@app.command
def versions(name: str, /, *, face: Options = PLAIN) -> int:
    """List the versions of a dataset, of all branches.

    Parameters
    ----------
    name
        The dataset.
    """
    return act("versions:versions", face, name=name)


@app.command
def ingest(source: str | None = None, /, *, branch: str = "main", message: str = "", face: Options = PLAIN) -> int:
    """Take in what is new at one source, or at all of them.

    Parameters
    ----------
    source
        A [sources.NAME] of the project file; all if left out.
    branch
        The branch that gets the new version.
    message
        What it is; what came from where, if left out.
    """
    return act("data:ingest", face, source=source, branch=branch, message=message)


@app.command
def quarantine(
    name: str,
    /,
    *,
    limit: Limit = 20,
    waiting: Annotated[bool, Parameter(negative="")] = False,
    export: Path | None = None,
    face: Options = PLAIN,
) -> int:
    """List rows that broke the contract of a dataset, and files that were refused as a whole.

    Parameters
    ----------
    name
        The dataset.
    waiting
        Only rows that are neither readmitted nor dropped.
    export
        Write the waiting rows, all of them, as CSV to this file; corrected, `readmit` takes it.
    """
    return act("data:quarantine", face, name=name, limit=limit, waiting=waiting, export=export)


@app.command
def readmit(name: str, file: Path | None = None, /, *, source: str | None = None, face: Options = PLAIN) -> int:
    """Judge rows that were set aside again; the good ones become a new version.

    Parameters
    ----------
    name
        The dataset.
    file
        The corrected CSV of `quarantine --export`; rows that are not in it are left alone. Left out: all waiting rows.
    source
        The source whose contract they keep, where several fill the dataset.
    """
    return act("data:readmit", face, name=name, file=file, source=source)


@app.command
def drop(name: str, file: Path | None = None, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Settle rows that were set aside: nothing more will be done about them. They stay listed.

    Parameters
    ----------
    name
        The dataset.
    file
        A CSV of `quarantine --export` with the rows that are meant. Left out: all waiting rows.
    reason
        Why; kept in the audit log.
    """
    return act("data:drop", face, name=name, file=file, reason=reason)


@app.command
def infer(  # noqa: PLR0913 - what a source may say
    place: str,
    /,
    *,
    name: Annotated[str, Parameter(help="The contract's name.")] = "rows",
    query: Annotated[str | None, Parameter(help="The SELECT to ask a database.")] = None,
    format: Annotated[Written | None, Parameter(help="How it is written, where the ending does not tell.")] = None,  # noqa: A002 - as in the project file
    separator: Annotated[str, Parameter(help="csv: what stands between values.")] = ",",
    encoding: Annotated[str, Parameter(help="csv: how text is encoded.")] = "utf-8",
    sheet: Annotated[str | None, Parameter(help="excel: the sheet.")] = None,
    secret: Annotated[tuple[str, ...], Parameter(help="WHAT=NAME, e.g. password=ORDERS_PASSWORD; several.")] = (),
    face: Options = PLAIN,
) -> int:
    """Propose a contract for a source, ready to be read and pasted into modelloop.toml.

    Parameters
    ----------
    place
        A file or folder, or sqlite:///FILE, postgresql://HOST/NAME (with --query), s3://BUCKET/PREFIX, https://...
    """
    secrets = dict(one.partition("=")[::2] for one in secret)
    said = {"query": query, "format": format, "separator": separator, "encoding": encoding, "sheet": sheet}
    return act("data:infer", face, place=place, name=name, secrets=secrets, **said)


@app.command
def export(name: str, file: Path, /, *, load: tuple[str, ...] = (), face: Options = PLAIN) -> int:
    """Write the rows of a version to a file.

    Parameters
    ----------
    name
        NAME, NAME:3, NAME:TAG, NAME@BRANCH or NAME@2026-11-01.
    file
        A file that is not there yet, ending in .parquet, .csv or .jsonl.
    load
        Binary columns that are written as bytes instead of hashes (Parquet).
    """
    return act("versions:export", face, name=name, file=file, load=load)


@app.command
def diff(name: str, other: str, /, *, limit: Limit = 10, face: Options = PLAIN) -> int:
    """Show what is different between two versions: columns, counts, distributions, rows by key.

    Parameters
    ----------
    name
        The earlier one: NAME:3, NAME:TAG, NAME@BRANCH or NAME@2026-11-01.
    other
        The later one, of the same dataset.
    """
    return act("versions:diff", face, name=name, other=other, limit=limit)


@app.command
def branches(name: str, /, *, face: Options = PLAIN) -> int:
    """List the branches of a dataset.

    Parameters
    ----------
    name
        The dataset.
    """
    return act("versions:branches", face, name=name)


@app.command
def branch(
    name: str, branch: str, /, *, drop: Annotated[bool, Parameter(negative="")] = False, face: Options = PLAIN
) -> int:
    """Begin a branch, to try something on; sources ingest into it with `ingest --branch`.

    Parameters
    ----------
    name
        Where it begins: NAME (its newest version), NAME:3, NAME:TAG or NAME@BRANCH.
    branch
        Its name.
    drop
        Forget the branch instead.
    """
    return act("versions:branch", face, name=name, branch=branch, drop=drop)


@app.command
def merge(name: str, branch: str, /, *, into: str = "main", message: str = "", face: Options = PLAIN) -> int:
    """Bring what a branch changed into another, once the result keeps the contract.

    Parameters
    ----------
    name
        The dataset.
    branch
        The branch whose changes are taken.
    into
        The branch that gets them.
    message
        What for.
    """
    return act("versions:merge", face, name=name, branch=branch, into=into, message=message)


@app.command
def tags(name: str, /, *, face: Options = PLAIN) -> int:
    """List the tags of a dataset.

    Parameters
    ----------
    name
        The dataset.
    """
    return act("versions:tags", face, name=name)


@app.command
def tag(
    name: str,
    tag: str,
    /,
    *,
    message: str = "",
    move: Annotated[bool, Parameter(negative="")] = False,
    drop: Annotated[bool, Parameter(negative="")] = False,
    face: Options = PLAIN,
) -> int:
    """Name a version; retention then keeps it.

    Parameters
    ----------
    name
        NAME, NAME:3, NAME@BRANCH or NAME@2026-11-01.
    tag
        The tag.
    message
        What for.
    move
        Let a tag that is there name this version.
    drop
        Forget the tag instead.
    """
    return act("versions:tag", face, name=name, tag=tag, message=message, move=move, drop=drop)


@app.command
def restore(name: str, /, *, branch: str = "main", message: str = "", face: Options = PLAIN) -> int:
    """Make an old version the newest one; those between stay.

    Parameters
    ----------
    name
        NAME:3, NAME:TAG, NAME@BRANCH or NAME@2026-11-01.
    branch
        The branch on which it becomes the newest.
    message
        What for.
    """
    return act("versions:restore", face, name=name, branch=branch, message=message)


@app.command
def prune(name: str, /, *, days: float | None = None, versions: Number1 | None = None, face: Options = PLAIN) -> int:
    """Let old versions go, as the contract's retention says or as said here; their records stay.

    Heads of branches, tags, what models were trained on and what runs read are kept.

    Parameters
    ----------
    name
        The dataset.
    days
        Days that a version stays after a newer one came.
    versions
        So many of the newest stay in any case.
    """
    return act("versions:prune", face, name=name, days=days, versions=versions)


@app.command
def erase(
    name: str,
    column: str,
    value: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    reason: str,
    face: Options = PLAIN,
) -> int:
    """Take the rows of a person out of every version, for good.

    Parameters
    ----------
    name
        The dataset.
    column
        The column that names the person.
    value
        Its value in their rows; - reads it from standard input, which no shell remembers.
    reason
        Who asked for it, and why; without the value.
    """
    return act("versions:erase", face, name=name, column=column, value=value, reason=reason)
