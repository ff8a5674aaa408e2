"""Probe several checkpoints of a run and keep the results; nothing that exists is made twice."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.field_checks import several
from workbench.minutes import Show
from workbench.probing.kept_probe import name_family, require_room, was_another
from workbench.probing.p_probe import PProbeData, make_p_probe_data, run_p_probe
from workbench.probing.pooling import join_seeds
from workbench.probing.q_probe import QProbeData, make_q_probe_data, run_q_probe
from workbench.probing.request import EMBEDDING, ProbeRequest
from workbench.probing.seen_probe import describe_settings, run_seen_probe
from workbench.results.case_files import KeepCases, save_cases
from workbench.results.making import making
from workbench.results.storing import find_result, load_results, result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.opening import as_study
from workbench.studies.steps import Which
from workbench.studies.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from workbench.probing.cached_probe import CachedProbeTask

log = logging.getLogger("workbench.probing")


def run_probes(
    run: Study,
    checkpoints: Sequence[Checkpoint],
    request: ProbeRequest,
    *,
    probe: Any = None,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """Probe each checkpoint, or load its result where one of the same weights and settings exists.

    probe: an object of your own that the request's family is the name of (see `probe_activations`).
    `show(what, done, total, loss)` follows the work: training steps of embedding probes, else checkpoints.
    """
    run.require_group(request.group)
    if request.kind != "q" and run.bidirectional:
        raise WorkbenchError(
            f"{run.path} is bidirectional: at every position it has read the very values that a P-probe asks for. "
            "Probe the bare name with --kind q."
        )
    prober = _Prober(run, request, probe, device, show, len(checkpoints))
    _ = prober.source  # before anything is fitted
    datasets = []
    for number, checkpoint in enumerate(checkpoints):
        path = result_path(
            run.path, request.result_kind, request.family_name, checkpoint.step, request.variant
        )
        found = (
            None if request.again else find_result(path, checkpoint.weights_digest, prober.recorded_settings)
        )
        if found is not None and was_another(prober.source, found):
            log.warning("%s has changed since it was kept; it is fitted anew.", request.family)
            found = None
        if found is None:
            with making(path, "probed"):
                found, cases = prober.probe(checkpoint, number)
                found.attrs["variant"] = request.variant
                notes = json.loads(found.attrs["notes"]) | {"cases": cases is not None}
                if request.entries_per_entity is not None:
                    notes["entries_per_entity"] = request.entries_per_entity
                found.attrs["notes"] = json.dumps(notes, sort_keys=True)
                save_cases(path, found, cases)
                save_result(path, found)
        datasets.append(found)
    return datasets


def find_missing(run: Study, checkpoints: Sequence[Checkpoint], request: ProbeRequest) -> list[Checkpoint]:
    """The checkpoints whose result `run_probes` would have to make."""
    prober = _Prober(run, request, None, None, None, len(checkpoints))
    name, variant = request.family_name, request.variant

    def find(one: Checkpoint) -> "xr.Dataset | None":
        path = result_path(run.path, request.result_kind, name, one.step, variant)
        return find_result(path, one.weights_digest, prober.recorded_settings)

    return [
        one
        for one in checkpoints
        if request.again or (found := find(one)) is None or was_another(prober.source, found)
    ]


def probe_activations(
    run: Study | Path | str,
    probe: Any = "logistic",
    *,
    kind: str = "p",
    checkpoints: Which = "last",
    family: str | None = None,
    layers: Sequence[int | str] | int | str | None = None,
    group: str | None = None,
    seeds: Sequence[int] | int = (0,),
    device: str | None = None,
    again: bool = False,
) -> "xr.Dataset":
    """Probe what a run's checkpoints hold at every layer and position; dims (checkpoint, layer, position, target).

    run: a run or a study, or its folder. probe: a built-in name (`logistic`, `ridge`, `lda`, `nearest-mean`, `mlp`), or
    your own object with `fit(X, y)` and `predict(X)`; a fresh copy is fitted for each cell, on train entities. kind:
    `p` (texts) or `q` (names). checkpoints: `all`, `last`, `every:4`, steps (225, or [0, 225]) or checkpoints. layers:
    0, 1, …, `final`, one or several; default: all. Several seeds add the dimension `seed`.

    The result is kept in the run's folder as `family` (default: the object's class), so that the app and the report
    show it, and read where it was made of the same weights by the same probe: an object that holds something else, or
    whose class was edited since, is fitted anew. Raises WorkbenchError for an unknown name, an object without `fit` or
    `predict`, and where an object that prints otherwise is kept under this name already; `again` makes it anew and
    replaces such a one.
    """
    from workbench.probing.linear.custom import find_probe

    run = as_study(run)
    own = None if isinstance(probe, str) and probe != EMBEDDING else probe
    if probe == EMBEDDING or family == EMBEDDING:
        raise WorkbenchError(
            "The embedding probe trains through the network; use run_p_probe or run_q_probe."
        )
    find_probe(probe)
    if kind not in ("p", "q"):
        raise WorkbenchError(
            f"The kind {kind!r} is neither 'p' (probes that read texts) nor 'q' (that read the bare name)."
        )
    name = name_family(probe, family)
    chosen = run.choose(checkpoints)
    wanted = None if layers is None else several(layers)
    request = ProbeRequest(kind, name, group, layers=wanted, seeds=several(seeds), again=again)
    if own is not None:
        require_room(run, request, own)
    run_probes(run, chosen, request, probe=own, device=device)
    found = load_results(run, request.result_kind, request.family_name, request.variant)
    return found.sel(checkpoint=[checkpoint.step for checkpoint in chosen])


@dataclass(frozen=True)
class _Prober:
    """Makes one request's results; what is common to all checkpoints is made once, when first needed."""

    run: Study
    request: ProbeRequest
    own: Any
    device: str | None
    show: Show | None
    n_checkpoints: int

    @cached_property
    def data(self) -> PProbeData | QProbeData:
        if self.request.kind == "q":
            return make_q_probe_data(self.run, self.request.group, self.request.tasks)
        request = self.request
        return make_p_probe_data(self.run, request.group, request.entries_per_entity, request.tasks)

    @cached_property
    def task(self) -> "CachedProbeTask":
        from workbench.probing.cached_probe import make_cached_task

        return make_cached_task(self.run, self.data)

    @cached_property
    def source(self) -> str | None:
        """The digest of what makes a probe of the user's own what it is; None of any other."""
        from workbench.probing.linear.custom import source_digest

        return source_digest(self.request.family if self.own is None else self.own)

    @property
    def recorded_settings(self) -> dict[str, Any] | None:
        """What an existing result must have been made with; None where its folder says it all."""
        if self.request.family != EMBEDDING:
            return None
        asked, seeds = self.request.settings(self.run), self.request.seeds
        settings = describe_settings(self.run, asked) if self.request.kind == "seen" else asdict(asked)
        return settings if len(seeds) == 1 else {**settings, "seed": list(seeds)}

    def probe(self, checkpoint: Checkpoint, number: int) -> "tuple[xr.Dataset, xr.Dataset | None]":
        """The result of one checkpoint, the `number`-th of those asked for, and its cases where they are kept."""
        made: list[xr.Dataset] = []
        keep = made.append if self.request.cases else None
        if self.request.family != EMBEDDING:
            return self._probe_activations(checkpoint, number, keep), next(iter(made), None)
        seeds = self.request.seeds
        parts = [
            self._probe_embedding(checkpoint, seed, number * len(seeds) + i, None if i else keep)
            for i, seed in enumerate(seeds)
        ]
        return parts[0] if len(parts) == 1 else join_seeds(parts, seeds), next(iter(made), None)

    def _probe_activations(self, checkpoint: Checkpoint, number: int, keep: KeepCases | None) -> "xr.Dataset":
        from workbench.probing.cached_probe import run_cached_curve, run_cached_probe
        from workbench.probing.linear.custom import find_probe

        request = self.request
        what = f"{request.result_kind.replace('_', ' ')} {request.family_name}, step {checkpoint.step}"
        if self.show:
            self.show(what, number, self.n_checkpoints)
        probe = request.family if self.own is None else self.own
        find_probe(probe)  # a name that there is not is refused before minutes of reading
        options: Any = {"probe": probe, "family": request.family_name, "device": self.device}
        options |= {
            "memory": request.memory,
            "layers": request.layers,
            "seeds": request.seeds,
            "source": self.source,
        }
        if request.learning_curve:
            found = run_cached_curve(self.run, checkpoint, self.task, **options)
        else:
            found = run_cached_probe(self.run, checkpoint, self.task, **options, keep_cases=keep)
        if self.show:
            self.show(what, number + 1, self.n_checkpoints)
        return found

    def _probe_embedding(
        self, checkpoint: Checkpoint, seed: int, fits_before: int, keep: KeepCases | None
    ) -> "xr.Dataset":
        settings = replace(self.request.settings(self.run), seed=seed)
        total = self.n_checkpoints * len(self.request.seeds) * settings.steps

        def observer(step: int, steps: int, loss: float) -> None:
            if self.show:
                what = f"{self.request.kind}-probe, step {checkpoint.step}"
                what += f", seed {seed}" if len(self.request.seeds) > 1 else ""
                self.show(what, fits_before * steps + step, total, loss)

        options: Any = {"settings": settings, "device": self.device, "observer": observer}
        if self.request.kind == "seen" and isinstance(self.data, PProbeData):
            return run_seen_probe(self.run, checkpoint, self.data, **options)
        options["keep_cases"] = keep
        if isinstance(self.data, PProbeData):
            return run_p_probe(self.run, checkpoint, self.data, **options)
        return run_q_probe(self.run, checkpoint, self.data, **options)
