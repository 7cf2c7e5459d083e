"""Names for runs that were given none: two words and a number, the same for the same id. Pure."""

from __future__ import annotations

import hashlib

_HOW = (
    *("amber", "bold", "brisk", "calm", "clear", "crisp", "eager", "early", "fair", "fleet", "gentle", "glad", "keen"),
    *("kind", "late", "light", "lively", "lucid", "mellow", "mild", "neat", "nimble", "plain", "polite", "proud"),
    *("quick", "quiet", "rapid", "silent", "sleek", "smart", "smooth", "sober", "steady", "still", "sunny", "swift"),
    *("tidy", "vivid", "warm", "wise", "witty"),
)
_WHO = (
    *("badger", "bee", "bison", "crane", "crow", "deer", "dove", "eagle", "falcon", "finch", "fox", "gull", "hare"),
    *("hawk", "heron", "ibis", "jay", "kite", "koala", "lark", "lemur", "lynx", "marten", "mole", "moth", "newt"),
    *("otter", "owl", "panda", "puma", "raven", "robin", "seal", "shrew", "stork", "swan", "tern", "thrush", "trout"),
    *("vole", "whale", "wren", "yak", "zebra"),
)


def name_for(run_id: str) -> str:
    """Return a name such as calm-otter-482."""
    number = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big")
    return f"{_HOW[number % len(_HOW)]}-{_WHO[number // 64 % len(_WHO)]}-{number // 4096 % 1000}"
