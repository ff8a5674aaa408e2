"""V-probes of a run: what is known of a named variable behind a prefix of a problem (Part 2.1, section 4).

The control beside the majority is the same probe on the untrained network, step 0; it is fitted once and kept as a
result of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import context_length, text_config

from workbench.errors import WorkbenchError
from workbench.field_checks import check_fields
from workbench.files import sha256_file
from workbench.minutes import Show
from workbench.probing.embedding_probe import ProbeSettings, has_converged
from workbench.probing.query_probe import FittedQueryProbe, Queries, fit_query_probe
from workbench.probing.query_scores import score_queries
from workbench.probing.query_table import load_queries
from workbench.reasoning.v_queries import make_queries
from workbench.results.provenance import make_attrs
from workbench.results.storing import find_result, result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_config, load_model
from workbench.studies.runs import Run
from workbench.studies.study import Study
from workbench.training.devices import choose_device, choose_execution
from workbench.training.problems import make_texts
from workbench.worlds.arithmetic.properties import PROPERTIES, Property, Query, require_property

if TYPE_CHECKING:
    import xarray as xr

KIND, FAMILY = "v", "embedding"
RANK = 8


@dataclass(frozen=True)
class VRequest:
    """Which V-probes to run; what is None comes from the recipe.

    properties: of the six. layer: after which block the network is cut and read; None: after the last norm.
    operations: of the test problems; None: as in training. n_test: how many test problems are asked about.
    table: queries of the user's own in place of the properties, about any run.
    """

    properties: tuple[Property, ...] = PROPERTIES
    table: Path | None = None
    layer: int | None = None
    operations: int | None = None
    rank: int = RANK
    steps: int | None = None
    seed: int = 0
    n_test: int = 500
    again: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"layer": 0, "operations": 1, "rank": 0, "steps": 1, "seed": 0, "n_test": 1})
        if self.table is not None and (name := self.table.stem.partition("+")[0]) in PROPERTIES:
            raise WorkbenchError(
                f"The table {self.table} is called as the property {name!r} is, whose results would be taken for "
                "its own; call the file something else."
            )

    def settings(self, run: Study) -> ProbeSettings:
        """How these probes are trained."""
        probing = run.probing
        return ProbeSettings(
            rank=self.rank,
            norm="layer",
            steps=self.steps or probing.steps,
            texts_per_step=probing.entries_per_step,
            lr=probing.lr,
            lr_embedding=probing.lr_embedding or probing.lr,
            weight_decay=probing.weight_decay,
            dropout=probing.dropout,
            seed=self.seed,
        )

    @property
    def asked(self) -> tuple[str, ...]:
        """What each result is about: the properties, or the table's name."""
        return self.properties if self.table is None else (self.table.stem,)

    def variant(self, wanted: str) -> str:
        """What tells results apart: the property, and what departs from the plain request."""
        parts: list[str] = [wanted]
        parts += [f"layer{self.layer}"] if self.layer is not None else []
        parts += [f"op{self.operations}"] if self.operations is not None else []
        parts += [f"rank{self.rank}"] if self.rank != RANK else []
        parts += [f"steps{self.steps}"] if self.steps is not None else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "+".join(parts)


