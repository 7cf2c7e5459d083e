"""Forms of pages: a POST route that a browser may also reach without a script, and what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from ..ground.core.errors import InvalidInput
from ..ground.http import Page

_MOST_FIELDS = 200
_KIND = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form(Page):
    """Where a page's form sends its fields; `template` shows what is refused."""

    back: str = "/"
    """The page that is shown afterwards; `{name}` stands for a segment of the form's address."""


def address(form: Form, segments: dict[str, str]) -> str:
    """Return the page that is shown after a form was sent."""
    return form.back.format(**{name: quote(text, safe="") for name, text in segments.items()})


def fields(kind: str, body: bytes) -> dict[str, str]:
    """Return what a form sent: texts by name; raises InvalidInput."""
    if kind.partition(";")[0].strip().lower() != _KIND:
        raise InvalidInput(f"A form was expected, and {kind[:80]!r} came.", hint=f"Send {_KIND}, or JSON to /api.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidInput("The form cannot be read.", hint="Fields in UTF-8, %-encoded, each once.") from error
    found = dict(pairs)
    if len(found) != len(pairs) or any("\x00" in word for pair in pairs for word in pair):
        raise InvalidInput("The form has a field twice, or a NUL character.", hint="Send each field once.")
    return {name: text.replace("\r\n", "\n") for name, text in found.items()}
