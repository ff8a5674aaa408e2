"""Analyse several checkpoints of a run and keep the results; nothing that exists is made twice."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench_models import is_bidirectional, text_config

from workbench.attention.asked import choose_questions
from workbench.attention.examples import AttentionExamples, choose_entries, make_examples
from workbench.errors import WorkbenchError, nearest
from workbench.field_checks import check_fields
from workbench.minutes import Show
from workbench.results.making import making
from workbench.results.provenance import make_attrs
from workbench.results.storing import find_result, result_path, save_result
from workbench.studies.loading import load_model
from workbench.studies.opening import as_study
from workbench.studies.steps import Which
from workbench.studies.study import Study

if TYPE_CHECKING:
    import xarray as xr
    from transformers import PreTrainedModel

What = Literal["shares", "knockout", "ablation", "interchange", "steering", "lens", "heads"]
ANALYSES: tuple[What, ...] = get_args(What)
TITLES: dict[str, str] = {
    "shares": "where heads look (shares)",
    "knockout": "a look is cut (knock-out)",
    "ablation": "heads and feed-forward parts left out (ablation)",
    "interchange": "residuals exchanged (interchange)",
    "steering": "pushed along a probe (steering)",
    "lens": "what each layer would say (lens)",
    "heads": "kinds of heads",
}
KIND = "attention"
ENTRIES = 300
TRAIN_ENTRIES = 3000  # at most, for the probes of steering


@dataclass(frozen=True)
class AttentionRequest:
    """Which analysis, on how many test entities' entries; what is None has its default.

    roles, window, heads: knock-out (roles also interchange); packed: other entries ahead of each in its row.
    questions: about these entities in the place of their texts. adapter: a finetune's name or folder, in its
    `last` or `best` state (`which`).
    """

    what: str = "shares"
    entries: int = ENTRIES
    group: str | None = None
    roles: tuple[str, ...] | None = None
    window: int | None = None
    heads: tuple[int, ...] | None = None
    packed: int = 0
    questions: bool = False
    adapter: str | None = None
    which: str = "last"
    seed: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"entries": 1, "packed": 0, "seed": 0})
        if self.what not in ANALYSES:
            raise WorkbenchError(
                f"There is no analysis {self.what!r}{nearest(self.what, ANALYSES)} (there are {', '.join(ANALYSES)})."
            )
        if self.questions and self.packed:
            raise WorkbenchError("--packed belongs to entries, not to questions; leave one of them out.")
        for name in ("roles", "window", "heads"):
            allowed = ("knockout", "interchange") if name == "roles" else ("knockout",)
            if getattr(self, name) is not None and self.what not in allowed:
                raise WorkbenchError(
                    f"--{name} belongs to {' and '.join(allowed)}, not to {self.what}; leave it out."
                )

    @property
    def settings(self) -> dict[str, Any]:
        """What determines the numbers beside the weights."""
        settings: dict[str, Any] = {
            "entries": self.entries,
            "group": self.group,
            "packed": self.packed,
            "seed": self.seed,
        }
        settings |= {"roles": self.roles, "window": self.window, "heads": self.heads}
        settings |= {"questions": self.questions}
        return json.loads(json.dumps(settings))  # type: ignore[no-any-return]

    @property
    def variant(self) -> str:
        """What tells this result's folder from the plain one."""
        parts = [f"group-{self.group}"] if self.group else []
        parts += [f"window{self.window}"] if self.window is not None else []
        parts += ["heads" + "-".join(map(str, self.heads))] if self.heads is not None else []
        parts += ["roles-" + "-".join(self.roles).replace(":", "=")] if self.roles is not None else []
        parts += [f"packed{self.packed}"] if self.packed else []
        parts += ["questions"] if self.questions else []
        parts += [Path(self.adapter).name] if self.adapter else []
        parts += ["best"] if self.adapter and self.which == "best" else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "+".join(parts)


