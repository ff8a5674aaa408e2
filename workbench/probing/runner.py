"""Probe several checkpoints of a run and keep the results; nothing that exists is made twice."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.checkpoints import Checkpoint
from workbench.errors import WorkbenchError
from workbench.probing.embedding_probe import ProbeSettings
from workbench.probing.p_probe import make_p_probe_data, p_probe_settings, run_p_probe
from workbench.probing.q_probe import make_q_probe_data, q_probe_settings, run_q_probe
from workbench.results import load_result, result_path, save_result, weights_digests
from workbench.runs import Run

if TYPE_CHECKING:
    import xarray as xr

Show = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class ProbeRequest:
    """Which probe to run; what is None comes from the recipe."""

    kind: str = "p"
    family: str = "embedding"
    group: str | None = None
    rank: int | None = None
    steps: int | None = None
    seed: int = 0
    again: bool = False

    def settings(self, run: Run) -> ProbeSettings:
        """The settings this request means for a run."""
        base = (p_probe_settings if self.kind == "p" else q_probe_settings)(run.recipe.probing, self.seed)
        changes = {key: value for key in ("rank", "steps") if (value := getattr(self, key)) is not None}
        return replace(base, **changes)

    @property
    def variant(self) -> str:
        """What tells this result's folder from the plain one: `rank4`, `group-minority`, `seed1`."""
        parts = [f"group-{self.group}"] if self.group else []
        parts += [f"rank{self.rank}"] if self.rank is not None else []
        parts += [f"steps{self.steps}"] if self.steps is not None else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "+".join(parts)


def run_probes(
    run: Run,
    checkpoints: Sequence[Checkpoint],
    request: ProbeRequest,
    *,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """Probe each checkpoint, or load its result where one of the same weights and settings exists.

    `show(what, step, steps, loss)` follows the training of each probe.
    """
    _require_group(run, request.group)
    settings = request.settings(run)
    p_data = q_data = None
    datasets = []
    for checkpoint in checkpoints:
        path = result_path(run.path, request.kind, request.family, checkpoint.step, request.variant)
        found = None if request.again else _existing(path, checkpoint, settings)
        if found is not None:
            datasets.append(found)
            continue

        def observer(step: int, steps: int, loss: float, at: int = checkpoint.step) -> None:
            if show:
                show(f"{request.kind}-probe, step {at}", step, steps, loss)

        if request.kind == "p":
            p_data = p_data or make_p_probe_data(run, request.group)
            result = run_p_probe(run, checkpoint, p_data, settings=settings, device=device, observer=observer)
        else:
            q_data = q_data or make_q_probe_data(run, request.group)
            result = run_q_probe(run, checkpoint, q_data, settings=settings, device=device, observer=observer)
        result.attrs["variant"] = request.variant
        save_result(path, result)
        datasets.append(result)
    return datasets


def _existing(path: Path, checkpoint: Checkpoint, settings: ProbeSettings) -> "xr.Dataset | None":
    """The result at `path` if it was made from these weights with these settings."""
    if not path.is_file():
        return None
    dataset = load_result(path)
    same_weights = set(weights_digests(dataset).values()) == {checkpoint.weights_digest}
    return dataset if same_weights and json.loads(dataset.attrs["settings"]) == asdict(settings) else None


def _require_group(run: Run, group: str | None) -> None:
    known = sorted({person.group for person in run.corpus.people})
    if group is not None and group not in known:
        raise WorkbenchError(f"{run.path} has no group {group!r}; its groups are {', '.join(known)}.")
