"""Who may ask the app what: Host and Origin checks, the token, and headers that forbid everything else.

The app listens on 127.0.0.1 and answers only requests that name it so: a page of a stranger that has its own
name resolve to 127.0.0.1 (DNS rebinding) gets nothing. Any other address needs a token, which is kept in a
cookie after the first visit. Behind a proxy the browser's own word that a request comes from the app's page is taken
(Sec-Fetch-Site, which no page can forge), or the name that the proxy was asked for, or one that `--origin` states.
"""

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask, Request, Response, abort, redirect, request

from workbench.errors import WorkbenchError

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


def check_token(token: str | None) -> None:
    """Refuse a token that a browser cannot send back, or that lets everybody in."""
    if token is None:
        return
    if not token.strip():
        raise WorkbenchError(
            "--token is empty, so it would let everybody in; give a secret, or leave it out."
        )
    try:
        token.encode()
    except UnicodeEncodeError:
        raise WorkbenchError(
            "--token holds bytes that are no UTF-8, so no address can carry it; choose another."
        ) from None


def parse_origin(text: str) -> str:
    """`https://lab.example:8443/` → `lab.example:8443`: the place that a browser names as a page's origin.

    A browser names no port that is the scheme's own, and a name in other letters as ASCII does (`xn--…`).
    """
    try:
        parts = urlsplit(text.strip())
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
        if known and parts.port != 0 and not (parts.query or parts.fragment or parts.username):
            host = str(parts.hostname)
            host = f"[{host}]" if ":" in host else host.encode("idna").decode()
            own = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
            return host if own else f"{host}:{parts.port}"
    except ValueError:  # UnicodeError is one
        pass
    raise WorkbenchError(
        f"--origin is {text[:100]!r}; expected where a browser opens the app, scheme and host, such as "
        "https://lab.example."
    )


def guard(
    server: Flask,
    *,
    host: str,
    token: str | None,
    hashes: Callable[[], Sequence[str]],
    path: str = "/",
    origins: Sequence[str] = (),
) -> None:
    """Check every request and seal every answer of the server. origins: what `parse_origin` gives."""
    named = frozenset(urlsplit(f"//{origin}").hostname or "" for origin in origins)
    allowed = LOOPBACK | named | ({host} if host not in ("0.0.0.0", "::") else frozenset())
    server.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY

    @server.before_request
    def check() -> Response | None:
        if token is None and _host_of(request) not in allowed:
            abort(
                403,
                f"This server answers to {', '.join(sorted(allowed))} only; behind a proxy, start it with "
                "--origin and the address that browsers open.",
            )
        if request.method not in ("GET", "HEAD"):
            _check_origin(request, origins)
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


def _check_origin(asked: Request, origins: Sequence[str]) -> None:
    """Refuse what a page of elsewhere sends.

    X-Forwarded-Host is what a proxy was asked for; no page of elsewhere can add it to a request without asking first,
    and the app grants nothing to those who ask.
    """
    origin, site = asked.headers.get("Origin"), asked.headers.get("Sec-Fetch-Site")
    if site == "same-origin" or not (origin or site):
        return
    forwarded = asked.headers.get("X-Forwarded-Host", "").split(",")[0].strip()
    try:
        place = urlsplit(origin or "").netloc.lower()
    except ValueError:
        place = ""
    if not place or place not in {asked.host.lower(), forwarded.lower(), *origins}:
        abort(
            403,
            f"A page of {(origin or 'elsewhere')[:100]} may not write here; if that is where you opened the app, "
            "behind a proxy, start it with --origin and that address.",
        )


def _host_of(asked: Request) -> str:
    """The host's name without its port; empty for what is no host at all."""
    try:
        return (urlsplit(f"//{asked.headers.get('Host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _check_token(token: str, path: str) -> Response | None:
    """Let a request pass that carries the cookie; trade a right `?token=` for one; refuse all others."""
    sealed = sha256(f"workbench:{token}".encode()).hexdigest()
    cookie = f"{COOKIE}_{sha256(f'name:{token}'.encode()).hexdigest()[:8]}"  # ports of one host share cookies
    if hmac.compare_digest(request.cookies.get(cookie, "").encode(), sealed.encode()):
        return None
    if not hmac.compare_digest(request.args.get("token", "").encode(), token.encode()):
        abort(401, "This server needs its token: open the address that `workbench ui` printed, with ?token=…")
    kept = request.args.to_dict()
    kept.pop("token")
    target = "/" + quote(request.path.lstrip("/")) + (f"?{urlencode(kept)}" if kept else "")
    response: Response = redirect(target)  # type: ignore[assignment]
    response.set_cookie(cookie, sealed, httponly=True, samesite="Strict", path=path, max_age=30 * 86400)
    return response
