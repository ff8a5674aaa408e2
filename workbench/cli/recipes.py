"""`workbench recipes`: the shipped recipes, or one of them written out."""

from typing import Annotated

import typer

from workbench.cli.options import SetOption


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Print this recipe with every default written out.")
    ] = None,
    overrides: SetOption = [],  # noqa: B006
) -> None:
    """List the shipped recipes, or print one to start your own from.

    `workbench recipes tiny > mine.toml`, edit it, then `workbench train mine.toml`.
    """
    from workbench.recipes.recipe import load_recipe, recipe_to_toml, shipped_recipes

    if name is not None:
        typer.echo(recipe_to_toml(load_recipe(name, overrides)), nl=False)
        return
    for shipped in shipped_recipes():
        recipe = load_recipe(shipped)
        groups = ", ".join(f"{group.people:,} × {group.augmentation}" for group in recipe.groups)
        model = f"{recipe.model.architecture} {recipe.model.preset}"
        typer.echo(f"{shipped:16s} {groups} · {model} · {recipe.training.exposures:g} exposures")
