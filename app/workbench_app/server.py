"""Make the app and serve it."""

import errno
import logging
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dash import Dash
from dash.exceptions import DashException
from flask import Response, has_request_context, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from workbench.errors import WorkbenchError, first_line
from workbench_app.callback_requests import check_callback_requests
from workbench_app.callbacks import add_callbacks
from workbench_app.downloads import add_case_downloads, add_downloads
from workbench_app.drawing import Drawer, Drawn, split_address, stored_theme
from workbench_app.heads import add_heads
from workbench_app.index import RunIndex
from workbench_app.layout import PAGE_TEMPLATE, make_layout
from workbench_app.library import ResultLibrary
from workbench_app.paper_figures import add_figures
from workbench_app.security import LOOPBACK, check_token, guard, parse_origin
from workbench_app.shared_files import SCRIPTS, STYLES, add_shared_files, address_of

DEMO_FOLDER = Path(__file__).parent / "demo"
TITLE = "Knowledge Probing Workbench"
log = logging.getLogger("workbench_app")


def make_app(
    runs_folder: Path | str,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    url_prefix: str = "/",
    writable: bool = True,
    pause: float = 1.0,
    origins: Sequence[str] = (),
) -> Dash:
    """The app over a folder of runs.

    host decides which Host headers are answered; anything but this machine needs a `token`. url_prefix is the
    path a proxy serves the app under; origins are the addresses browsers open, where a proxy changes the Host header
    (`https://lab.example`). pause: seconds between two looks at the folder; browsers ask a third as often.
    """
    check_token(token)
    places = [parse_origin(origin) for origin in origins]
    folder = Path(runs_folder)
    if not folder.is_dir():
        raise WorkbenchError(
            f"There is no folder {folder}; give the folder that holds your runs, or look at `workbench ui --demo`."
        )
    if host not in LOOPBACK and not token:
        raise WorkbenchError(
            f"The host {host} can be reached by others, so it needs --token; e.g. --token {secrets.token_urlsafe(12)}."
        )
    prefix = "/" + url_prefix.strip("/") + "/" if url_prefix.strip("/") else "/"
    app = Dash(
        "workbench_app",
        title=TITLE,
        update_title=None,  # type: ignore[arg-type]
        assets_folder=str(Path(__file__).parent / "assets"),
        url_base_pathname=prefix,
        serve_locally=True,
        external_scripts=[address_of(name, prefix) for name in SCRIPTS],
        external_stylesheets=[address_of(name, prefix) for name in STYLES],
        suppress_callback_exceptions=True,
        enable_mcp=False,
        add_log_handler=False,
    )
    app.index_string = PAGE_TEMPLATE.replace("$prefix", prefix)
    index = RunIndex(folder, pause=pause)
    library = ResultLibrary()
    drawer = Drawer(index, library, prefix=prefix, writable=writable)
    app.warm_up = lambda: _warm_up(app)  # type: ignore[attr-defined]
    app.layout = lambda: make_layout(prefix, round(3000 * pause), *_first_page(drawer))
    add_callbacks(app, drawer)
    add_downloads(app.server, index, prefix)
    add_case_downloads(app.server, index, prefix)
    add_figures(app.server, index, prefix)
    add_heads(app.server, index, library, prefix)
    add_shared_files(app.server, prefix)
    _answer_errors(app)
    hashes = app.csp_hashes()
    guard(app.server, host=host, token=token, hashes=lambda: hashes, path=prefix, origins=places)
    check_callback_requests(app)  # after the guard: who may not ask is told nothing else
    return app


def _warm_up(app: Dash) -> None:
    """Load and draw what the pages show when nothing has been selected yet."""
    prefix = app.config.url_base_pathname
    for page in ("overview", "p-probe", "q-probe"):
        with app.server.test_request_context(headers={"Referer": f"http://localhost{prefix}{page}"}):
            app.serve_layout()
            app.index()


def _first_page(drawer: Drawer) -> tuple[str | None, int | None, Drawn | None]:
    """The page that a browser is about to show, known by the Referer of its request for the frame.

    It comes with the frame, which the browser fetches while it still reads the scripts; where a browser keeps
    the Referer to itself, the page is fetched once the frame is there, as every page after the first.
    """
    if not has_request_context() or not request.referrer:
        return None, None, None
    asked = urlsplit(request.referrer)
    address, step = split_address(asked.path, asked.query)
    return address, step, drawer.draw(address, step, stored_theme(request.cookies))


def _answer_errors(app: Dash) -> None:
    """One sentence for what fails; the traceback goes to the log, never to the browser."""

    @app.server.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        said = f"{error.description}\n".encode(errors="replace")  # it may name a folder that is no UTF-8
        answer = Response(said, error.code or 500, mimetype="text/plain")
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return answer

    @app.server.errorhandler(DashException)
    def misused(error: DashException) -> Response:
        return Response("There is no such thing here.\n", 404, mimetype="text/plain")

    @app.server.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.error("A request failed.", exc_info=error)
        return Response("The app could not answer this; its terminal says why.\n", 500, mimetype="text/plain")


class _Quiet(WSGIRequestHandler):
    """Keeps connections open and does not print every request."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        pass

    def log(self, type: str, message: str, *args: Any) -> None:
        if type == "error" and "timed out" not in message:
            log.info(message.rstrip(), *args)


def make_http_server(app: Dash, host: str, port: int) -> BaseWSGIServer:
    """A server of many threads, not yet running; port 0 takes a free one."""
    _check_address(host, port)
    server = make_server(host, port, app.server, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    return server


def serve(app: Dash, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until Ctrl-C; `ready(port)` is called when the app can be opened."""
    server = make_http_server(app, host, port)
    app.warm_up()
    ready(server.server_port)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("workbench: stopped.", file=sys.stderr)
    finally:
        server.server_close()


def _check_address(host: str, port: int) -> None:
    """Refuse, with the system's reason, an address that cannot be listened on."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise WorkbenchError(
                f"Port {port} of {host} is taken; choose another with --port, or --port 0 for any."
            ) from None
        reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise WorkbenchError(
            f"Cannot listen on {host}, port {port}: {reason}; choose an address of this machine with --host, or "
            "another port with --port."
        ) from None
