"""What `workbench probe --kind v` does: a named query behind a prefix of a text."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from workbench.cli.progress import keep_progress, step_bar

if TYPE_CHECKING:
    from workbench.studies.checkpoints import Checkpoint
    from workbench.studies.study import Study


def probe_queries(
    runs: "Sequence[Study]",
    chosen: "Sequence[Sequence[Checkpoint]]",
    properties: str,
    operations: int | None,
    table: Path | None,
    layers: str,
    rank: int | None,
    steps: int | None,
    seeds: tuple[int, ...],
    again: bool,
    device: str | None,
    quiet: bool,
    as_json: bool,
    figure: Path | None,
) -> None:
    """Probe each run, layer and seed, and print one line for each property and checkpoint.

    chosen: each run's checkpoints.
    """
    import json

    from workbench.figures.reasoning import plot_properties
    from workbench.figures.reasoning_tables import list_properties, print_properties
    from workbench.reasoning.v_probe import RANK, VRequest, read_layers, run_v_probes
    from workbench.report import write_figures
    from workbench.worlds.arithmetic.properties import PROPERTIES, require_property

    wanted = (
        PROPERTIES
        if properties == "all"
        else tuple(require_property(name.strip()) for name in properties.split(","))
    )
    shown = {}
    with step_bar("v-probe", quiet) as bar:
        for run, of_run in zip(runs, chosen, strict=True):
            made = []
            with keep_progress(run, bar) as show:
                for layer in read_layers(layers, of_run[-1]):
                    for seed in seeds:
                        request = VRequest(
                            wanted,
                            table,
                            layer,
                            operations,
                            RANK if rank is None else rank,
                            steps,
                            seed,
                            again=again,
                        )
                        made += run_v_probes(run, of_run, request, device=device, show=show)
            shown[run.name] = made
    datasets = [dataset for made in shown.values() for dataset in made]
    if as_json:
        typer.echo(json.dumps(list_properties(datasets)))
    else:
        print_properties(datasets)
    if figure is not None:
        write_figures(
            figure,
            " · ".join(shown),
            {
                f"{name}: what is known before it is written": plot_properties(made)
                for name, made in shown.items()
            },
        )