def run_v_probes(
    run: Study,
    checkpoints: Sequence[Checkpoint],
    request: VRequest,
    *,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """A result for each property and checkpoint, the untrained network's beside it; those that exist are loaded."""
    prober = _Prober(run, request, device, show, len(request.asked) * (len(checkpoints) + 1))
    return [prober.result(wanted, checkpoint) for wanted in request.asked for checkpoint in checkpoints]


def fit_v_probe(
    run: Study,
    checkpoint: Checkpoint,
    wanted: str,
    request: VRequest,
    *,
    device: str | None = None,
    observer: Callable[[int, int, float], None] | None = None,
) -> tuple[FittedQueryProbe, Queries, list[Query] | None]:
    """The trained probe of one property, its queries and what is known of each; None of a table's."""
    settings = request.settings(run)
    execution = choose_execution(run.training, choose_device(device), settings.steps)
    model = load_model(checkpoint, device=execution.device)
    execution = execution.heeding_masks(model)
    execution.prepare(model)
    vocabulary, longest = int(text_config(model.config).vocab_size), context_length(model.config)
    about: list[Query] | None = None
    if request.table is not None:
        queries = load_queries(request.table, run.tokenizer, vocabulary, longest, run.start)
    else:
        queries, about = make_queries(
            make_texts(require_run(run).recipe, run.tokenizer),
            require_property(wanted),
            vocabulary,
            n_train=settings.steps * settings.texts_per_step,
            n_test=request.n_test,
            operations=request.operations,
        )
    fitted = fit_query_probe(model, queries, settings, execution, layer=request.layer, observer=observer)
    return fitted, queries, about


@dataclass
class _Prober:
    run: Study
    request: VRequest
    device: str | None
    show: Show | None
    fits: int
    fitted: int = 0
    made: set[Path] = field(default_factory=set)

    def result(self, wanted: str, checkpoint: Checkpoint) -> "xr.Dataset":
        """The result of one checkpoint with the untrained network's accuracy beside it."""
        found = self._own(wanted, checkpoint)
        untrained = _untrained(self.run)
        if untrained is None:
            return found
        control = self._own(wanted, untrained)
        beside = {"untrained": "accuracy", "untrained_balanced": "balanced"}
        ends = ("", "_by_property") if "property" in control.dims else ("",)
        if "converged" in control:  # results of earlier versions do not say
            found = found.assign(untrained_converged=control["converged"].drop_vars("checkpoint"))
        return found.assign(
            {
                own + end: control[name + end].drop_vars("checkpoint")
                for own, name in beside.items()
                for end in ends
            }
        )

    def _own(self, wanted: str, checkpoint: Checkpoint) -> "xr.Dataset":
        request, run = self.request, self.run
        settings: dict[str, Any] = {**asdict(request.settings(run)), "n_test": request.n_test}
        settings["unit"] = "embedding"  # what an update of 1 is; results in absolute units are made anew
        settings["layer"] = "final" if request.layer is None else request.layer
        if request.table is not None and request.table.is_file():
            settings["table"] = sha256_file(request.table)
        variant = request.variant(wanted)
        path = result_path(run.path, KIND, FAMILY, checkpoint.step, variant)
        anew = request.again and path not in self.made
        found = None if anew else find_result(path, checkpoint.weights_digest, settings)
        if found is None:
            found = self._fit(wanted, checkpoint, settings)
            save_result(path, found)
            self.made.add(path)
        return found

    def _fit(self, wanted: str, checkpoint: Checkpoint, settings: dict[str, Any]) -> "xr.Dataset":
        import xarray as xr

        def observer(step: int, steps: int, loss: float) -> None:
            if self.show:
                what = f"V-probe {wanted}, step {checkpoint.step}"
                self.show(what, self.fitted * steps + step, self.fits * steps, loss)

        fitted, queries, about = fit_v_probe(
            self.run, checkpoint, wanted, self.request, device=self.device, observer=observer
        )
        self.fitted += 1
        test = np.flatnonzero(~queries.train_Q)
        said = fitted.predict(queries, test)
        groups = group_queries(about, test)
        property_Q = None if queries.property_Q is None else queries.property_Q[test]
        scores = score_queries(
            said, queries.label_Q[test], queries.classes, groups, queries.text_Q[test], property_Q
        )
        scores["spread"], scores["converged"] = fitted.spread, has_converged(fitted.losses)
        tenth = max(1, len(fitted.losses) // 10)
        return xr.Dataset(
            scores,
            coords={"label": list(queries.classes), "checkpoint": checkpoint.step}
            | {name: list(places) for name, (_, places) in groups.items()}
            | ({} if property_Q is None else {"property": np.unique(property_Q).tolist()}),
            attrs=make_attrs(
                kind=KIND,
                family=FAMILY,
                run=self.run,
                checkpoint=checkpoint,
                settings=settings,
                variant=self.request.variant(wanted),
                notes={"final_loss": round(float(fitted.losses[-tenth:].mean()), 4), "property": wanted},
            ),
        )


def group_queries(
    about: Sequence[Query] | None, members: np.ndarray
) -> dict[str, tuple[np.ndarray, Sequence[int]]]:
    """Sentences written before the place (-1: in the problem), and steps from the query back (-1: unnecessary)."""
    if about is None:
        return {}
    found = {
        "step": np.array([about[q].step for q in members]),
        "distance": np.array([about[q].distance for q in members]),
    }
    return {name: (of_query, range(-1, int(of_query.max()) + 1)) for name, of_query in found.items()}


def _untrained(run: Study) -> Checkpoint | None:
    """The control's network: step 0, which every run has and a series from elsewhere may not."""
    return next((checkpoint for checkpoint in run.checkpoints if checkpoint.step == 0), None)


def require_run(study: Study) -> Run:
    """A run trained here; only its recipe says which problems it has read."""
    if not isinstance(study, Run):
        raise WorkbenchError(
            f"{study.path} is no run of the arithmetic world, so its six properties are not known; "
            "give queries of your own with --table."
        )
    return study


def read_properties(text: str) -> tuple[Property, ...]:
    """`all`, or names of properties such as `nece,dep`."""
    return PROPERTIES if text == "all" else tuple(require_property(name.strip()) for name in text.split(","))


def vary(request: VRequest, layers: str, seeds: Sequence[int], checkpoint: Checkpoint) -> list[VRequest]:
    """The same at every layer that is named (see `read_layers`) and with every seed."""
    return [
        replace(request, layer=layer, seed=seed)
        for layer in read_layers(layers, checkpoint)
        for seed in seeds
    ]


def read_layers(text: str, checkpoint: Checkpoint) -> list[int | None]:
    """`all` is the last norm alone, as in the paper; else layers such as `1,2,final`, or `each` for every one."""
    if text == "all":
        return [None]
    if text == "each":
        depth = int(text_config(load_config(checkpoint)).num_hidden_layers)
        return [*range(depth + 1), None]
    layers: list[int | None] = []
    for part in text.split(","):
        if part.strip() != "final" and not part.strip().isdecimal():
            raise WorkbenchError(f"{part.strip()!r} is no layer; give `each`, or layers such as `0,2,final`.")
        layers.append(None if part.strip() == "final" else int(part))
    return layers
