"""`modelloop demo`."""

from __future__ import annotations

from pathlib import Path

from ..face import act
from ..options import PLAIN, Options


def demo(
    folder: Path | None = None,
    /,
    *,
    until: str = "2014-01-01",
    flights_a_day: int = 270,
    stay: bool | None = None,
    face: Options = PLAIN,
) -> int:
    """Watch the loop turn on a year of real flights, played against the real processes in two to three minutes.

    Parameters
    ----------
    folder
        An empty folder to keep the project in; a temporary one if left out. Its name is told at the end.
    until
        The day of 2013 on which the play ends.
    flights_a_day
        How many departures are asked about: a sample.
    stay
        Leave the processes up until Ctrl-C. By default only in a terminal.
    """
    return act("demo:demo", face, folder=folder, until=until, flights_a_day=flights_a_day, stay=stay)
