"""`workbench verify`: whether checkpoints, series and stores are what they say they are."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import JsonOption


def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Runs, studies, folders of them; model folders, folders of models, or stores."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Check files against their digests, tensors against the config, steps against names, a series against
    itself.

    Of a run or study everything is read that it keeps: models, activations, results, cases, finetunes. Prints one
    sentence for each fault; the exit status is 1 where there is any.
    """
    import json
    from collections import Counter

    from workbench.experiments.verifying import verify_folder

    verdicts = [verify_folder(path) for path in paths]
    checked = [item for verdict in verdicts for item in verdict.checked]
    faults = [fault for verdict in verdicts for fault in verdict.faults]
    if as_json:
        typer.echo(json.dumps({"checked": checked, "faults": faults}, indent=2))
    else:
        for fault in faults:
            typer.echo(f"{fault}.")
        kinds = Counter(item.partition(" ")[0] for item in checked)
        what = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
        typer.echo(f"{len(checked)} checked ({what}), {len(faults)} fault{'' if len(faults) == 1 else 's'}.")
    if faults:
        raise typer.Exit(1)
