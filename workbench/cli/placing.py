"""Where a command's work is done: the options of engines, and one command as several jobs."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.experiments.chains import Chain, Outcome
    from workbench.experiments.engines.jobs import Engine


class EngineName(StrEnum):
    """What runs the jobs."""

    local = "local"
    slurm = "slurm"
    ray = "ray"


@dataclass(frozen=True)
class Placement:
    """The engine's options as they were given; None is not given."""

    engine: EngineName = EngineName.local
    at_once: int | None = None
    per_job: int = 1
    gpus: int | None = None
    cpus: int | None = None
    mem: str | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    nodes: int | None = None
    slurm: Sequence[str] = ()
    setup: Sequence[str] = ()
    detach: bool = False
    dry_run: bool = False

    @property
    def is_elsewhere(self) -> bool:
        """Whether jobs are asked for, in place of this very process."""
        return self.engine is not EngineName.local or self.at_once is not None

    def make_engine(self, n_jobs: int, device: str | None, threads: int | None) -> "Engine":
        """The engine; options that it does not have are refused."""
        from workbench.experiments.engines.jobs import Needs

        self.require_fitting()
        needs = Needs(self.gpus, self.cpus, self.mem, self.at_once, device, threads)
        if self.engine is EngineName.local:
            from workbench.experiments.engines.local import Local
            from workbench.experiments.side_by_side import make_slots

            return Local(make_slots(n_jobs, self.at_once, device, threads))
        if self.engine is EngineName.ray:
            from workbench.experiments.engines.ray import Ray

            return Ray(needs, self.setup)
        from workbench.experiments.engines.slurm import Slurm
        from workbench.experiments.engines.slurm_script import Layout

        layout = Layout(self.nodes or 1, self.gpus or 1)
        options = dict(_split_option(text) for text in self.slurm)
        return Slurm(
            needs, self.partition, self.account, self.time, options, self.setup, layout,
            detach=self.detach, dry_run=self.dry_run,
        )  # fmt: skip

    def require_fitting(self) -> None:
        """Refuse options that the chosen engine knows nothing of."""
        of_slurm = ("time", "partition", "account", "nodes", "slurm", "detach", "dry_run")
        foreign = {
            EngineName.local: (*of_slurm, "gpus", "cpus", "mem", "setup"),
            EngineName.ray: of_slurm,
            EngineName.slurm: (),
        }[self.engine]  # fmt: skip
        for name in foreign:
            if getattr(self, name) not in (None, False, (), []):
                raise WorkbenchError(
                    f"--{name.replace('_', '-')} does not go with --engine {self.engine}; "
                    f"{'give --engine slurm' if name in of_slurm else 'give --engine slurm or ray'}, or leave it out."
                )

    def run(self, chains: "Sequence[Chain]", device: str | None, threads: int | None) -> "Outcome":
        """Run the jobs; the first failure is the command's."""
        from workbench.consoles import messages_console
        from workbench.experiments.chains import Outcome

        if not chains:
            return Outcome()
        return self.make_engine(len(chains), device, threads).run(chains, messages_console())


