"""`workbench cache-acts`: the activations of any checkpoint on disk, for everything that reads them afterwards."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    CheckpointsOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    ThreadsOption,
    read_numbers,
    use_threads,
)
from workbench.cli.placing import Placement, chunks, placed, words_again
from workbench.cli.progress import step_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerFast

    from workbench.activations import ActivationStore, Checkpoint, Reading
    from workbench.experiments.chains import Job


class Toolkit(StrEnum):
    """What reads the network."""

    hooks = "hooks"
    transformer_lens = "transformer-lens"
    nnsight = "nnsight"


class Precision(StrEnum):
    """Of weights, computation and store."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@placed("nodes")
def cache_acts(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A run, a study, a model folder, a folder of models, or a hub name.")
    ],
    sites: Annotated[
        list[str], typer.Option("--sites", help="Such as `resid_post` (all blocks), `attn_out.2`, `layers`.")
    ] = ["resid_post"],  # noqa: B006
    layers: Annotated[str | None, typer.Option(help="Only these blocks, such as `0,2,4`.")] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="`last` (default of a table), `all`, `end:SPAN`, `start:SPAN`, `before:SPAN`; of a study also "
            "`positions` (default of a run), `name-end`, `names`."
        ),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Your texts: CSV, JSONL or Parquet.")] = None,
    template: Annotated[
        str | None, typer.Option(help="Makes texts from columns: `{country} lies in`.")
    ] = None,
    text: Annotated[str, typer.Option(help="The table's column of texts.")] = "text",
    targets: Annotated[str | None, typer.Option(help="Columns to keep; default: all.")] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer's folder, if not the model's own.")
    ] = None,
    checkpoints: CheckpointsOption = "last",
    revision: Annotated[
        list[str], typer.Option(help="Of a hub name, such as `step1000`; may be given several times.")
    ] = [],  # noqa: B006
    toolkit: Annotated[Toolkit, typer.Option(help="What reads the network.")] = Toolkit.hooks,
    dtype: Annotated[Precision, typer.Option(help="Of weights, computation and store.")] = Precision.float32,
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a batch with its padding; default: by device.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the stores; default: the study's own, or ./activations.")
    ] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Cache activations of one or many checkpoints; what is there already is checked and kept.

    A cache is found by the bytes of weights and texts, so a changed checkpoint never gets an old one's.
    An interrupted command is completed by giving it again. With several GPUs checkpoints are spread over them.
    """
    from workbench.activations.caching import cache_series
    from workbench.studies.opening import is_study
    from workbench.studies.series import find_series
    from workbench.training.devices import choose_devices

    use_threads(threads)
    series = find_series(model, checkpoints, revision)
    devices = choose_devices(device, len(series), several=toolkit.value == "hooks")
    reading = _make_reading(Path(model), series, table, template, text, at, targets, tokenizer)
    # A run's or study's stores lie in it.
    folder = out or (Path(model) if is_study(model) else Path()) / "activations"
    if placement.is_elsewhere:
        chains = _make_jobs(context, Path(model), series, folder, placement.per_job)
        if placement.run(chains, device, threads).detached:
            return
    with step_bar("cache-acts", quiet) as show:
        stores = cache_series(
            series,
            reading,
            sites,
            devices=devices,
            folder=folder,
            layers=None if layers is None else read_numbers(layers, "--layers"),
            engine=toolkit.value,
            dtype=dtype.value,
            batch_tokens=batch_tokens,
            show=show,
        )
    _print_stores(stores, as_json)


def _make_jobs(
    context: typer.Context, model: Path, series: "Sequence[Checkpoint]", folder: Path, per_job: int
) -> "list[list[Job]]":
    """This command for some of its models each: steps of a run, members of a series, revisions of a hub name."""
    from workbench.experiments.chains import Job
    from workbench.studies.opening import is_study

    given: dict[str, object] = {
        "quiet": True,
        "as_json": None,
        "device": None,
        "threads": None,
        "out": folder,
    }
    beside = model if is_study(model) else folder / model.name
    jobs = []
    for part in chunks(series, per_job):
        names = [source.label.rpartition("@")[2] for source in part]
        if (model / "run.json").is_file():
            names = [str(source.step) for source in part]
        only = {"checkpoints": ",".join(names)} if model.exists() else {"revision": names}
        words = words_again(context, {**given, **only})
        jobs.append([Job(f"{model.name}, {', '.join(names)}", words, beside, "caching")])
    return jobs


def _make_reading(
    model: Path,
    series: "Sequence[Checkpoint]",
    table: Path | None,
    template: str | None,
    text: str,
    at: list[str] | None,
    targets: str | None,
    tokenizer: Path | None,
) -> "Reading":
    """The study's own texts, or the user's table with the model's tokenizer."""
    from workbench.errors import WorkbenchError
    from workbench.studies.checkpoints import INFO_FILE
    from workbench.studies.one_tokenizer import require_one_tokenizer
    from workbench.studies.opening import is_study, open_study
    from workbench.studies.readings import read_study
    from workbench.tokens.opening import load_tokenizer
    from workbench.tokens.table import read_table

    if table is None:
        if not is_study(model):
            raise WorkbenchError(
                f"{model} is no run or study, so it has no texts of its own; name yours with --table."
            )
        return read_study(open_study(model), at or ())

    def read(with_tokenizer: "PreTrainedTokenizerFast") -> "Reading":
        return read_table(
            table,
            with_tokenizer,
            template=template,
            text=text,
            at=at or ["last"],
            targets=None if targets is None else [name.strip() for name in targets.split(",")],
            # A model this project trained has never seen a text without end-of-text before it.
            start="eos" if (series[0].path / INFO_FILE).is_file() else "tokenizer",
        )

    if tokenizer is None:
        require_one_tokenizer(series, series[0].path, lambda other: read(other).ids)
    return read(load_tokenizer(tokenizer or series[0].path))


def _print_stores(stores: "list[ActivationStore]", as_json: bool) -> None:
    """What was cached, and where."""
    import json

    from workbench.files import format_bytes

    if as_json:
        rows = [
            {
                "path": str(store.path),
                **store.manifest["made_from"],
                "weights_digest": store.weights_digest,
                "data_digest": store.manifest["data_digest"],
                "texts": store.manifest["texts"],
                "positions": store.position_labels,
                "sites": list(store),
                "bytes": store.bytes,
            }
            for store in stores
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for store in stores:
        typer.echo(
            f"{store.manifest['made_from']['label']}: {store.manifest['texts']:,} texts × "
            f"{len(store.position_labels)} positions × {len(store)} sites, {format_bytes(store.bytes)} in {store.path}"
        )
