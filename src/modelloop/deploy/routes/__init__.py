"""Faces of answering: what answers and how it changes, what was answered and what turned out true."""

from . import changing, outcomes

ROUTES = (*changing.ROUTES, *outcomes.ROUTES)
