"""Scripts and styles that the library's own pages have, too: served from the library, written once."""

import importlib.resources
from hashlib import sha256

from flask import Flask, Response

SCRIPTS = {"ink.js": "workbench.figures"}
STYLES = {"claims.css": "workbench.claims"}
TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
SECONDS_KEPT = 31_536_000  # by a browser: another content has another address


def address_of(name: str, prefix: str) -> str:
    """Where a page finds a file; the address changes with the content."""
    return f"{prefix}shared/{name}?v={sha256(_read(name)).hexdigest()[:12]}"


def add_shared_files(server: Flask, prefix: str) -> None:
    """`<prefix>shared/<name>`."""
    for name in (*SCRIPTS, *STYLES):
        server.add_url_rule(f"{prefix}shared/{name}", f"shared-{name}", lambda name=name: _serve(name))


def _serve(name: str) -> Response:
    response = Response(_read(name), mimetype=TYPES[name.rpartition(".")[2]])
    response.headers["Cache-Control"] = f"max-age={SECONDS_KEPT}, immutable"
    return response


def _read(name: str) -> bytes:
    return importlib.resources.files((SCRIPTS | STYLES)[name]).joinpath(name).read_bytes()
