"""`workbench compare`: the answers of several runs side by side, and against a probe."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import JsonOption

if TYPE_CHECKING:
    import pandas as pd


class Probe(StrEnum):
    """Which probe answers are laid against."""

    q = "q"
    p = "p"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Runs that `workbench evaluate` has asked.")],
    adapter: Annotated[
        str, typer.Option(help="The finetune's name in each run; `none`: the checkpoints themselves.")
    ] = "lora",
    group: Annotated[str | None, typer.Option(help="Only the answers about this group.")] = None,
    probe: Annotated[
        Probe | None,
        typer.Option(help="Also lay each answer against this probe's accuracy: q, or p at position 0."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the figures into this HTML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lay answers of test people side by side, run by run; runs that differ in their seed alone are pooled.

    The paper's Figure 3 (answers by augmentation), Figure 10 (over the share of questions in mixed training) and,
    with --probe, its Result 5: do the runs that a probe reads well also answer well?
    """
    import json

    from rich.console import Console

    from workbench.extraction.answer_table import collect_answers, pool_seeds
    from workbench.extraction.comparison import correlate, pair_accuracies
    from workbench.extraction.evaluation import EvaluationRequest
    from workbench.extraction.text_tables import make_comparison_table, make_pair_table
    from workbench.runs import open_run

    opened = [open_run(run) for run in runs]
    named = None if adapter == "none" else adapter
    pooled = pool_seeds(collect_answers(opened, EvaluationRequest(named, group=group)))
    pairs = None if probe is None else pair_accuracies(opened, adapter=named, probe=probe.value)
    if as_json:
        content: dict[str, object] = {"answers": pooled.to_dict("records")}
        if pairs is not None:
            content |= {"pairs": pairs.to_dict("records"), "pearson": correlate(pairs)}
        typer.echo(json.dumps(content, ensure_ascii=False))
        return
    who = f" about {group}" if group else ""
    console = Console()
    title = f"answers{who}, test people ({adapter})"
    console.print(make_comparison_table(pooled, title, _paper_rows(pooled)))
    if probe is not None and pairs is not None:
        console.print()
        console.print(make_pair_table(pairs, f"{probe.value.upper()}-probe"))
    if out is not None:
        _write_figures(out, pooled, pairs, probe)
        typer.echo(f"Written to {out}.")


def _paper_rows(pooled: "pd.DataFrame") -> dict[str, dict[str, float]]:
    """The paper's answers for the same augmentations, after finetuning or mixed training."""
    from workbench.figures import paper_answers, paper_augmentations

    rows = {}
    for row in pooled.to_dict("records"):
        if row["augmentation"] in paper_augmentations():
            mixed = row["qa_ratio"] > 0
            theirs = paper_answers(row["augmentation"], mixed=mixed)
            theirs["mean"] = sum(theirs.values()) / len(theirs)
            rows[f"paper: {row['augmentation']}{', mixed' if mixed else ''}"] = theirs
    return rows


def _write_figures(
    out: Path, pooled: "pd.DataFrame", pairs: "pd.DataFrame | None", probe: Probe | None
) -> None:
    from workbench.figures.extraction import (
        plot_answers,
        plot_answers_over_ratio,
        plot_extraction_against_probing,
    )
    from workbench.report import write_figures

    figures = {"Answers of test people": plot_answers(pooled)}
    if (pooled["qa_ratio"] > 0).any():
        figures["Over the share of questions in mixed training"] = plot_answers_over_ratio(pooled)
    if probe is not None and pairs is not None:
        name = f"{probe.value.upper()}-probe"
        figures["Against probing"] = plot_extraction_against_probing(pairs, probe=name)
    write_figures(out, "Answers side by side", figures)
