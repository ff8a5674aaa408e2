"""The runs that the demo is cut from, made by commands of the workbench, one after the other.

A command that has been through finds its results and is over in seconds, so what was stopped goes on where it was.
"""

import os
import subprocess
import sys
from pathlib import Path

from workbench.studies.runs import RUN_FILE
from workbench.studies.series import STUDY_FILE

ROOT = Path(__file__).parents[2]
CITIES_SCRIPT = ROOT / "examples" / "07_a_study_of_cities.py"  # needs the extra `examples`
N_CITIES = 300
ARMS = ("multi5+permute", "single")
SEEDS = (1, 2)
CITIES = "smollm2-cities"
STEPS = 150  # of a P-probe: after the recipe's 100 one of four had not converged
Q_STEPS = 800  # of a Q-probe: those of `multi5+permute` have converged then, of `single`, at chance, not yet
FINETUNE_STEPS = 300
P_AT = "0,612,1407"  # the checkpoints that the paper's P-probe reads: untrained, half-way, last
LOOKED_AT = "0,116,1407"  # of entity views the demo keeps three
TAUGHT = "retrieval:birth_date.year,dual:birth_city,university,inverse:birth_date,birth_city,university"
Command = tuple[str, ...]
EVERY_RUN: tuple[Command, ...] = (("probe", "--steps", str(STEPS)), ("capacity", "--checkpoints", "all"))
FIRST_SEED: tuple[Command, ...] = (
    ("probe", "--steps", str(STEPS), "--checkpoints", P_AT),
    ("probe", "--family", "logistic", "--checkpoints", "all"),
    ("probe", "--kind", "q", "--steps", str(Q_STEPS)),
    ("finetune", "--steps", str(FINETUNE_STEPS)),
    ("evaluate", "--adapter", "lora"),
    ("attention", "--what", "shares", "--checkpoints", "all"),
    ("attention", "--what", "knockout"),
    ("entity", "--entities", "2", "--checkpoints", LOOKED_AT, "--adapter", "lora"),
)
FIRST_ARM: tuple[Command, ...] = (  # of the first seed
    ("finetune", "--steps", str(FINETUNE_STEPS), "--tasks", TAUGHT, "--name", "taught"),
    ("evaluate", "--adapter", "taught", "--tasks", "taught"),
)


def make_runs(work: Path) -> dict[str, Path]:
    """Bring every run below `work` to its end; returns what the demo calls each, and where it lies.

    Folders of runs and studies directly below `work` are taken as they are.
    """
    found = [*work.glob(f"*/{RUN_FILE}"), *work.glob(f"*/{STUDY_FILE}")]
    runs = {file.parent.name: file.parent for file in sorted(found)}
    for seed in SEEDS:
        out = work / f"seed{seed}"
        run_command("quickstart", "--out", out, "--seed", seed)
        for arm in ARMS:
            runs[f"{arm}-seed{seed}"] = run = out / arm
            more = FIRST_SEED if seed == SEEDS[0] else ()
            most = FIRST_ARM if more and arm == ARMS[0] else ()
            for command, *words in (*EVERY_RUN, *more, *most):
                run_command(command, run, *words)
    if CITIES not in runs:
        runs[CITIES] = make_cities(work / "cities")
    return runs


def make_cities(folder: Path) -> Path:
    """The study of cities with an entity view, below a folder."""
    study = folder / "studies" / "cities"
    if not (study / STUDY_FILE).is_file():
        line = [sys.executable, str(CITIES_SCRIPT), str(folder), str(N_CITIES)]
        subprocess.run(line, check=True, env=environment())
        run_command("entity", study)
    return study


def run_command(command: str, *words: object) -> None:
    """`workbench COMMAND …` in a process of its own; the first that fails ends it all."""
    line = ["-m", "workbench", command, *map(str, words)]
    print("$", *line[1:], flush=True)
    subprocess.run([sys.executable, *line], check=True, env=environment())


def environment() -> dict[str, str]:
    """One thread, and this checkout's packages."""
    paths = [str(ROOT), str(ROOT / "app"), str(ROOT / "models")]
    before = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([*paths, *before])}
