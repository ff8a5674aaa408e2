"""`workbench reproduce`: the papers' results at the size of this machine, beside their numbers, with verdicts."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    SetOption,
    ThreadsOption,
    read_seed_list,
    refuse_idle,
    write_seeds,
)
from workbench.cli.placing import EngineName, Placement, end_if_failed, placed
from workbench.consoles import messages_console, results_console
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.experiments.declared_arms import SharedArm

AUGMENTATIONS = "single,multi5+permute"


@placed("per_job", "nodes")
def reproduce(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Experiments: `part-3.1`, `part-3.2`, `part-3.3`, `part-2`, `confounds`, or files of your own. Or one "
            "recipe (`tiny`, a file), whose Figures 3, 5, 7 and 13 are made for --augmentations; default: `tiny`.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All shipped experiments.")] = False,
    scale: Annotated[
        str, typer.Option(help="Of experiments: `quick`, `tiny`, `small`, `paper`, or a recipe.")
    ] = "tiny",
    seeds: Annotated[
        str,
        typer.Option(
            metavar="N", help="`3`: the first three; or a list such as `0,2`. Of everything random."
        ),
    ] = "1",
    arms: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Of experiments: only these arms.")
    ] = None,
    augmentations: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Of a recipe, in the paper's notation; `all`: the 16 it has numbers for. Default: "
            f"`{AUGMENTATIONS}`.",
        ),
    ] = None,
    overrides: SetOption = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder for runs, report and verdicts.")] = Path(
        "runs/reproduction"
    ),
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the page of verdicts into this Markdown file."),
    ] = None,
    finetune_steps: Annotated[
        int | None, typer.Option(min=1, help="Of a recipe; default by size: 1,500, or the paper's 50,000.")
    ] = None,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Decide from what is there; train and measure nothing.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what it will cost (SLURM: and the scripts); start nothing."),
    ] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Decide the papers' claims: train, probe, finetune and ask what an experiment declares, and judge each claim.

    A claim is a written inequality; it holds, fails, or is undecided with what would decide it. Models that several
    experiments ask for are trained once, and what is finished is kept: run it again after an interruption, or with more
    seeds. With a recipe in place of experiments: one table of probes and answers by augmentation beside the paper.
    """
    from workbench.claims.declared import shipped_experiments

    placement = replace(placement, dry_run=dry_run and placement.engine is EngineName.slurm)
    if every and names:
        raise WorkbenchError(f"--all stands for every experiment; leave out {names[0]!r}, or --all.")
    wanted = shipped_experiments() if every else list(names or [])
    if len(wanted) < 2 and not every and (not wanted or _is_recipe(wanted[0])):
        recipe = wanted[0] if wanted else "tiny"
        refuse_idle(context, ["scale", "arms", "results", "no_run"], "with a recipe")
        _reproduce_recipe(
            recipe, augmentations or AUGMENTATIONS, read_seed_list(seeds), overrides, out, finetune_steps, dry_run,
            device, threads, as_json, placement,
        )  # fmt: skip
        return
    refuse_idle(context, ["augmentations", "finetune_steps"], "with experiments")
    _reproduce_experiments(
        wanted,
        _Asked(
            scale, read_seed_list(seeds), arms, overrides, out, results, no_run, dry_run, device, threads, as_json,
            placement,
        ),
    )  # fmt: skip


def _is_recipe(name: str) -> bool:
    """Whether a name is a recipe's: a shipped one, or a file that declares no claims."""
    from workbench.claims.declared import shipped_experiments
    from workbench.recipes.recipe import shipped_recipes
    from workbench.text_files import read_text

    if Path(name).is_file():
        return "[[claims]]" not in read_text(Path(name))
    return name in shipped_recipes() and name not in shipped_experiments()


@dataclass(frozen=True)
class _Asked:
    """What the command was given."""

    scale: str
    seeds: tuple[int, ...]
    arms: str | None
    overrides: list[str]
    out: Path
    results: Path | None
    no_run: bool
    dry_run: bool
    device: str | None
    threads: int | None
    as_json: bool
    placement: Placement


