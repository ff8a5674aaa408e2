"""`workbench compare`: the answers of several runs side by side, and against a probe."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import JsonOption, refuse_idle
from workbench.consoles import results_console

if TYPE_CHECKING:
    import pandas as pd

    from workbench.studies.study import Study


class Probe(StrEnum):
    """Which probe answers are laid against."""

    q = "q"
    p = "p"


def compare(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(help="Runs that `workbench evaluate` has asked.")],
    adapter: Annotated[
        str, typer.Option(help="The finetune's name in each run; `none`: the checkpoints themselves.")
    ] = "lora",
    group: Annotated[str | None, typer.Option(help="Only the answers about this group.")] = None,
    probe: Annotated[
        Probe | None,
        typer.Option(help="Also lay each answer against this probe's accuracy: q, or p at position 0."),
    ] = None,
    fold: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="Runs taken together: those that differ in `seed` alone, or have one value of another recipe key.",
        ),
    ] = "seed",
    tasks: Annotated[
        bool,
        typer.Option("--tasks", help="Lay the answers to tasks side by side, of every finetune of the runs."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the figures into this HTML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lay answers of test entities side by side, run by run; of runs taken together the mean with Student's interval.

    The paper's Figure 3 (answers by augmentation; 9 for `gbert`), Figure 10 (over the share of questions in mixed
    training), Figure 8 (--group minority, beside the minority alone) and, with --probe, its Result 5: do the runs
    that a probe reads well also answer well?
    """
    import json
    import math

    from workbench.extraction.answer_table import collect_answers, pool_seeds
    from workbench.extraction.comparison import correlate, pair_accuracies
    from workbench.extraction.evaluation import EvaluationRequest
    from workbench.extraction.text_tables import make_comparison_table, make_pair_table, make_ratio_table
    from workbench.studies.folds import SEED, fold_runs, recipe_of
    from workbench.studies.opening import open_studies
    from workbench.studies.study import name_apart

    if tasks:
        refuse_idle(context, ["adapter", "group", "probe", "fold"], "with --tasks")
    opened = open_studies(runs)
    if tasks:
        _compare_tasks(opened, out, as_json)
        return
    named = None if adapter == "none" else adapter
    folds = None if fold == SEED else fold_runs(name_apart(opened), [recipe_of(run) for run in opened], fold)
    pooled = pool_seeds(collect_answers(opened, EvaluationRequest(named, group=group)), folds)
    pairs = None if probe is None else pair_accuracies(opened, adapter=named, probe=probe.value, group=group)
    if as_json:
        content: dict[str, object] = {"answers": json.loads(pooled.to_json(orient="records"))}
        if pairs is not None:
            pearson = correlate(pairs)
            content |= {
                "pairs": pairs.to_dict("records"),
                "pearson": None if math.isnan(pearson) else pearson,
            }
        typer.echo(json.dumps(content, ensure_ascii=False))
        return
    who = f" about {group}" if group else ""
    console = results_console()
    title = f"answers{who}, test entities ({adapter})"
    grouped = group is not None and any(len(run.groups) > 1 for run in opened)
    console.print(make_comparison_table(pooled, title, _paper_rows(pooled, grouped)))
    if pooled.loc[pooled["qa_ratio"] > 0, "qa_ratio"].nunique() > 1:
        console.print()
        console.print(make_ratio_table(pooled, _paper_ratios(pooled)))
    if probe is not None and pairs is not None:
        console.print()
        console.print(make_pair_table(pairs, f"{probe.value.upper()}-probe"))
    if out is not None:
        _write_figures(out, pooled, pairs, probe)
        typer.echo(f"Written to {out}.")


def _compare_tasks(runs: "list[Study]", out: Path | None, as_json: bool) -> None:
    import json

    from workbench.extraction.task_tables import collect_tasks, make_task_table
    from workbench.figures.tasks import choose_task_figures
    from workbench.report import write_figures

    rows = collect_tasks(runs)
    if as_json:
        typer.echo(json.dumps({"tasks": json.loads(rows.to_json(orient="records"))}, ensure_ascii=False))
    else:
        results_console().print(make_task_table(rows))
    if out is not None:
        write_figures(out, "Tasks side by side", choose_task_figures(rows))
        typer.echo(f"Written to {out}.", err=as_json)


def _paper_rows(pooled: "pd.DataFrame", grouped: bool) -> dict[str, dict[str, float]]:
    """The paper's answers for the same architectures and augmentations, after finetuning or mixed training; where
    answers about one of several `grouped` entities are compared, also those about its minority.
    """
    from workbench.figures import paper_answers, paper_answers_beside_celebrities, paper_augmentations

    rows: dict[str, dict[str, float]] = {}
    for row in pooled.to_dict("records"):
        augmentation = row["augmentation"]
        if augmentation not in paper_augmentations():
            continue
        mixed, gbert = row["qa_ratio"] > 0, row["architecture"] == "gbert"
        what = f"paper: {'gbert ' if gbert else ''}{augmentation}{', mixed' if mixed else ''}"
        rows[what] = paper_answers(augmentation, mixed=mixed, gbert=gbert)
        if grouped and not mixed and not gbert:
            beside = paper_answers_beside_celebrities(augmentation)
            rows |= {f"{what} beside celebrities": beside} if beside else {}
    return {name: {**row, "mean": sum(row.values()) / len(row)} for name, row in rows.items()}


def _paper_ratios(pooled: "pd.DataFrame") -> dict[str, dict[float, float]]:
    """The paper's Figure 10 for the augmentations of these runs in mixed training."""
    from workbench.figures import paper_answers_by_ratio

    mixed = pooled[(pooled["qa_ratio"] > 0) & (pooled["architecture"] != "gbert")]
    found = {name: paper_answers_by_ratio(name) for name in mixed["augmentation"].unique()}
    return {name: ratios for name, ratios in found.items() if ratios}


def _write_figures(
    out: Path, pooled: "pd.DataFrame", pairs: "pd.DataFrame | None", probe: Probe | None
) -> None:
    from workbench.figures.extraction import (
        plot_answers,
        plot_answers_over_ratio,
        plot_extraction_against_probing,
    )
    from workbench.report import write_figures

    figures = {"Answers of test entities": plot_answers(pooled)}
    if (pooled["qa_ratio"] > 0).any():
        figures["Over the share of questions in mixed training"] = plot_answers_over_ratio(
            pooled, _paper_ratios(pooled)
        )
    if probe is not None and pairs is not None:
        name = f"{probe.value.upper()}-probe"
        figures["Against probing"] = plot_extraction_against_probing(pairs, probe=name)
    write_figures(out, "Answers side by side", figures)
