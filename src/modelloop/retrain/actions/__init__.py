"""Verbs of turning the loop: `opening` (episodes and triggers), `advancing` (one step further), `turns` (what the last
turn saw). `settling` (what a run came to) is imported by the run's process alone: it loads the libraries that score."""

from .advancing import advance_episodes
from .opening import episodes, fire_triggers, get_episode, open_episode
from .turns import busy, last_turn, save_turn

__all__ = [
    "advance_episodes",
    "busy",
    "episodes",
    "fire_triggers",
    "get_episode",
    "last_turn",
    "open_episode",
    "save_turn",
]