def _reproduce_experiments(names: list[str], asked: _Asked) -> None:
    """Plan, run, judge; print, write."""
    import json

    from workbench.claims.declared import load_experiment, shipped_experiments
    from workbench.claims.kept import write_verdicts
    from workbench.claims.tables import make_page, make_verdict_table
    from workbench.experiments.arms import make_folder
    from workbench.experiments.declared_arms import plan_arms, read_arms
    from workbench.experiments.reproducing import judge_all, keep_all, run_plan
    from workbench.files import write_atomically
    from workbench.report import write_report

    experiments = [load_experiment(name) for name in names]
    messages, scale, seeds = messages_console(), asked.scale, asked.seeds
    folder = asked.out / Path(scale).stem
    only = [] if asked.arms is None else read_arms(asked.arms, experiments)
    plan = plan_arms(experiments, scale, seeds, folder, only=only, overrides=asked.overrides)
    if asked.dry_run:
        _print_costs(plan.arms, scale, asked.threads, asked.placement, asked.as_json)
        if not asked.placement.dry_run:
            return
    make_folder(folder)
    failures: tuple[str, ...] = ()
    if not asked.no_run and plan.arms:
        engine = asked.placement.make_engine(len(plan.arms), asked.device, asked.threads)
        passed = run_plan(plan, scale, messages, engine)
        failures = passed.failures
        if passed.detached or asked.placement.dry_run:
            return
    verdicts = judge_all(experiments, plan, scale, seeds)
    options = ["--scale", scale, "--seeds", write_seeds(seeds)]
    options += [word for change in asked.overrides for word in ("--set", change)]
    commands = {
        experiment.name: shlex.join(["workbench", "reproduce", name, *options])
        for name, experiment in zip(names, experiments, strict=True)
    }
    which = ["--all"] if list(names) == shipped_experiments() else names
    only_arms = [] if asked.arms is None else ["--arms", asked.arms]
    words = ["workbench", "reproduce", *which, *options, *only_arms, *["--no-run"] * asked.no_run]
    command = shlex.join(words)
    kept = keep_all(experiments, verdicts, plan, scale, seeds, command, commands)
    file = write_verdicts(folder, kept)
    page = make_page(experiments, verdicts, kept)
    for place in (folder / "results.md", *([] if asked.results is None else [asked.results])):
        write_atomically(place, page)
    trained = [
        shared.arm.path for shared in plan.arms if shared.arm.is_trained and shared.asked_by[0][2] == seeds[0]
    ]
    report = write_report(trained, folder / "report.html", verdicts=kept) if trained else None
    if asked.as_json:
        typer.echo(json.dumps({**kept.model_dump(mode="json"), "kept": str(file)}, ensure_ascii=False))
    else:
        results_console().print(make_verdict_table(verdicts))
        for experiment in experiments:
            if any(one.word == "not measured" and one.experiment == experiment.name for one in verdicts):
                typer.echo(f"not measured of {experiment.name}: {commands[experiment.name]}")
        written = f"{asked.results or folder / 'results.md'}" + (f" and {report}" if report else "")
        typer.echo(f"Written to {written}")
    end_if_failed(failures)


def _print_costs(
    shared: "list[SharedArm]", scale: str, threads: int | None, placement: Placement, as_json: bool
) -> None:
    """What is to come, as a table or JSON on stdout."""
    import json

    from workbench.experiments.costs import foresee_costs, make_cost_table
    from workbench.experiments.side_by_side import count_cores

    messages_console().print("Looking at the recipes, and timing what this machine can train …", style="dim")
    costs = foresee_costs(shared, scale, threads)
    if as_json:
        rows = [
            {
                "arm": cost.arm.name, "parameters": cost.parameters, "tokens": cost.tokens, "minutes": cost.minutes,
                "left": cost.left, "gpu_hours": cost.gpu_hours, "disk": cost.disk, "kept": cost.kept,
                "unforeseen": sorted(cost.unforeseen),
            }
            for cost in costs
        ]  # fmt: skip
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    at_once = placement.at_once or max(1, count_cores() // (threads or 1))
    results_console().print(make_cost_table(costs, at_once))


def _reproduce_recipe(
    recipe: str,
    augmentations: str,
    seeds: tuple[int, ...],
    overrides: list[str],
    out: Path,
    finetune_steps: int | None,
    dry_run: bool,
    device: str | None,
    threads: int | None,
    as_json: bool,
    placement: Placement,
) -> None:
    """One table by augmentation: P at position 0, Q, and answers, beside the paper's."""
    import json
    import math

    from workbench.experiments import reproduction
    from workbench.experiments.arms import make_folder
    from workbench.report import write_report

    chosen = [text.strip() for text in augmentations.split(",") if text.strip()]
    arms = reproduction.make_arms(recipe, overrides, chosen, seeds, out)
    if dry_run and not placement.dry_run:
        from workbench.claims.stages import Stage
        from workbench.experiments.declared_arms import SharedArm

        stages = {"p": Stage(kind="p"), "q": Stage(kind="q"), "lora": Stage(kind="finetune")}
        _print_costs([SharedArm(arm, stages) for arm in arms], recipe, threads, placement, as_json)
        return
    make_folder(out)
    engine = placement.make_engine(len(arms), device, threads)
    if reproduction.reproduce(arms, messages_console(), engine, finetune_steps=finetune_steps).detached:
        return
    rows = reproduction.summarise(arms)
    pearson = reproduction.correlate_answers(arms)
    report = write_report([arm.path for arm in arms], out / "report.html")
    if as_json:
        known = None if math.isnan(pearson) else pearson
        typer.echo(json.dumps({"rows": rows, "pearson": known, "report": str(report)}, ensure_ascii=False))
        return
    results_console().print(reproduction.make_summary_table(rows, pearson))
    typer.echo(f"Written to {report}; next: workbench ui {out}")
