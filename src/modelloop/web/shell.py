"""From a list of routes to a web application: whoever may not is refused before any action is called.

Every request passes the same points in the same order: host, origin, actor, right, size and form of the body, action,
encoding. Actions are sync and run in threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import orjson
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route as Address

from ..ground.core.errors import (
    AddressRefused,
    BodyTooLarge,
    Denied,
    InvalidInput,
    ModelloopError,
    NotFound,
    Unauthenticated,
)
from ..ground.core.hashing import hash_bytes
from ..ground.core.records import Actor, Role
from ..ground.core.rights import Right, require
from ..ground.http import Call, Page, Route
from ..ground.replies import encode, plain
from ..ground.store.context import Context
from ..project import ProjectFile
from . import forms
from .download import Download, sent
from .openapi import document
from .session import SESSION_LIVES, Doorkeeper

LARGEST_BODY = 8_000_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    # not no-referrer: with it browsers send forms without their Origin
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_NOBODY = Actor("nobody", Role.VIEWER)


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share."""

    ctx: Context
    project: Any
    project_dir: Path
    door: Doorkeeper
    hosts: frozenset[str]
    """Names under which the site may be called."""
    pages: Environment
    file: ProjectFile | None = None
    """Where the project is followed: what its file says at each request counts, not what it said at the start."""

    def said(self) -> tuple[Any, str]:
        """Return the project as it is now, and what keeps its file from being used."""
        return (self.project, "") if self.file is None else (self.file.look(), self.file.trouble)


def build(site: Site, routes: Sequence[Route]) -> Starlette:
    """Return the application: the routes under /api, their pages, the API document, static files, and nothing else."""
    addresses = [Address("/health", _health, methods=["GET"]), Address("/static/{name}", _static, methods=["GET"])]
    for route in routes:
        addresses.append(Address("/api" + route.path, _Json(site, route), methods=[route.method]))
        if isinstance(route.page, forms.Form):
            addresses.append(Address(route.page.path, _Form(site, route, route.page), methods=["POST"]))
        elif route.page is not None:
            addresses.append(Address(route.page.path, _Html(site, route, route.page), methods=["GET"]))
    api = Route("GET", "/openapi.json", lambda _call: document(routes), Right.READ)
    addresses.append(Address("/api/openapi.json", _Json(site, api), methods=["GET"]))
    return Starlette(
        routes=addresses,
        middleware=[],
        exception_handlers={HTTPException: _no_such_address, ModelloopError: _refused, Exception: _broken},
    )


class Face(Protocol):
    """Another API beside this one. It brings its own authentication, rights and headers; hosts and origins are ours."""

    def serves(self, path: str) -> bool:
        """Say whether a path is this face's."""
        ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        ...