def run_attention(
    run: Study | Path | str,
    checkpoints: Which = "last",
    request: AttentionRequest | str = "shares",
    *,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """Analyse each checkpoint, or load its result where one of the same weights and settings exists.

    run: a run or a study, or its folder. checkpoints: `all`, `last`, steps or checkpoints. request: what is asked, or
    the bare name of an analysis: `run_attention(run, "all", "knockout")`.
    `show(what, done, checkpoints)` follows the work. Entries are made once, whatever the number of checkpoints. With
    an adapter the checkpoint is its base: one with other weights is refused.
    """
    from workbench.extraction.finetunes import load_finetuned, open_finetune
    from workbench.training.devices import choose_device

    run = as_study(run)
    chosen = run.choose(checkpoints)
    request = AttentionRequest(request) if isinstance(request, str) else request
    tuned = None if request.adapter is None else open_finetune(run, request.adapter)
    settings = request.settings
    if tuned is not None:
        settings |= tuned.describe(request.which)
    elif request.questions and not run.answer_space:
        settings["answer_space"] = False
    examples: AttentionExamples | None = None
    datasets = []
    for number, checkpoint in enumerate(chosen):
        if show:
            show(f"{request.what}, step {checkpoint.step}", number, len(chosen))
        path = result_path(run.path, KIND, request.what, checkpoint.step, request.variant)
        found = None if request.again else find_result(path, checkpoint.weights_digest, settings)
        if found is not None:
            datasets.append(found)
            continue
        with making(path, "analysed"):
            examples = examples or load_examples(run, request)
            started = time.perf_counter()
            on = choose_device(device)
            if tuned is None:
                model = load_model(checkpoint, device=on, attention="eager")
            else:
                step = str(checkpoint.step)
                model = load_finetuned(run, tuned, which=request.which, base=step, device=on)
            dataset = analyse(model, examples, request, run)
            notes = {
                "seconds": round(time.perf_counter() - started, 2),
                "entries": len(examples),
                "attention": "eager",
            }
            attrs = make_attrs(
                kind=KIND,
                family=request.what,
                run=run,
                checkpoint=checkpoint,
                settings=settings,
                variant=request.variant,
                notes=notes,
            )
            dataset = dataset.assign_coords(checkpoint=checkpoint.step).assign_attrs(attrs)
            save_result(path, dataset)
        datasets.append(dataset)
    return datasets


def load_examples(run: Study, request: AttentionRequest) -> AttentionExamples:
    """The entries a request is about: one of each test entity, as the P-probe tests on."""
    run.require_group(request.group)
    if request.questions:
        space = _asks_behind_space(run, request)
        asked = choose_questions(run, request.entries, group=request.group, answer_space=space)
        return make_examples(run.tokenizer, asked, run.schema, start=run.start)
    entries = choose_entries(run, request.entries, group=request.group)
    before = choose_entries(run, split="train") if request.packed else []
    return make_examples(
        run.tokenizer, entries, run.schema, before=before, packed=request.packed, start=run.start
    )


def _asks_behind_space(run: Study, request: AttentionRequest) -> bool:
    """Whether a space stands before the answers of the model that is analysed."""
    from workbench.extraction.answer_space import answers_have_space
    from workbench.extraction.finetunes import open_finetune

    return answers_have_space(run, None if request.adapter is None else open_finetune(run, request.adapter))


def analyse(
    model: "PreTrainedModel", examples: AttentionExamples, request: AttentionRequest, run: Study
) -> "xr.Dataset":
    """One analysis of one model in memory; the labelled result without its provenance.

    Of a network without attention heads (a state-space model) there is the logit lens alone.
    """
    from workbench.attention.batch_manner import require_side_by_side
    from workbench.attention.parts import require_heads

    if request.what != "lens":
        require_heads(model.config)
    if not is_bidirectional(model.config):  # one that is, is refused by what it is
        require_side_by_side(model, examples)
    match request.what:
        case "shares":
            from workbench.attention.shares import measure_shares

            return measure_shares(model, examples)
        case "knockout":
            from workbench.attention.knockout import make_windows, measure_knockout

            windows = make_windows(int(text_config(model.config).num_hidden_layers), request.window)
            return measure_knockout(
                model,
                examples,
                roles=request.roles or None,
                windows=windows,
                heads=request.heads,
                seed=request.seed,
            )
        case "ablation":
            from workbench.attention.ablation import measure_ablation

            return measure_ablation(model, examples)
        case "interchange":
            from workbench.attention.interchange import PLACES, make_pairs, measure_interchange

            pairs = make_pairs(run.tokenizer, examples, run.corpus.entities, seed=request.seed)
            return measure_interchange(model, pairs, roles=request.roles or PLACES)
        case "steering":
            from workbench.attention.steering import measure_steering

            if request.questions:
                space = _asks_behind_space(run, request)
                learned = choose_questions(run, TRAIN_ENTRIES, split="train", answer_space=space)
            else:
                learned = choose_entries(run, TRAIN_ENTRIES, split="train")
            train = make_examples(run.tokenizer, learned, run.schema, start=run.start)
            return measure_steering(model, examples, train, seed=request.seed)
        case "lens":
            from workbench.attention.logit_lens import measure_lens

            return measure_lens(model, examples)
        case _:
            from workbench.attention.head_scores import measure_heads

            return measure_heads(model, examples, seed=request.seed)
