"""Who may ask the app what: Host and Origin checks, the token, and headers that forbid everything else.

The app listens on 127.0.0.1 and answers only requests that name it so: a page of a stranger that has its own
name resolve to 127.0.0.1 (DNS rebinding) gets nothing. Any other address needs a token, which is kept in a
cookie after the first visit.
"""

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

from flask import Flask, Request, Response, abort, redirect, request

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "workbench_token"
LARGEST_BODY = 2 * 2**20

# Plotly and Mantine write style attributes; pictures are drawn as data: and blob: addresses. Nothing is loaded
# from elsewhere, and no inline script runs but Dash's own two, which are named by their hashes.
POLICY = (
    "default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def guard(
    server: Flask, *, host: str, token: str | None, hashes: Callable[[], Sequence[str]], path: str = "/"
) -> None:
    """Check every request and seal every answer of the server."""
    allowed = LOOPBACK | ({host} if host not in ("0.0.0.0", "::") else frozenset())
    server.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY

    @server.before_request
    def check() -> Response | None:
        if token is None and _host_of(request) not in allowed:
            abort(403, f"This server answers to {', '.join(sorted(allowed))} only.")
        origin = request.headers.get("Origin")
        if request.method not in ("GET", "HEAD") and origin and urlsplit(origin).netloc != request.host:
            abort(403, "Another page may not write here.")
        return None if token is None else _check_token(token, path)

    @server.after_request
    def seal(response: Response) -> Response:
        quoted = " ".join(f"'{value}'" if not value.startswith("'") else value for value in hashes())
        response.headers["Content-Security-Policy"] = POLICY.format(hashes=quoted)
        for name, value in HEADERS.items():
            response.headers[name] = value
        if "Cache-Control" not in response.headers:
            fixed = "/_dash-component-suites/" in request.path or "/assets/" in request.path
            response.headers["Cache-Control"] = "no-cache" if fixed else "no-store"
        if request.args.get("m") and "/assets/" in request.path and response.status_code == 200:
            response.headers["Cache-Control"] = "max-age=31536000, immutable"  # another file has another ?m=
        response.headers.pop("Server", None)
        return response


def _host_of(asked: Request) -> str:
    """The host's name without its port; empty for what is no host at all."""
    try:
        return (urlsplit(f"//{asked.headers.get('Host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _check_token(token: str, path: str) -> Response | None:
    """Let a request pass that carries the cookie; trade a right `?token=` for one; refuse all others."""
    sealed = sha256(f"workbench:{token}".encode()).hexdigest()
    if hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), sealed.encode()):
        return None
    if not hmac.compare_digest(request.args.get("token", "").encode(), token.encode()):
        abort(401, "This server needs its token: open the address that `workbench ui` printed, with ?token=…")
    kept = request.args.to_dict()
    kept.pop("token")
    target = request.path + (f"?{urlencode(kept)}" if kept else "")
    response: Response = redirect(target)  # type: ignore[assignment]
    response.set_cookie(COOKIE, sealed, httponly=True, samesite="Strict", path=path, max_age=30 * 86400)
    return response
