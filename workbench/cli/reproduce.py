"""`workbench reproduce`: the paper's main results at the size of this machine, beside its numbers."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import DeviceOption, JsonOption, SetOption, ThreadsOption, make_console, read_seeds
from workbench.cli.placing import Placement, placed


@placed("per_job", "nodes")
def reproduce(
    recipe: Annotated[
        str, typer.Argument(help="The scale: `tiny`, `small`, `paper`, or a recipe file of your own.")
    ] = "tiny",
    augmentations: Annotated[
        str, typer.Option(metavar="A,B,…", help="In the paper's notation; `all`: the 16 it has numbers for.")
    ] = "single,multi5+permute",
    seeds: Annotated[
        str, typer.Option(metavar="S,T,…", help="Of entities, texts, weights and probes.")
    ] = "0",
    overrides: SetOption = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder for the runs and the report.")] = Path(
        "runs/reproduction"
    ),
    finetune_steps: Annotated[
        int | None, typer.Option(min=1, help="Default by size: 1,500, or the paper's 50,000.")
    ] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Train models of several augmentations, probe, finetune and ask each, and lay them beside the paper.

    Its Figures 5, 13, 7 and 3 in one table and one report. Run it again after an interruption, or with more
    augmentations or seeds: what is finished is kept.
    """
    import json
    import math

    from rich.console import Console

    from workbench.experiments import reproduction
    from workbench.experiments.arms import make_folder
    from workbench.report import write_report

    chosen = [text.strip() for text in augmentations.split(",") if text.strip()]
    arms = reproduction.make_arms(recipe, overrides, chosen, read_seeds(seeds), out)
    make_folder(out)
    engine = placement.make_engine(len(arms), device, threads)
    if reproduction.reproduce(arms, make_console(), engine, finetune_steps=finetune_steps).detached:
        return
    rows = reproduction.summarise(arms)
    pearson = reproduction.correlate_answers(arms)
    report = write_report([arm.path for arm in arms], out / "report.html")
    if as_json:
        known = None if math.isnan(pearson) else pearson
        typer.echo(json.dumps({"rows": rows, "pearson": known, "report": str(report)}, ensure_ascii=False))
        return
    Console().print(reproduction.make_summary_table(rows, pearson))
    typer.echo(f"Written to {report}; next: workbench ui {out}")
