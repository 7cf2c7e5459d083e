"""Who comes in: a token for programs, and for browsers an address that opens once and leaves a signed session.

Sessions are signed with a key made from the token, so a restart of control ends none and a new token ends all.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from ..ground.core.records import Actor, Role

ADDRESS_LIVES = timedelta(hours=24)
SESSION_LIVES = timedelta(hours=12)


class Doorkeeper:
    """Checks tokens and sessions of one project. No state: addresses that open once are files, sessions signed."""

    def __init__(self, token: str, secrets_dir: Path) -> None:
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"modelloop session", "sha256")
        self._once = secrets_dir / "once"

    def bearer(self, header: str | None) -> Actor | None:
        """Return whom an Authorization header speaks for, or None."""
        kind, _, given = (header or "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return Actor("token", Role.ADMIN)
        return None

    def once(self, now: datetime) -> str:
        """Return a token for an address that opens once, and forget those that nobody used."""
        self._once.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._once.iterdir():
            if now.timestamp() - left.stat().st_mtime > ADDRESS_LIVES.total_seconds():
                left.unlink(missing_ok=True)
        token = secrets.token_urlsafe(24)
        (self._once / _name(token)).touch(mode=0o600)
        return token

    def redeem(self, token: str, now: datetime) -> str | None:
        """Return a session for a token made by `once`, at its first use only. Of two that come at once one gets it."""
        path = self._once / _name(token)
        try:
            made = path.stat().st_mtime
            path.unlink()
        except OSError:
            return None
        return self._signed(now) if now.timestamp() - made <= ADDRESS_LIVES.total_seconds() else None

    def session(self, cookie: str | None, now: datetime) -> Actor | None:
        """Return whom a session cookie speaks for, or None where it is not ours or too old."""
        began, _, rest = (cookie or "").partition(".")
        noise, _, seal = rest.partition(".")
        if not began.isdecimal() or not hmac.compare_digest(seal.encode(), self._seal(began, noise).encode()):
            return None
        age = now.timestamp() - int(began)
        return Actor("browser", Role.ADMIN) if -60 <= age <= SESSION_LIVES.total_seconds() else None

    def _signed(self, now: datetime) -> str:
        began, noise = str(int(now.timestamp())), secrets.token_urlsafe(12)
        return f"{began}.{noise}.{self._seal(began, noise)}"

    def _seal(self, began: str, noise: str) -> str:
        return hmac.new(self._key, f"{began}.{noise}".encode(), "sha256").hexdigest()


def _name(token: str) -> str:
    """Return the file's name for a token: a hash, so no client string is part of a path and no token lies on disk."""
    return hashlib.sha256(token.encode()).hexdigest()
