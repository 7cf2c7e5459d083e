"""One request on its way through the faces, and the shapes of what goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from ....ground.core.errors import ModelloopError
from ..answer import JSON, Answerer, Request, Response, refusal
from ..asked import Answered, Asked
from ..runtime import Live

TEXT = (b"content-type", b"text/plain; charset=utf-8")
HTML = (b"content-type", b"text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request at a place; `words` are the varying pieces of its path."""

    answerer: Answerer
    request: Request
    words: tuple[str, ...]
    done: Callable[[Response], None]

    @property
    def live(self) -> Live:
        """Return what is loaded."""
        return self.answerer.live

    @property
    def endpoint(self) -> str:
        """Return the first varying piece."""
        return self.words[0]

    @property
    def number(self) -> str | None:
        """Return the version that the path names."""
        return self.words[1] if len(self.words) > 1 else None

    def ask(self, endpoint: str, number: str | None, asked: Asked, tell: Callable[[Answered], Response]) -> None:
        """Let a version answer, and send what `tell` makes of it."""
        self.answerer.ask(endpoint, number, asked, partial(self._answered, tell))

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count a request that is refused before any version is asked; the answerer counts all others."""
        try:
            yield
        except ModelloopError as error:
            known = self.words and self.endpoint in self.live.serving.routes
            self.answerer.counters.refuse(self.endpoint if known else "", error.status)
            raise

    def _answered(self, tell: Callable[[Answered], Response], found: Answered | ModelloopError) -> None:
        self.done(refusal(found) if isinstance(found, ModelloopError) else tell(found))


def json(body: Any, status: int = 200) -> Response:
    """Return a document."""
    return Response(status, orjson.dumps(body))


def predicted(body: Any, found: Answered) -> Response:
    """Return an answer with the id under which it is in the log."""
    header = (b"modelloop-prediction-id", found.prediction.encode())
    return Response(200, orjson.dumps(body), (JSON, header))
