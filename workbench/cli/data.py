"""`workbench data`: make a recipe's corpus and look at it before training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import JsonOption, RecipeArgument, SetOption

if TYPE_CHECKING:
    from workbench.studies.corpus import Corpus


def data(
    recipe: RecipeArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write entities, biographies and questions to.")
    ] = None,
    overrides: SetOption = [],  # noqa: B006
    samples: Annotated[int, typer.Option(min=0, help="How many entities to print.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Make entities, biographies and questions; print samples, tokens per entry and chance per target."""
    import json

    from workbench.recipes.recipe import load_recipe
    from workbench.studies.corpus import make_corpus, save_corpus
    from workbench.studies.corpus_statistics import describe_corpus

    loaded = load_recipe(recipe, overrides)
    corpus = make_corpus(loaded)
    description = describe_corpus(loaded, corpus)
    if out is not None:
        save_corpus(out, corpus)
    if as_json:
        typer.echo(json.dumps(description, indent=2, ensure_ascii=False))
        return
    _print_samples(corpus, samples)
    _print_description(description)
    if out is not None:
        typer.echo(f"\nWritten to {out}.")


def _print_samples(corpus: "Corpus", number: int) -> None:
    from itertools import islice

    for entity in islice(corpus.entities, number):
        typer.echo(f"Entity {entity.id} ({entity.group}, {entity.split}): {entity.name}")
        for entry in corpus.entries:
            if entry.entity == entity.id:
                typer.echo(f"  {entry.text}")
        for question in corpus.questions[:6] if entity.id == 0 else []:
            typer.echo(f"  {question.text}")
        typer.echo("")


def _print_description(description: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    tokens = description["tokens_per_entry"]
    typer.echo(
        f"{description['entities']:,} entities "
        f"({description['train_entities']:,} train, {description['test_entities']:,} test), "
        f"{description['entries']:,} entries of {tokens['mean']} tokens ({tokens['min']} to {tokens['max']}), "
        f"{description['questions']:,} questions, vocabulary of {description['vocabulary']:,}"
    )
    for name, group in description["groups"].items():
        typer.echo(f"group {name}: {group['entities']:,} entities, {group['augmentation']}")
    table = Table("target", "classes", "chance", box=None, pad_edge=False)
    for name, target in description["targets"].items():
        table.add_row(name, str(target["classes"]), f"{target['chance']:.3f}")
    Console().print(table)
