"""Who may ask: every request and every WebSocket passes here first.

The token of the printed URL is exchanged for a cookie that scripts cannot read and other sites cannot send. Host and
Origin are checked against the names of this machine, so that no other page, and no name that an attacker points here,
can speak to the studio. Answers carry a policy that lets pages load nothing but the studio's own files.
"""

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gansmith.studio.desk import Desk

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""On every answer that does not say otherwise."""
OPEN = ("/static/app.css", "/static/icon.svg", "/static/theme.js")
"""What the page that asks for the address needs."""
SAFE = frozenset({"GET", "HEAD"})
MOST_BYTES = 1 << 20
"""Of a request's body; routes that take files say more by :data:`ROOM`."""
ROOM: dict[str, int] = {}
"""The path of a route that takes files, and how many bytes at most."""

CLOSED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>gansmith studio</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><script src="/static/theme.js"></script>
<link rel="stylesheet" href="/static/app.css"><link rel="icon" href="/static/icon.svg"></head>
<body class="closed"><main><img src="/static/icon.svg" alt="" width="56" height="56"><h1>This studio is locked</h1>
<p>Open the address that <code>gansmith studio</code> printed when it was started: it ends in a token that only you
have.</p><p class="quiet">After a restart there is a new token. Trainings went on meanwhile.</p></main></body></html>"""


class Guard:
    """Middleware in front of everything."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers what is refused, and passes on what is not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._answer(scope, headers)
        if scope["type"] == "websocket":
            if answer is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        app = self._app if answer is None else answer
        await app(scope, _limited(scope, headers, receive), _with_headers(send))

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """The refusal of a request, or its exchange of a token for the cookie; None where it may pass."""
        desk = self._desk
        if headers.get("host", "").lower() not in desk.hosts:
            return _refused(400, "this studio has another address: open the one that it printed")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
        if unsafe and not self._same_origin(headers):
            return _refused(403, "another page may not speak to the studio")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["type"] == "http" and scope["method"] == "GET" and "token" in query:
            return self._exchange(scope["path"], query)
        if scope["path"] in OPEN or self._known(headers):
            return None
        if scope["type"] == "http" and "text/html" in headers.get("accept", ""):
            return HTMLResponse(CLOSED, 401)
        return _refused(401, "open the address that `gansmith studio` printed: it holds the token")

    def _same_origin(self, headers: Headers) -> bool:
        """Whether a request is of the studio's own pages, or of a program that is no browser."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or origin.lower() == f"http://{headers['host'].lower()}"

    def _known(self, headers: Headers) -> bool:
        """Whether the request carries the cookie, or a program's `Authorization: Bearer` with the token."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return _equal(token.strip(), self._desk.token)
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._desk.cookie)
        except CookieError:
            return False
        return found is not None and _equal(found.value, self._desk.session)

    def _exchange(self, path: str, query: dict[str, list[str]]) -> Response:
        """A redirection to the same page without the token, with the cookie; a refusal where the token is wrong."""
        if not _equal(query["token"][-1], self._desk.token):
            return HTMLResponse(CLOSED, 401)
        rest = urlencode({name: value[-1] for name, value in query.items() if name != "token"})
        target = "/" + path.lstrip("/\\") + (f"?{rest}" if rest else "")
        answer = RedirectResponse(target, 303)
        answer.set_cookie(self._desk.cookie, self._desk.session, httponly=True, samesite="strict", path="/")
        return answer


def _equal(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode(), secret.encode())


def _refused(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status)


def _with_headers(send: Send) -> Send:
    """Adds the headers that an answer does not set itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _limited(scope: Scope, headers: Headers, receive: Receive) -> Receive:
    """Ends a request whose body is larger than its route takes."""
    room = ROOM.get(scope["path"], MOST_BYTES)
    declared = headers.get("content-length", "")
    seen = int(declared) if declared.isdigit() and len(declared) < 19 else 0
    count = 0

    async def receiving() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if max(count, seen) > room:
            raise HTTPException(413, f"too large: at most {room >> 20} MiB")
        return message

    return receiving
