"""What an experiment file calls a stage, as commands of ours with what tells that they are done."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from workbench.claims.sources import finetune_name, folder_of, sources_of
from workbench.claims.stages import Plain
from workbench.claims.stages import Stage as DeclaredStage
from workbench.experiments.arms import Arm
from workbench.experiments.stages import Stage, is_asked, newest_finetune, newest_result
from workbench.studies.opening import is_study

COMMANDS = {
    "p": "probe",
    "q": "probe",
    "v": "probe",
    "ask": "evaluate",
    "solve": "solve",
    "capacity": "capacity",
}
NO_BAR = ("probe", "solve")  # commands that draw one and can be told not to


def make_stages(name: str, declared: DeclaredStage, scale: str) -> list[Stage]:
    """The commands of one declared stage: of a finetune two, training it and asking it.

    Ahead of one that comes after a finetune stands the command that makes a model of that finetune.
    """
    made = [_merge(declared.after, declared.first, scale)] if declared.first else []
    read = _finetune if declared.kind == "finetune" else _measure
    return [*made, *read(name, declared, scale)]


def _measure(name: str, declared: DeclaredStage, scale: str) -> list[Stage]:
    folder, sources = folder_of(declared, scale), sources_of(name, declared, scale)
    command = COMMANDS[declared.kind]
    words = ["--kind", declared.kind] if command == "probe" else []
    words += ["--family", "embedding"] if declared.kind in ("p", "q") else []
    words += [*_spell(declared.options_at(scale)), *(["--quiet"] if command in NO_BAR else [])]
    title = {"probe": "probing", "evaluate": "asking", "solve": "solving", "capacity": "counting bits"}[
        command
    ]
    title = title if title == "counting bits" else f"{title} {name}"

    def is_done(arm: Arm) -> bool:
        read = _at(arm, folder)
        return all(newest_result(read, one.kind, one.family, one.variant) is not None for one in sources)

    return [Stage(title, is_done, lambda arm: arm.job(title, command, str(arm.path / folder), *words))]


def _at(arm: Arm, folder: Path) -> Arm:
    """The arm as it is where a stage's model lies."""
    return replace(arm, path=arm.path / folder)


def _finetune(name: str, declared: DeclaredStage, scale: str) -> list[Stage]:
    folder, source = folder_of(declared, scale), sources_of(name, declared, scale)[0]
    called = finetune_name(name, declared.options_at(scale))
    words = _finetune_words(name, declared, scale)
    taught = ["--tasks", "taught"] if source.kind == "tasks" else []
    tuning, asking = f"finetuning {name}", f"asking {name}"

    return [
        Stage(
            tuning,
            lambda arm: newest_finetune(_at(arm, folder), called) is not None,
            lambda arm: arm.job(tuning, "finetune", str(arm.path / folder), *words),
        ),
        Stage(
            asking,
            lambda arm: is_asked(_at(arm, folder), called, source.kind, source.family),
            lambda arm: arm.job(asking, "evaluate", str(arm.path / folder), "--adapter", called, *taught),
        ),
    ]


def _merge(name: str, declared: DeclaredStage, scale: str) -> Stage:
    """A finetune's model as checkpoints of its own; makes the finetune, too, where it is not there."""
    called = finetune_name(name, declared.options_at(scale))
    words = _finetune_words(name, declared, scale)
    title = f"merging {called}"
    return Stage(
        title,
        lambda arm: (found := newest_finetune(arm, called)) is not None and is_study(found.path),
        lambda arm: arm.job(title, "finetune", str(arm.path), *words, "--merge"),
    )


def _finetune_words(name: str, declared: DeclaredStage, scale: str) -> list[str]:
    options = declared.options_at(scale)
    return ["--name", finetune_name(name, options), *_spell(options), "--replace", "--quiet"]


def _spell(options: Mapping[str, Plain]) -> list[str]:
    """Options as a command takes them; true is a flag, false is left out."""
    words: list[str] = []
    for key, value in options.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            words += [flag] if value else []
        else:
            words += [flag, str(value)]
    return words
