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
        listed = [{"name": s.name, "short": s.short, "axes": s.axes, "shape": s.shape} for s in found]
        typer.echo(json.dumps(listed, indent=2))
        return
    # Plain lines: names are there to be copied, and a table would fold the long ones.
    rows = [("short form", "TransformerLens hook name", "vector at one token")]
    rows += [(site.short, site.name if site.name != site.short else "", site.text) for site in found]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for short, name, text in rows:
        typer.echo(f"{short:<{widths[0]}}  {name:<{widths[1]}}  {text}")
