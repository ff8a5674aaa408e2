"""`workbench data`: make a recipe's corpus and look at it before training; start a folder of facts of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import JsonOption, SetOption
from workbench.consoles import results_console

if TYPE_CHECKING:
    from workbench.recipes.recipe import Recipe
    from workbench.studies.corpus import Corpus


def data(
    recipe: Annotated[
        str, typer.Argument(help="A recipe, a shipped one's name, or a folder of your own facts.")
    ],
    init: Annotated[
        bool, typer.Option("--init", help="Write a folder of facts by this name, to start from.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write entities, biographies and questions to.")
    ] = None,
    overrides: SetOption = [],  # noqa: B006
    samples: Annotated[int, typer.Option(min=0, help="How many entities to print.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Make entities, entries and questions; print samples, tokens per entry and chance per target.

    `workbench data NEW --init` writes a folder of invented towns; put your own facts in their place.
    """
    import json

    from workbench.studies.corpus import make_corpus, save_corpus
    from workbench.studies.corpus_statistics import describe_corpus

    if init:
        _start_folder(Path(recipe))
        return
    loaded = _load(recipe, overrides)
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


def _load(source: str, overrides: list[str]) -> "Recipe":
    """The recipe, or for a folder of facts the shipped recipe `own` on it."""
    from workbench.recipes.recipe import load_recipe

    if Path(source).is_dir():
        return load_recipe("own", [f"own.folder={_quote(source)}", *overrides])
    return load_recipe(source, overrides)


def _quote(text: str) -> str:
    """A text as TOML and JSON write it alike, so that no path is read as a number."""
    import json

    return json.dumps(text, ensure_ascii=False)


def _start_folder(folder: Path) -> None:
    from workbench.worlds.own.example import write_example

    write_example(folder)
    typer.echo(f"Written to {folder}: facts.toml, entities.csv and templates/ of invented towns.")
    typer.echo(f"next: workbench data {folder}, workbench train own --set own.folder={folder}")


def _print_samples(corpus: "Corpus", number: int) -> None:
    from itertools import islice

    import numpy as np

    from workbench.worlds.entry_sequence import entry_entities

    for entity in islice(corpus.entities, number):
        typer.echo(f"Entity {entity.id} ({entity.group}, {entity.split}): {entity.name}")
        for row in np.flatnonzero(entry_entities(corpus.entries) == entity.id):
            typer.echo(f"  {corpus.entries[int(row)].text}")
        if entity.id == 0:
            for question in islice(corpus.questions, len(corpus.schema)):
                if question.entity == 0:  # fewer than all where a value is missing
                    typer.echo(f"  {question.text}")
        typer.echo("")


def _print_description(description: dict[str, Any]) -> None:
    from rich.table import Table

    from workbench.facts.dependence import tell_dependent

    tokens = description["tokens_per_entry"]
    typer.echo(
        f"{description['entities']:,} entities "
        f"({description['train_entities']:,} train, {description['test_entities']:,} test), "
        f"{description['entries']:,} entries of {tokens['mean']} tokens ({tokens['min']} to {tokens['max']}), "
        f"{description['questions']:,} questions, vocabulary of {description['vocabulary']:,}"
    )
    for name, group in description["groups"].items():
        typer.echo(f"group {name}: {group['entities']:,} entities, {group['augmentation']}")
    for attribute, number in description["missing"].items():
        typer.echo(f"{attribute} is missing of {number:,} entities")
    for line in tell_dependent(description["follows"]):
        typer.echo(line)
    table = Table("target", "classes", "chance", box=None, pad_edge=False)
    for name, target in description["targets"].items():
        table.add_row(name, str(target["classes"]), f"{target['chance']:.3f}")
    results_console().print(table)
