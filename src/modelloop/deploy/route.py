"""Pure: which arm answers a request, and which requests are also shadowed. The same key always gives the same answer.

A key's place on [0, 1) is a hash of salt and key. The challenger gets the places below its share, so raising the share
only adds keys and never moves one back; another rollout has another salt, so it is not always the same callers who try
first.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b

from .records import Route, Stage


class ArmName(StrEnum):
    """Which of the two versions of a route."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


def place(key: str, salt: str) -> float:
    """Return the key's place, uniform on [0, 1)."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=_salt_key(salt)).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


def choose(route: Route, key: str) -> ArmName:
    """Return the arm that answers a request with this key."""
    if route.challenger is None or route.stage not in (Stage.CANARY, Stage.TEST):
        return ArmName.CHAMPION
    return ArmName.CHALLENGER if place(key, route.salt) < route.share else ArmName.CHAMPION


def shadowed(route: Route, prediction: str) -> bool:
    """Say whether the challenger also scores this prediction, off the path. In a bake that is the version before."""
    if route.challenger is None or route.stage not in (Stage.SHADOW, Stage.BAKE):
        return False
    return place(prediction, route.salt + "/shadow") < route.share


def _salt_key(salt: str) -> bytes:
    encoded = salt.encode("utf-8", "surrogatepass")
    return encoded if len(encoded) <= blake2b.MAX_KEY_SIZE else blake2b(encoded).digest()
