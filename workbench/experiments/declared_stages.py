"""What an experiment file calls a stage, as commands of ours with what tells that they are done."""

from collections.abc import Mapping

from workbench.claims.declared import Plain
from workbench.claims.declared import Stage as DeclaredStage
from workbench.claims.sources import Source, finetune_name, sources_of
from workbench.experiments.arms import Arm
from workbench.experiments.stages import Stage, is_asked, newest_finetune, newest_result

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
    """The commands of one declared stage: of a finetune two, training it and asking it."""
    options = declared.options_at(scale)
    sources = sources_of(name, declared, scale)
    if declared.kind == "finetune":
        return _finetune(name, options, sources[0])
    command = COMMANDS[declared.kind]
    words = ["--kind", declared.kind] if command == "probe" else []
    words += ["--family", "embedding"] if declared.kind in ("p", "q") else []
    words += [*_spell(options), *(["--quiet"] if command in NO_BAR else [])]
    title = {"probe": "probing", "evaluate": "asking", "solve": "solving", "capacity": "counting bits"}[
        command
    ]
    title = title if title == "counting bits" else f"{title} {name}"

    def is_done(arm: Arm) -> bool:
        return all(newest_result(arm, one.kind, one.family, one.variant) is not None for one in sources)

    return [Stage(title, is_done, lambda arm: arm.job(title, command, str(arm.path), *words))]


def _finetune(name: str, options: Mapping[str, Plain], source: Source) -> list[Stage]:
    called = finetune_name(name, options)
    taught = ["--tasks", "taught"] if source.kind == "tasks" else []
    tuning, asking = f"finetuning {name}", f"asking {name}"
    return [
        Stage(
            tuning,
            lambda arm: newest_finetune(arm, called) is not None,
            lambda arm: arm.job(
                tuning, "finetune", str(arm.path), "--name", called, *_spell(options), "--replace", "--quiet"
            ),
        ),
        Stage(
            asking,
            lambda arm: is_asked(arm, called, source.kind, source.family),
            lambda arm: arm.job(asking, "evaluate", str(arm.path), "--adapter", called, *taught),
        ),
    ]


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
