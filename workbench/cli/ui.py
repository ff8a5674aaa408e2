"""`workbench ui`: look at runs in a browser."""

from pathlib import Path
from typing import Annotated

import typer


def ui(
    folder: Annotated[
        Path, typer.Argument(metavar="[RUNS_FOLDER]", help="The folder that holds the runs.")
    ] = Path("runs"),
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that others can reach needs --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8050,
    url_prefix: Annotated[
        str, typer.Option(help="Path a proxy serves the app under, e.g. /workbench.")
    ] = "/",
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Address that browsers open, where a proxy hides it: https://lab.example (repeatable)."
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(help="Only browsers that know it are answered.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Open the small result set that ships with the workbench.")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """See knowledge move through positions, layers and training, in a browser.

    Runs that are training or being probed fill in while you look. Nothing is sent anywhere.
    """
    from urllib.parse import quote

    from workbench_app.server import DEMO_FOLDER, make_app, serve

    root = DEMO_FOLDER if demo else folder
    app = make_app(
        root, host=host, token=token, url_prefix=url_prefix, writable=not demo, origins=origin or ()
    )

    def ready(port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        prefix = f"{url_prefix.strip('/')}/" if url_prefix.strip("/") else ""
        address = f"http://{shown}:{port}/{prefix}"
        address += f"?token={quote(token, safe='')}" if token else ""
        typer.echo(f"Serving {root} at {address} (Ctrl-C stops it)")
        if browser:
            import webbrowser

            webbrowser.open(address)

    serve(app, host, port, ready)
