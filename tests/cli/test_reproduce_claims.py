"""`workbench reproduce EXPERIMENT`: from a file to verdicts, each recipe once; what is refused; what it will cost."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from workbench.claims.declared import load_experiment
from workbench.claims.verdicts import WORDS
from workbench.experiments.declared_arms import plan_arms, read_arms
from workbench.results.storing import load_results

pytestmark = pytest.mark.usefixtures("warm_jobs")
MINE = """
name = "mine"
title = "Mine"
[scales]
micro = "micro.toml"
[stages]
p = { kind = "p" }
few = { kind = "finetune", options = { steps = 4 } }
further = { kind = "finetune", after = "few", options = { steps = 2 } }
p-later = { kind = "p", after = "few", options = { steps = 3 } }
[arms."one"]
stages = ["p", "few", "further", "p-later"]
set = { "biographies.augmentation" = "single" }
[arms."never"]
stages = ["p"]
set = { "biographies.augmentation" = "multi2" }
[[claims]]
name = "below-all"
says = "Not everything is answered."
source = "here"
holds = ['answers("one", stage="few") <= 99']
paper = [50.0]
[[claims]]
name = "recites-all"
says = "Everything is recited."
source = "here"
holds = ['recites("one") >= 99']
[[claims]]
name = "misspelt"
says = "A target that is not there costs no other claim."
source = "here"
holds = ['p("one", "majr/whole", stage="p") >= 1']
[[claims]]
name = "needs-another"
says = "Two arms differ."
source = "here"
holds = ['p("never") - p("one", stage="p") >= 1']
[[claims]]
name = "finetuned-twice"
says = "Nor is everything answered after more of it."
source = "here"
holds = ['answers("one", stage="further") <= 99', 'p("one", stage="p-later") <= 99']
"""


def test_from_a_file_to_verdicts_and_nothing_twice(workbench: Command, micro_toml: Path):
    Path("mine.toml").write_text(MINE, encoding="utf-8")
    words = ("reproduce", "mine.toml", "--scale", "micro", "--arms", "one", "--out", "all", "--at-once", "1")
    made = workbench(*words, "--results", "results.md", "--json")
    assert made.status == 0, made.err
    told = json.loads(made.out)
    assert (told["scale"], told["seeds"]) == ("micro", [0])
    verdicts = {one["claim"]: one for one in told["verdicts"]}
    assert {name: one["verdict"] for name, one in verdicts.items()} == {
        "below-all": "holds",
        "recites-all": "fails",
        "misspelt": "undecided",
        "needs-another": "not measured",
        "finetuned-twice": "holds",
    }
    (run,) = Path("all/micro").glob("single+seed0-*/run.json")
    answers = load_results(run.parent, "qa", "lora", _finetune(run.parent))
    measured = float(answers["accuracy"].isel(checkpoint=-1).sel(split="test").mean())
    below = verdicts["below-all"]["holds"][0]
    assert below["estimate"] == pytest.approx(100 * measured)
    twice = _results_of(run.parent / "finetunes" / _finetune(run.parent))
    for one, accuracy in zip(verdicts["finetuned-twice"]["holds"], twice, strict=True):
        assert one["estimate"] == pytest.approx(100 * accuracy)
    assert below["low"] <= below["estimate"] <= below["high"] < 99
    assert below["difference"][0] == pytest.approx(below["estimate"] - 50)
    assert below["entities"] and verdicts["below-all"]["chance"] > 0
    assert "there is no target 'majr/whole'; did you mean 'major/whole'?" in verdicts["misspelt"]["reason"]
    assert verdicts["needs-another"]["reason"] == "never is not among the arms asked for"

    page = Path("results.md").read_text(encoding="utf-8")
    assert "2 hold, 1 fails, 1 undecided, 1 not measured" in page
    assert "Made by `workbench reproduce mine.toml --scale micro --seeds 1 --arms one`" in page
    assert "`workbench reproduce mine.toml --scale micro --seeds 1` does:" in page
    assert json.loads(Path(told["kept"]).read_text(encoding="utf-8"))["verdicts"] == told["verdicts"]

    report = Path("all/micro/report.html").read_text(encoding="utf-8")
    assert report.index("Does the paper hold here?") < report.index("Not everything is answered.")
    assert "ours − paper" in report and "Two arms differ." in report

    before = {file: file.stat().st_mtime_ns for file in run.parent.rglob("*.nc")}
    again = workbench(*words)
    assert again.status == 0, again.err
    merged = f"merging {_finetune(run.parent)}"
    stages = (
        "training",
        "probing p",
        "finetuning few",
        "asking few",
        merged,
        "finetuning further",
        "asking further",
    )
    for stage in (*stages, "probing p-later"):
        assert f"{stage}: already done, kept" in again.err
    assert {file: file.stat().st_mtime_ns for file in run.parent.rglob("*.nc")} == before
    assert "below-all" in again.out and "not measured of mine: workbench reproduce mine.toml" in again.out

    foreseen = workbench(*words, "--dry-run", "--json")
    assert foreseen.status == 0, foreseen.err
    (cost,) = json.loads(foreseen.out)
    assert cost["kept"] and set(cost["minutes"]) == {"training", "p", "finetune"}
    assert cost["left"] == {}
    for file in (run.parent / "results").glob("p-*/*.nc"):
        file.unlink()
    (lacking,) = json.loads(workbench(*words, "--dry-run", "--json").out)
    assert lacking["kept"] and set(lacking["left"]) == {"p"}  # trained, and not probed any more
    assert 0 < lacking["left"]["p"] < lacking["minutes"]["p"]  # that of the finetune is there
    assert cost["tokens"] > 60 * 3 * 20 and cost["gpu_hours"] > 0 and cost["disk"] > 0


def _results_of(finetune: Path) -> tuple[float, float]:
    """The mean of the answers of a finetune's own finetune, and of its P-probe at the name."""
    answers = load_results(finetune, "qa", "lora", _finetune(finetune))
    probed = load_results(finetune, "p", "embedding", "steps3")["accuracy"].isel(checkpoint=-1, position=0)
    first, *rest = dict.fromkeys(str(name).partition("/")[0] for name in probed["target"].values)
    targets = [f"{first}/first", *(f"{key}/whole" for key in rest)]
    asked = answers["accuracy"].isel(checkpoint=-1).sel(split="test")
    return float(asked.mean()), float(probed.sel(target=targets).mean())


