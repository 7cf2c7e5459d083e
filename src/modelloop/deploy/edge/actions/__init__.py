"""Verbs of edge bundles: `building` makes one of a registered version; `measuring` compares it with the gateway."""
