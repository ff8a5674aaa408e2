"""`workbench recipes`: the shipped recipes, or one of them written out."""

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import SetOption

if TYPE_CHECKING:
    from workbench.recipes.recipe import Recipe


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
        model = f"{recipe.model.architecture} {recipe.model.preset}"
        typer.echo(f"{shipped:18s} {_what_is_read(recipe)} · {model} · {_budget(recipe)}")


def _what_is_read(recipe: "Recipe") -> str:
    """`3,000 × single`; of a folder of facts, whose entities only the folder counts, where they stand; problems."""
    if recipe.arithmetic is not None:
        return f"problems of {recipe.arithmetic.family}"
    if recipe.own is not None and recipe.own.entities is None and not recipe.own.groups:
        return f"the folder {recipe.own.folder} × {recipe.own.augmentation}"
    return ", ".join(f"{group.people:,} × {group.augmentation}" for group in recipe.groups)


def _budget(recipe: "Recipe") -> str:
    if recipe.arithmetic is not None:
        return f"{recipe.arithmetic.tokens:,} tokens"
    return f"{recipe.training.exposures:g} exposures"
