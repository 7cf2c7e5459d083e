"""Experiments compared, pure: tracked runs go in; a leaderboard that knows noise, what differs, a front come out."""
