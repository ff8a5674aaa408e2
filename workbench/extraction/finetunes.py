"""Finetunes on disk: an adapter, or finetuned checkpoints, beside the run they were made from.

runs/<run>/finetunes/<name>/
    finetune.json                      what it is: settings, base, measurements; written last
    tokenizer/                         where tasks brought words that the run's tokenizer lacks
    adapters/step-00001500.safetensors         method `lora`: the last adapter, and the best where it differs
    checkpoints/step-00001500/                 method `full`, or after merging: ordinary checkpoints
    run.json recipe.toml biographies→ tokenizer→   with checkpoints: the folder is a run like any other
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, nearest
from workbench.extraction.lora import Adapter, grow_vocabulary, merge
from workbench.files import folder_atomically, read_json, sha256_file, write_json
from workbench.locks import hold
from workbench.studies.checkpoints import Checkpoint, checkpoint_name, list_checkpoints, save_checkpoint
from workbench.studies.loading import load_model
from workbench.studies.opening import is_study
from workbench.studies.study import Study
from workbench.tokens.opening import load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

INFO_FILE = "finetune.json"
SCHEMA = 1
NEEDED = (
    "schema", "settings", "best_step", "last_step", "measurements", "own_questions", "base_run", "base_step",
    "base_weights_digest", "sha256",
)  # fmt: skip


@dataclass(frozen=True)
class Finetune:
    """A finished finetuning. `info` is the content of finetune.json."""

    path: Path
    info: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.info["settings"])

    @property
    def answer_space(self) -> bool:
        """Whether a space stands before its answers, as it was taught."""
        return bool(self.settings.get("answer_space", True))

    @property
    def base_step(self) -> int:
        """The step of the checkpoint it started from."""
        return int(self.info["base_step"])

    @property
    def base_digest(self) -> str:
        """The digest of that checkpoint's weights."""
        return str(self.info["base_weights_digest"])

    def step(self, which: str) -> int:
        """The finetuning step of the `best` or the `last` state."""
        if which not in ("best", "last"):
            raise WorkbenchError(f"A finetune keeps its 'best' and its 'last' state, not {which!r}.")
        return int(self.info[f"{which}_step"])

    def describe(self, which: str) -> dict[str, Any]:
        """What tells its `best` or `last` state from any other: part of the settings of a result made with it."""
        return {
            "finetune": self.name,
            "which": which,
            "step": self.step(which),
            "files": self.info["sha256"],
            "finetuning": self.settings,
        }

    def tokenizer(self, run: Study) -> "PreTrainedTokenizerFast":
        """The tokenizer of the run it was made in, or its own where tasks brought new words."""
        own = self.path / "tokenizer"
        return load_tokenizer(own) if own.is_dir() else run.tokenizer

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Its ordinary checkpoints: always for method `full`, after merging for `lora`."""
        return list_checkpoints(self.path / "checkpoints")


def finetunes_folder(run: Study) -> Path:
    """Where a run's finetunes lie."""
    return run.path / "finetunes"


def require_name(name: str) -> str:
    """The name, if a folder can have it and no command means something else by it."""
    if name in ("", "none") or name != Path(name).name or name.startswith("."):
        raise WorkbenchError(
            f"A finetune cannot be called {name!r}; give --name a plain word (and not `none`, which means no finetune)."
        )
    return name


def list_finetunes(run: Study) -> list[Finetune]:
    """The finished finetunes of a run by name."""
    files = sorted(finetunes_folder(run).glob(f"*/{INFO_FILE}"))
    return [read_finetune(file.parent) for file in files if not file.parent.name.startswith(".")]


def open_finetune(run: Study, name: str | Path) -> Finetune:
    """A finetune by its name in this run, or by its folder; an unknown one is refused with the known ones."""
    for folder in (finetunes_folder(run) / name, Path(name)):
        if (folder / INFO_FILE).is_file():
            return read_finetune(folder)
    known = [finetune.name for finetune in list_finetunes(run)]
    have = f"it has {', '.join(known)}" if known else f"make one with `workbench finetune {run.path}`"
    raise WorkbenchError(f"{run.path} has no finetune {str(name)!r}{nearest(str(name), known)} ({have}).")


