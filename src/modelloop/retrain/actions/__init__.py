"""Verbs of turning the loop: `opening` (episodes, by signals), `firing` (calendars, plain runs), `advancing` (one step
further), `turns` (what the last turn saw). `settling` (what a run came to) is imported by the run's process alone: it
loads the libraries that score."""

from .advancing import advance_episodes
from .firing import fire_triggers, start_run, triggers
from .housekeeping import keep_house, tidy
from .opening import episodes, get_episode, open_episode
from .turns import busy, last_turn, save_turn

__all__ = [
    "advance_episodes",
    "busy",
    "episodes",
    "fire_triggers",
    "get_episode",
    "keep_house",
    "last_turn",
    "open_episode",
    "save_turn",
    "start_run",
    "tidy",
    "triggers",
]