def _finetune(run: Path) -> str:
    (found,) = (run / "finetunes").glob("*/finetune.json")
    return found.parent.name


def test_shipped_experiments_share_arms_and_nothing_is_measured_without_running(
    workbench: Command, tmp_path: Path
):
    experiments = [load_experiment(name) for name in ("part-3.1", "confounds")]
    both = plan_arms(experiments, "tiny", [0, 1], tmp_path)
    shared = {shared.arm.name: shared for shared in both.arms}
    assert len(shared) == 2 * (24 + 10 - 2)  # `single` and `multi5+permute` are asked for by both
    single = both.arm_of("confounds", "single", 1)
    assert single is both.arm_of("part-3.1", "single", 1) and single is not None
    assert sorted(shared[single.name].stages) == ["full", "lora", "p", "q"]
    assert list(tmp_path.iterdir()) == []

    capacity = plan_arms([load_experiment("part-3.3")], "tiny", [0], tmp_path)
    names = {
        arm: capacity.arm_of("part-3.3", arm, 0) for arm in ("full-100", "values-100", "values-junk-100")
    }
    assert {arm: found and found.name.rpartition("-")[0] for arm, found in names.items()} == {
        "full-100": "multiinf+permute+seed0",
        "values-100": "values+seed0",
        "values-junk-100": "values+random-junk+seed0",
    }

    told = workbench("reproduce", "--all", "--no-run", "--out", "all", "--json")
    assert told.status == 0, told.err
    verdicts = json.loads(told.out)["verdicts"]
    assert {one["verdict"] for one in verdicts} == {WORDS[-1]} and len(verdicts) == 70


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("single", ["single"]),
        ("single,single, other packing", ["single", "single, other packing"]),
        ("multi5+permute, bpe,single", ["multi5+permute, bpe", "single"]),
        ("single, bpe", ["single", "bpe"]),
    ],
)
def test_an_arm_may_have_a_comma_in_its_name(text: str, names: list[str]):
    assert read_arms(text, [load_experiment("confounds")]) == names


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["part-3.9"], "There is no experiment 'part-3.9'"),
        (["part-3.1", "--arms", "singel"], "There is no arm 'singel' (there are 'single', "),
        (["part-3.1", "--augmentations", "single"], "--augmentations does nothing with experiments"),
        (["tiny", "--no-run"], "--no-run does nothing with a recipe; leave it out."),
        (["tiny", "--scale", "small"], "--scale does nothing with a recipe; leave it out."),
        (["part-3.1", "--all"], "--all stands for every experiment; leave out 'part-3.1', or --all."),
        (
            ["part-3.1", "--set", "seed=3"],
            "'seed=3' cannot be set here; seeds are given by --seeds, and names follow.",
        ),
        (["part-3.1", "--seeds", "a"], "--seeds 'a' is not a list of numbers"),
    ],
)
def test_what_is_refused_before_anything_starts(workbench: Command, words, sentence):
    told = workbench("reproduce", *words)
    assert told.status == 1 and sentence in told.err
    assert not Path("runs").exists()


def test_what_was_changed_stands_in_the_command_that_is_kept(workbench: Command, micro_toml: Path) -> None:
    Path("mine.toml").write_text(MINE, encoding="utf-8")
    words = (
        "reproduce",
        "mine.toml",
        "--scale",
        "micro",
        "--set",
        "training.exposures=3",
        "--no-run",
        "--json",
    )
    told = json.loads(workbench(*words).out)
    asked = "workbench reproduce mine.toml --scale micro --seeds 1 --set training.exposures=3"
    assert told["command"] == f"{asked} --no-run"
    assert [one["command"] for one in told["experiments"]] == [asked]
    page = Path(told["kept"]).with_name("results.md").read_text(encoding="utf-8")
    assert f"Made by `{asked} --no-run`" in page and f"`{asked}` does:" in page


def test_problems_of_arithmetic_are_timed_too(workbench: Command, tmp_path: Path) -> None:
    words = ("reproduce", "part-2", "--scale", "tiny", "--arms", "error-free", "--out", tmp_path, "--dry-run")
    micro = ("--set", "model.n_layers=1", "--set", "model.d_model=32", "--set", "training.rows_per_step=8")
    found = {}
    for tokens in (40_000, 400_000):
        answer = workbench(*words, *micro, "--set", f"arithmetic.tokens={tokens}", "--json")
        assert answer.status == 0, answer.err
        (found[tokens],) = json.loads(answer.out)
    assert set(found[40_000]["left"]) == {"training", "v"}
    assert found[40_000]["unforeseen"] == ["solving"]
    assert 0 < found[40_000]["left"]["training"] < found[400_000]["left"]["training"]
    table = workbench(*words, *micro)
    assert "minutes" in table.out and "solving not counted" in " ".join(table.out.split())