def read_finetune(folder: Path) -> Finetune:
    """The finetune that lies in a folder; another schema, or a finetune.json that lacks a key, is refused."""
    info = read_json(folder / INFO_FILE)
    missing = [key for key in NEEDED if not isinstance(info, dict) or key not in info]
    if missing or info["schema"] != SCHEMA:
        lacks = f"lacks {', '.join(missing)}" if missing else f"has format {info['schema']}, not {SCHEMA}"
        raise WorkbenchError(
            f"{folder / INFO_FILE} is not a finetune's ({lacks}); delete the folder and finetune again."
        )
    return Finetune(folder, info)


def base_checkpoint(
    run: Study, finetune: Finetune, which: str | int | Checkpoint | None = None
) -> Checkpoint:
    """The run's checkpoint a finetune belongs to; with `which`, that one, refused where its weights are others."""
    if which is None:
        same = [one for one in run.checkpoints if one.weights_digest == finetune.base_digest]
        if same:
            return same[-1]
        raise WorkbenchError(
            f"The finetune {finetune.path} belongs to the weights {finetune.base_digest[:12]}… (step "
            f"{finetune.base_step} of {finetune.info['base_run']}), and no checkpoint of {run.path} has those; "
            "give the run it was made in."
        )
    checkpoint = run.checkpoint(which)
    if checkpoint.weights_digest != finetune.base_digest:
        raise WorkbenchError(
            f"The finetune {finetune.path} belongs to the weights {finetune.base_digest[:12]}… but step "
            f"{checkpoint.step} of {run.path} has {checkpoint.weights_digest[:12]}…; finetune that checkpoint itself."
        )
    return checkpoint


def finetune_of_last(run: Study, name: str) -> Finetune | None:
    """The finetune of a name, if there is one of the run's last checkpoint as it is now."""
    try:
        finetune = open_finetune(run, name)
        base_checkpoint(run, finetune, "last")
    except WorkbenchError:
        return None
    return finetune


def load_finetuned(
    run: Study, finetune: Finetune, *, which: str = "last", base: str | None = None, device: str = "cpu"
) -> "PreTrainedModel":
    """The finetuned model in float32 and evaluation mode, adapters merged into the weights."""
    checkpoint = base_checkpoint(run, finetune, base)
    step = finetune.step(which)
    if finetune.settings["method"] == "full":
        return load_model(next(c for c in finetune.checkpoints if c.step == step), device=device)
    model = load_model(checkpoint)
    grow_vocabulary(model, len(finetune.tokenizer(run)))
    merged: Any = merge(model, load_adapter(finetune, model, step))
    moved: PreTrainedModel = merged.to(device)
    return moved


def load_adapter(finetune: Finetune, model: "PreTrainedModel", step: int) -> Adapter:
    """A saved adapter for its base model; a damaged file is refused by name."""
    from safetensors.torch import load_file

    file = finetune.path / "adapters" / f"{checkpoint_name(step)}.safetensors"
    if fault := _find_adapter_fault(finetune, file):
        raise WorkbenchError(fault)
    settings, words = finetune.settings, int(finetune.info.get("new_words", 0))
    adapter = Adapter(model, settings["rank"], settings["embedding_rank"], new_words=words)
    adapter.load_tensors(load_file(file))
    return adapter


def find_adapter_faults(finetune: Finetune) -> list[str]:
    """A clause for each adapter of a finetune whose file is gone or not what was saved."""
    if finetune.settings["method"] == "full":
        return []  # its states are checkpoints, which carry their own digests
    names = sorted(checkpoint_name(finetune.step(which)) for which in ("best", "last"))
    files = [finetune.path / "adapters" / f"{name}.safetensors" for name in dict.fromkeys(names)]
    return [fault.rstrip(".") for file in files if (fault := _find_adapter_fault(finetune, file))]


