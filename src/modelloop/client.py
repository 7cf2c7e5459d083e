"""The remote client: posts JSON to control and raises our errors from what it answers.

Generic on purpose: it knows addresses and errors, no stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import httpx

from .ground.core import errors
from .ground.core.errors import ModelloopError, StoreUnavailable


class Client:
    """A connection to a control process. Thread-safe.

    >>> with Client("http://127.0.0.1:8900", token) as control:  # doctest: +SKIP
    ...     control.get("/api/episodes")
    """

    def __init__(self, url: str, token: str, *, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout,
            headers={"authorization": f"Bearer {token}"},
            transport=httpx.HTTPTransport(retries=2),
            trust_env=False,
        )

    def get(self, path: str, **query: str | int) -> Any:
        """Return what is at `path`; raises the error that the server names, StoreUnavailable where none answers."""
        return self._answer("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send `body` to `path` and return the answer; raises as `get`."""
        return self._answer("POST", path, json=dict(body))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, method: str, path: str, **what: Any) -> Any:
        try:
            reply = self._http.request(method, path, **what)
        except httpx.TransportError as error:
            raise StoreUnavailable(
                f"Control does not answer at {self.url}: {error}", hint="Is `modelloop up` running?"
            ) from error
        if reply.is_success:
            return reply.json()
        raise _raised(reply)


def _raised(reply: httpx.Response) -> ModelloopError:
    """Return the error that a reply stands for, of the class with its code."""
    try:
        body = reply.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict) or "error" not in body:
        return StoreUnavailable(f"Control answered {reply.status_code} without saying why.")
    for kind in _kinds(ModelloopError):
        if kind.code == body.get("code"):
            return kind(str(body["error"]), detail=body.get("detail"))
    return errors.ModelloopError(str(body["error"]), detail=body.get("detail"))


def _kinds(kind: type[ModelloopError]) -> Iterator[type[ModelloopError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)
