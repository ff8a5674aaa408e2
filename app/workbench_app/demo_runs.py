"""The runs that the demo is cut from, made by commands of the workbench, one after the other.

A command that has been through finds its results and is over in seconds, so what was stopped goes on where it was.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CITIES_SCRIPT = ROOT / "examples" / "07_a_study_of_cities.py"  # needs the extra `examples`
N_CITIES = 300
ARMS = ("multi5+permute", "single")
SEEDS = (1, 2)
CITIES = "smollm2-cities"
STEPS = 150  # of a P-probe: after the recipe's 100 one of four had not converged
EVERY_RUN = (("probe", "--steps", str(STEPS)),)
FIRST_SEED = (("probe", "--family", "logistic", "--checkpoints", "all"),)
ANSWERED = (
    ("finetune", "--steps", "300"),
    ("evaluate", "--adapter", "lora"),
)  # the first arm, of the first seed


def make_runs(work: Path) -> dict[str, Path]:
    """Bring every run below `work` to its end; returns what the demo calls each, and where it lies.

    Folders of runs directly below `work` are taken as they are.
    """
    runs = {file.parent.name: file.parent for file in sorted(work.glob("*/run.json"))}
    for seed in SEEDS:
        out = work / f"seed{seed}"
        run_command("quickstart", "--out", out, "--seed", seed)
        for arm in ARMS:
            runs[f"{arm}-seed{seed}"] = run = out / arm
            first = seed == SEEDS[0]
            answered = ANSWERED if first and arm == ARMS[0] else ()
            for command, *words in (*EVERY_RUN, *(FIRST_SEED if first else ()), *answered):
                run_command(command, run, *words)
    runs[CITIES] = work / "cities" / "studies" / "cities"
    if not (runs[CITIES] / "study.json").is_file():
        line = [sys.executable, str(CITIES_SCRIPT), str(work / "cities"), str(N_CITIES)]
        subprocess.run(line, check=True, env=environment())
        run_command("entity", runs[CITIES])
    return runs


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