class Guarded:
    """Wraps the application: refuses foreign hosts and origins, adds the protecting headers to every answer."""

    def __init__(self, inner: Starlette, hosts: frozenset[str], face: Face | None = None) -> None:
        self._inner = inner
        self._hosts = hosts
        self._face = face

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def shielded(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                extra = [(n.encode(), v.encode()) for n, v in _HEADERS.items() if n.encode() not in present]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            self._check(scope)
        except ModelloopError as error:
            await _told(error)(scope, receive, shielded)
            return
        if self._face is not None and self._face.serves(scope["path"]):
            await self._face(scope, receive, send)
        else:
            await self._inner(scope, receive, shielded)

    def _check(self, scope: Any) -> None:
        host, origin = "", None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1")
            elif name == b"origin":
                origin = value.decode("latin-1")
        if _hostname(host) not in self._hosts:
            raise AddressRefused(
                f"This site is not called {host[:100]!r}.", hint="Use the address `modelloop up` printed."
            )
        if scope["method"] not in _SAFE and origin is not None and _split(origin).netloc.lower() != host.lower():
            raise Denied(f"A page of {origin[:100]!r} may not change anything here.")


@lru_cache(maxsize=64)
def _hostname(host: str) -> str:
    """Return the name in a Host header: the same one comes with each request of a client."""
    return _split(f"//{host}").hostname or ""


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # an address of no form, such as http://[x, is nobody's
        return urlsplit("")


class _Endpoint:
    """What JSON and pages have in common: actor, right, body, action."""

    def __init__(self, site: Site, route: Route) -> None:
        self.site = site
        self.route = route

    def actor(self, request: Request) -> Actor:
        door, now = self.site.door, self.site.ctx.now()
        header = request.headers.get("authorization")
        found = door.bearer(header) if header else door.session(request.cookies.get(cookie_name(request)), now)
        if found is None and self.route.right is not Right.PUBLIC:
            raise Unauthenticated(
                "This needs a session or a token." if header is None else "The token is not valid.",
                hint="Browsers: open the address that `modelloop page` prints. Programs: Authorization: Bearer and the "
                "content of .modelloop/secrets/token.",
            )
        if header is None and request.method not in _SAFE and "origin" not in request.headers:
            raise Denied("A session may change things only from its own page (no Origin was sent).")
        return found or _NOBODY

    async def result(self, request: Request) -> Any:
        actor = self.actor(request)
        require(actor, self.route.right)
        project, trouble = await run_in_threadpool(self.site.said)
        call = Call(
            self.site.ctx.by(actor),
            project,
            self.site.project_dir,
            _written(request.path_params),
            _written({name: ",".join(request.query_params.getlist(name)) for name in request.query_params}),
            {} if request.method in _SAFE else await self.body(request),
            trouble,
        )
        return await run_in_threadpool(self.route.action, call)

    async def body(self, request: Request) -> Mapping[str, Any]:
        return _object(await _bytes(request))


class _Json(_Endpoint):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        answer = await self.result(request)
        if isinstance(answer, Download):
            await sent(answer)(scope, receive, send)
            return
        data = await run_in_threadpool(encode, answer)
        tag = f'"{hash_bytes(data)[:32]}"'
        headers = {"etag": tag} if self.route.method == "GET" else {}
        if headers and request.headers.get("if-none-match") == tag:
            await Response(status_code=304, headers=headers)(scope, receive, send)
            return
        await Response(data, media_type="application/json", headers=headers)(scope, receive, send)


class _Html(_Endpoint):
    def __init__(self, site: Site, route: Route, page: Page) -> None:
        super().__init__(site, route)
        self._page = page

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if "token" in request.query_params:
            return self._enter(request)
        try:
            answer = await self.result(request)
        except ModelloopError as error:
            return HTMLResponse(self._render("refused.html", error.as_json()), status_code=error.status)
        return HTMLResponse(await run_in_threadpool(self._render, self._page.template, answer))

    def _enter(self, request: Request) -> Response:
        session = self.site.door.redeem(request.query_params["token"], self.site.ctx.now())
        if session is None:
            error = Unauthenticated(
                "This address was opened before, or is too old.", hint="Get a new one: `modelloop page`."
            )
            return HTMLResponse(self._render("refused.html", error.as_json()), status_code=error.status)
        answer = RedirectResponse(request.url.path, status_code=303)
        answer.set_cookie(
            cookie_name(request), session, max_age=int(SESSION_LIVES.total_seconds()), httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def _render(self, template: str, answer: Any) -> str:
        project, trouble = self.site.said()
        page = self.site.pages.get_template(template)
        return page.render(it=plain(answer), project=plain(project.project), trouble=trouble)


class _Form(_Html):
    """Where a page's form goes: the same points as JSON passes, then the page that shows what came of it."""

    async def _answer(self, request: Request) -> Response:
        try:
            await self.result(request)
        except ModelloopError as error:
            return HTMLResponse(self._render("refused.html", error.as_json()), status_code=error.status)
        assert isinstance(self._page, forms.Form)
        return RedirectResponse(forms.address(self._page, request.path_params), status_code=303)

    async def body(self, request: Request) -> Mapping[str, Any]:
        return forms.fields(request.headers.get("content-type", ""), await _bytes(request))


def cookie_name(request: Request) -> str:
    """Return the session's name: with the port, since browsers share cookies between the ports of a host."""
    server = request.scope.get("server") or ("", 0)
    return f"modelloop_{server[1]}"


def _written(words: Mapping[str, Any]) -> dict[str, str]:
    """Return parts of an address as text that a database takes."""
    for name, word in words.items():
        if "\x00" in word:
            raise InvalidInput(f"{name} holds a NUL character.", hint="Leave it out.")
    return dict(words)


def _holds_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str) and "\x00" in part:
            return True
        waiting += [*part, *part.values()] if isinstance(part, dict) else part if isinstance(part, list) else ()
    return False


async def _bytes(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise BodyTooLarge(f"The body is larger than {LARGEST_BODY} bytes.", hint="Send it in parts.")
    return bytes(data)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(data or b"{}")  # strict: no NaN, no half characters, no number beyond a float
    except orjson.JSONDecodeError as error:
        raise InvalidInput(
            f"The body is not JSON: {str(error)[:200]}.", hint="Expected an object in UTF-8; no NaN or Infinity."
        ) from error
    if b"\\u0000" in data and _holds_nul(value):
        raise InvalidInput("The body holds a NUL character (\\u0000).", hint="Leave it out.")
    if not isinstance(value, dict):
        raise InvalidInput(f"The body is a JSON {type(value).__name__}.", hint="Expected an object: {...}.")
    return value


def _told(error: ModelloopError) -> Response:
    return Response(encode(error.as_json()), status_code=error.status, media_type="application/json")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ModelloopError)
    return _told(error)


async def _no_such_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))  # Starlette keeps a set
        found = f"{request.method} is not understood at {request.url.path[:200]}."
        answer = _told(InvalidInput(found, hint=f"Use {allowed}."))
        answer.status_code = 405
        answer.headers["allow"] = allowed
        return answer
    return _told(
        NotFound(f"There is nothing at {request.url.path[:200]}.", hint="/api/openapi.json lists all addresses.")
    )


async def _broken(_request: Request, _error: Exception) -> Response:
    """Say only that it broke; Starlette raises it again and uvicorn writes it to the log."""
    body = {"error": "Something broke in the control process; its log says what.", "code": "ML000"}
    return Response(encode(body), status_code=500, media_type="application/json")


async def _health(_request: Request) -> Response:
    return Response(b'{"live":true}', media_type="application/json")


async def _static(request: Request) -> Response:
    path = _STATIC_FILES.get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    headers = {"cache-control": "no-cache"}
    return Response(await run_in_threadpool(path.read_bytes), media_type=_TYPES[path.suffix], headers=headers)


_STATIC_FILES: Mapping[str, Path] = {path.name: path for path in _STATIC.iterdir() if path.suffix in _TYPES}
"""Name -> file: a name from a request is looked up, never made a path."""