_NEW = "Where it runs"
_OPTIONS: dict[str, Any] = {
    "engine": Annotated[
        EngineName,
        typer.Option(
            help="What runs the jobs: `local` processes, a `slurm` cluster, or `ray`.",
            envvar="WORKBENCH_ENGINE", rich_help_panel=_NEW,
        ),
    ],
    "at_once": Annotated[
        int | None, typer.Option(min=1, help="Jobs at a time; by default one a GPU, or core.", rich_help_panel=_NEW)
    ],
    "per_job": Annotated[int, typer.Option(min=1, help="Checkpoints in one job.", rich_help_panel=_NEW)],
    "gpus": Annotated[int | None, typer.Option(min=0, help="GPUs of a job.", rich_help_panel=_NEW)],
    "cpus": Annotated[int | None, typer.Option(min=1, help="CPU cores, and threads, of a job.", rich_help_panel=_NEW)],
    "mem": Annotated[str | None, typer.Option(help="Memory of a job, e.g. `32G`.", rich_help_panel=_NEW)],
    "time": Annotated[
        str | None, typer.Option(help="Time limit; a job saves ahead of it and comes again.", rich_help_panel=_NEW)
    ],
    "partition": Annotated[str | None, typer.Option(help="Of the cluster.", rich_help_panel=_NEW)],
    "account": Annotated[str | None, typer.Option(help="Who pays.", rich_help_panel=_NEW)],
    "nodes": Annotated[
        int | None, typer.Option(min=1, help="Nodes of one training run, by torchrun.", rich_help_panel=_NEW)
    ],
    "slurm": Annotated[
        list[str], typer.Option(metavar="KEY=VALUE", help="Any other option of sbatch.", rich_help_panel=_NEW)
    ],
    "setup": Annotated[
        list[str], typer.Option(help="Shell ahead of each job, e.g. 'module load cuda'.", rich_help_panel=_NEW)
    ],
    "detach": Annotated[
        bool, typer.Option("--detach", help="Submit and end; the same command attaches.", rich_help_panel=_NEW)
    ],
    "dry_run": Annotated[
        bool, typer.Option("--dry-run", help="Print the script; submit nothing.", rich_help_panel=_NEW)
    ],
}  # fmt: skip


def placed(*without: str, itself: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of engines; it receives them as one `placement`, which fits the engine.

    without: options that the command has no use for. A command whose own option has such a name keeps that.
    itself: options that it understands without an engine, in some of its forms, and checks itself.
    """

    def give(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [one for one in signature.parameters.values() if one.name != "placement"]
        names = [name for name in _OPTIONS if name not in without and name not in {one.name for one in own}]
        defaults = {name: getattr(Placement, name) for name in names}
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, annotation=_OPTIONS[name],
                default=[] if name in ("slurm", "setup") else defaults[name],
            )
            for name in names
        ]  # fmt: skip

        def run(**given: Any) -> None:
            placement = Placement(**{name: given.pop(name) for name in names})
            # Ahead of any work: a command that is asked for a partition, or for a dry run, must not begin here.
            its_own: dict[str, Any] = dict.fromkeys(itself)
            replace(placement, **its_own).require_fitting()
            return command(**given, placement=placement)

        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__qualname__ = command.__qualname__
        run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in [*own, *added]}
        return run

    return give


def words_again(context: typer.Context, changes: Mapping[str, Any]) -> list[str]:
    """The words of this very command without its engine, some of its parameters changed (None leaves one out)."""
    words = [str(context.info_name)]
    options: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        value = changes[name] if name in changes else context.params.get(name)
        if name in _OPTIONS and name not in changes:
            continue
        if value is None or (name not in changes and value == parameter.get_default(context)):
            continue
        values = value if isinstance(value, list | tuple) else [value]
        if parameter.param_type_name == "argument":
            words += [_spell(one) for one in values]
        elif isinstance(value, bool):
            flags = parameter.opts if value else parameter.secondary_opts
            options += flags[:1]
        else:
            options += [word for one in values for word in (parameter.opts[0], _spell(one))]
    return [*words, *options]


def end_if_failed(failures: Iterable[str]) -> None:
    """Say what became of each job that failed, and end the command with status 1; nothing where all went well."""
    from workbench.consoles import messages_console

    failed = list(failures)
    for sentence in failed:
        messages_console().print(f"workbench: {sentence}", style="red", markup=False)
    if failed:
        raise typer.Exit(1)


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Neighbours together, so many at a time."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def _spell(value: Any) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)


def _split_option(text: str) -> tuple[str, str]:
    """`constraint=a100` → (constraint, a100); `exclusive` → (exclusive, '')."""
    key, _, value = text.removeprefix("--").partition("=")
    if not key.strip() or key.strip() in ("array", "dependency", "signal", "output", "wrap"):
        raise WorkbenchError(
            f"--slurm {text!r} cannot be given on: write e.g. constraint=a100; arrays, dependencies, signals and "
            "output are the workbench's own."
        )
    return key.strip(), value.strip()
