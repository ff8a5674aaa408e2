"""`workbench sites`: where in a model vectors can be read."""

from typing import Annotated

import typer

from workbench.cli.options import JsonOption


def sites(
    model: Annotated[str, typer.Argument(help="A run, a Hugging Face model folder, or a hub name.")],
    revision: Annotated[str, typer.Option(help="Of a hub name, such as `step1000`.")] = "main",
    as_json: JsonOption = False,
) -> None:
    """List the sites of a model with the shape of their vectors at one token.

    Of an architecture that is not in the table every module is listed by the path it can be read under.
    """
    import json

    from workbench.activations.listing import list_model_sites

    found = list_model_sites(model, revision)
    if as_json:
        rows = [{"name": s.name, "short": s.short, "axes": s.axes, "shape": s.shape} for s in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("short form", "TransformerLens hook name", "vector at one token", box=None, pad_edge=False)
    for site in found:
        table.add_row(site.short, site.name if site.name != site.short else "", site.text)
    Console().print(table)
