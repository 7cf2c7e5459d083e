"""Shared components: steps that one project publishes under a version, and others take over as reviewed source."""
