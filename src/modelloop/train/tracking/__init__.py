"""Tracking: what runs logged goes in; runs, their metrics, parameters, tags, artifacts, found again, come out."""
