"""`workbench reproduce`: every stage of every arm, once; ours beside the paper's; what is refused before it starts."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from workbench.errors import WorkbenchError
from workbench.experiments.reproduction import make_arms
from workbench.figures import paper_answers, paper_augmentations, paper_p_probe
from workbench.results.storing import load_results

STEPS = ("--finetune-steps", "4")
pytestmark = pytest.mark.usefixtures("warm_jobs")


def test_all_stages_of_all_arms_beside_the_paper(workbench: Command, micro_toml: Path):
    two = ("--augmentations", "single,multi5+permute")
    made = workbench("reproduce", micro_toml, *two, *STEPS, "--out", "all", "--at-once", "2", "--json")
    assert made.status == 0, made.err
    told = json.loads(made.out)
    assert [row["augmentation"] for row in told["rows"]] == ["single", "multi5+permute"]
    single = told["rows"][0]
    p, q = (load_results("all/single", kind, "embedding").isel(checkpoint=-1) for kind in ("p", "q"))
    targets = ["birth_date/first", *[str(t) for t in p["target"].values if str(t).endswith("/whole")]]
    assert len(targets) == 6
    assert single["p"]["mean"] == pytest.approx(p["accuracy"].sel(position=0, target=targets).mean())
    assert single["q"]["mean"] == pytest.approx(q["accuracy"].sel(target=targets).mean())
    theirs = paper_p_probe("single")["accuracy"].sel(position=0, target=targets)
    assert single["p"]["paper"] == pytest.approx(float(theirs.mean()))
    assert single["answers"]["paper"] == pytest.approx(np.mean(list(paper_answers("single").values())))
    assert Path(told["report"]).stat().st_size > 4_000_000

    files = {file: file.stat().st_mtime_ns for file in Path("all").glob("*/results/**/*.nc")}
    assert len(files) == 6  # p, q and answers, of two arms
    again = workbench("reproduce", micro_toml, *two, *STEPS, "--out", "all")
    assert again.status == 0
    stages = ("training", "probing", "probing names", "finetuning", "asking")
    assert all(f"{stage}: already done, kept" in again.err for stage in stages)
    assert {file: file.stat().st_mtime_ns for file in Path("all").glob("*/results/**/*.nc")} == files
    for word in ("multi5+permute", "P, position 0", "answers", "paper", "next: workbench ui all"):
        assert word in again.out

    # a finetune that has been made anew is asked anew, and nothing else is
    tuned = workbench("finetune", "all/single", "--steps", "8", "--again", "--quiet")
    assert tuned.status == 0, tuned.err
    third = workbench("reproduce", micro_toml, *two, *STEPS, "--out", "all", "--json")
    assert third.status == 0, third.err
    changed = [file for file, when in files.items() if file.stat().st_mtime_ns != when]
    assert [file.parent.name for file in changed] == ["qa-lora+lora"] and "single" in changed[0].parts


def test_seeds_are_pooled(workbench: Command, micro_toml: Path):
    made = workbench(
        "reproduce", micro_toml, "--augmentations", "couple2", "--seeds", "0,1", *STEPS, "--out", "all"
    )
    assert made.status == 0, made.err
    assert sorted(path.name for path in Path("all").iterdir() if path.is_dir()) == [
        "couple2+seed0",
        "couple2+seed1",
    ]
    row = next(line for line in made.out.splitlines() if line.startswith("couple2"))
    assert row.split()[1] == "2" and row.count("(") == 3 and row.count("–") >= 3


def test_all_are_those_of_the_paper(tmp_path):
    arms = make_arms("tiny", [], ["all"], [0], tmp_path)
    assert [arm.name for arm in arms] == paper_augmentations() and len(arms) == 16


@pytest.mark.parametrize(
    ("augmentations", "seeds", "overrides", "sentence"),
    [
        (["singel"], [0], [], "multi5+reverse1; did you mean 'single'?"),
        (["single", "single"], [0], [], "single is given twice; give each augmentation and seed once."),
        (["single"], [1, 1], [], "1 is given twice"),
        ([], [0], [], "needs at least one augmentation and one seed"),
        (["single"], [0], ["seed=3"], "'seed=3' cannot be set here; use --augmentations and --seeds."),
        (["single"], [0], ["training.lrr=3"], "unknown key 'training.lrr'"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_starts(
    tmp_path, augmentations, seeds, overrides, sentence
):
    with pytest.raises(WorkbenchError) as refused:
        make_arms("tiny", overrides, augmentations, seeds, tmp_path)
    assert sentence in str(refused.value)
    assert list(tmp_path.iterdir()) == []