def _find_adapter_fault(finetune: Finetune, file: Path) -> str:
    """The sentence about an adapter that is not what was saved; nothing where it is."""
    if file.is_file() and sha256_file(file) == finetune.info["sha256"].get(file.name):
        return ""
    return f"The adapter {file} is missing, truncated or altered; finetune again with --again."


def save_finetune(
    run: Study,
    checkpoint: Checkpoint,
    name: str,
    info: Mapping[str, Any],
    states: "Mapping[int, Mapping[str, torch.Tensor]]",
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast | None" = None,
) -> Finetune:
    """Write a finetune, all of it or nothing. `states`: step → adapter tensors, or weights for method `full`;
    `tokenizer`: its own, where it has words that the run's lacks.
    """
    from safetensors.torch import save_file

    path = finetunes_folder(run) / name
    with folder_atomically(path) as partial:
        content = {
            "schema": SCHEMA,
            **info,
            "base_run": run.name,
            "base_step": checkpoint.step,
            "base_weights_digest": checkpoint.weights_digest,
            "recipe_digest": run.digest,
        }
        if tokenizer is not None:
            tokenizer.save_pretrained(str(partial / "tokenizer"))
        digests = {}
        if info["settings"]["method"] == "lora":
            (partial / "adapters").mkdir()
            for step, tensors in states.items():
                file = partial / "adapters" / f"{checkpoint_name(step)}.safetensors"
                save_file(dict(tensors), file, metadata={"base_weights_digest": checkpoint.weights_digest})
                digests[file.name] = sha256_file(file)
        else:
            _make_study(run, partial, bool(info["settings"].get("answer_space", True)))
            for step, weights in states.items():
                model.load_state_dict(dict(weights))
                _save_model(run, checkpoint, partial, model, step, name, tokenizer or run.tokenizer)
        write_json(partial / INFO_FILE, {**content, "sha256": digests})
    return open_finetune(run, path)


def merge_finetune(run: Study, finetune: Finetune) -> list[Checkpoint]:
    """Write an adapter's merged checkpoints, which open in transformers alone; those that exist are kept.

    Afterwards the finetune's folder is a study: it can be cached, probed and looked at like any other.
    """
    with hold(run.path, f"finetune-{finetune.name}", f"finetuned ({finetune.name})"):
        present = {checkpoint.step for checkpoint in finetune.checkpoints}
        for which in ("best", "last"):
            step = finetune.step(which)
            if step not in present:
                model = load_finetuned(run, finetune, which=which)
                base, tokenizer = base_checkpoint(run, finetune), finetune.tokenizer(run)
                _save_model(run, base, finetune.path, model, step, finetune.name, tokenizer)
                present.add(step)
        if not is_study(finetune.path):
            _make_study(run, finetune.path, finetune.answer_space)
    return finetune.checkpoints


def _save_model(
    run: Study,
    base: Checkpoint,
    folder: Path,
    model: "PreTrainedModel",
    step: int,
    name: str,
    tokenizer: "PreTrainedTokenizerFast",
) -> None:
    origin = {"run": run.name, "step": base.step, "weights_digest": base.weights_digest, "name": name}
    inherited = {
        key: base.info[key] for key in ("exposures", "recipe_digest", "precision") if key in base.info
    }
    info = {**inherited, "reason": "finetuned", "device": "cpu", "finetuned_from": origin}
    save_checkpoint(folder / "checkpoints", model, tokenizer, step, info)


def _make_study(run: Study, folder: Path, answer_space: bool) -> None:
    """The files that make a folder a study; the texts are the base's own, by a link that moves with both."""
    for name in (run.corpus_folder.name, "tokenizer"):
        if not (folder / name).exists():
            (folder / name).symlink_to(Path("..", "..", name), target_is_directory=True)
    run.write_descendant(folder, answer_space)
