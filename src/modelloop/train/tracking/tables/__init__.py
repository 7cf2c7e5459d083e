"""SQL of tracking: `schema` declares the tables, the other files hold their queries by topic."""

from __future__ import annotations

from . import schema as schema
