"""`workbench cases`: what a probe guessed and what was answered, entity by entity."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import JsonOption, RunArgument
from workbench.consoles import results_console

if TYPE_CHECKING:
    from workbench.results.cases import FoundCases


class Where(StrEnum):
    """Which cases."""

    all = "all"
    both_right = "both-right"
    probe_only = "probe-only"
    answer_only = "answer-only"
    both_wrong = "both-wrong"
    probe_right = "probe-right"
    probe_wrong = "probe-wrong"
    answer_right = "answer-right"
    answer_wrong = "answer-wrong"


def cases(
    run: RunArgument,
    probe: Annotated[
        str,
        typer.Option(
            help="The probe, as results are called: `p-embedding`, `q-logistic`; `none`: answers only."
        ),
    ] = "",
    answers: Annotated[
        str, typer.Option(help="The answers: `qa-lora+lora`, `qa-none`; `none`: the probe only.")
    ] = "",
    step: Annotated[
        int | None,
        typer.Option(min=0, help="The newest cases not after this step, else the first; default: the last."),
    ] = None,
    position: Annotated[str, typer.Option(help="Where a probe reads; default: position 0.")] = "",
    layer: Annotated[str, typer.Option(help="Of probes on activations; default: the last layer.")] = "",
    form: Annotated[
        str, typer.Option(help="What is predicted of a value: `whole` (default), `first` or a part.")
    ] = "",
    attribute: Annotated[str | None, typer.Option(help="Only this attribute.")] = None,
    where: Annotated[
        Where, typer.Option(help="Which cases; `probe-only`: the probe right, the answer wrong.")
    ] = Where.all,
    find: Annotated[str, typer.Option(help="Only entities whose name or values hold this text.")] = "",
    rows: Annotated[int, typer.Option(min=0, help="How many cases to print.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Write all of them: .csv, .json or .parquet.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a probe guessed and what was answered about each entity, and how often only one of them is right.

    `probe` and `evaluate` keep these cases beside their results. An entity that lacks an attribute, or whose value has
    been said already, counts nowhere.
    """
    import json

    from workbench.results.case_words import find_text, make_case_table, make_count_table, write_cases
    from workbench.results.cases import CaseChoice, find_cases, tabulate_cases
    from workbench.studies.opening import open_study

    opened = open_study(run)
    found = find_cases(opened.path, CaseChoice(probe, answers, step, layer, position, form))
    frame = find_text(tabulate_cases(opened, found, where=where.value, attribute=attribute), find)
    if out is not None:
        write_cases(frame, out)
    if as_json:
        content = {
            **frame.attrs,
            "counts": _counts(found),
            "cases": json.loads(frame.to_json(orient="records")),
        }
        typer.echo(json.dumps(content, ensure_ascii=False))
        return
    console = results_console()
    console.print(make_count_table(found, opened.name))
    if rows and len(frame):
        console.print()
        console.print(make_case_table(frame.head(rows), len(frame)))
    for note in found.notes:
        console.print(note, style="dim")
    if out is not None:
        console.print(f"{len(frame):,} cases written to {out}.")


def _counts(found: "FoundCases") -> dict[str, dict[str, int]]:
    """attribute → filter → how many."""
    return {
        name: {where.value: found.table.count(where.value, name) for where in Where}
        for name in found.table.attributes
    }
