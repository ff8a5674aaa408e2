"""The Claims page: what verdicts.json says, whole, and nothing else; on disk and in a browser."""

import json

import pytest
from workbench_app.drawing import Drawer, draw_page
from workbench_app.index import RunIndex
from workbench_app.library import ResultLibrary
from workbench_app.verdict_files import find_verdicts

from tests.app.made_runs import make_run
from tests.app.test_missing import check_that_it_parses, commands
from workbench.claims.kept import (
    KeptExperiment,
    KeptInequality,
    KeptVerdict,
    KeptVerdicts,
    LeftOut,
    read_verdicts,
    write_verdicts,
)
from workbench.errors import WorkbenchError


def make_inequality(word, estimate, low, high, bound=30.0, relation=">=", paper=None):
    return KeptInequality(
        inequality=f'p("one") {relation} {bound:g}', verdict=word, estimate=estimate, low=low, high=high,
        relation=relation, bound=bound, entities=211, paper=paper, difference=None, needs="",
    )  # fmt: skip


def make_verdict(name, word, *holds, reason=""):
    return KeptVerdict(
        experiment="mine", claim=name, says=f"Says {name}.", source="Figure 5", verdict=word, reason=reason,
        chance=7.0, seeds=(0,), arms=("one",), holds=holds, given=(),
    )  # fmt: skip


VERDICTS = (
    make_verdict(
        "too-few", "undecided", make_inequality("undecided", 34.1, 23.5, 43.7), reason="about 1,412 needed"
    ),
    make_verdict("stairs", "holds", make_inequality("holds", 44.0, 39.5, 48.5, paper=60.2)),
    make_verdict("nothing", "fails", make_inequality("fails", 40.0, 38.0, 42.0, 8.0, "<=")),
    make_verdict("never", "not measured", make_inequality("not measured", None, None, None)),
)


def keep(folder, verdicts=VERDICTS):
    experiment = KeptExperiment(
        name="mine", title="Mine", paper="A paper", command="workbench reproduce part-3.1 --scale tiny --seeds 1",
        runs={"one": ("one+seed0", "gone+seed1")}, left_out=(LeftOut(source="Table 9", why="no"),),
    )  # fmt: skip
    return write_verdicts(
        folder,
        KeptVerdicts(
            scale="tiny", seeds=(0,), command="workbench reproduce part-3.1 --scale tiny --seeds 1",
            made="2026-11-29T10:00:00+00:00", commit="abc", experiments=(experiment,), verdicts=verdicts,
        ),
    )  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "reproduction" / "tiny").mkdir(parents=True)
    make_run(tmp_path / "reproduction" / "tiny", "one+seed0", steps=(0,))
    keep(tmp_path / "reproduction" / "tiny")
    return tmp_path


def draw(folder, address):
    drawer = Drawer(RunIndex(folder, pause=0), ResultLibrary(), prefix="/", writable=True)
    return draw_page(drawer.view(address, None, None), "k")


def test_what_is_kept_is_read_back_as_it_was(tmp_path):
    path = keep(tmp_path)
    assert read_verdicts(path).verdicts == VERDICTS
    assert json.loads(path.read_text(encoding="utf-8"))["verdicts"][3]["holds"][0]["estimate"] is None


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"scale": "tiny"', '{"scale": NaN}', json.dumps({"verdicts": [{"claim": "old"}]})],
)
def test_what_is_no_file_of_verdicts_is_one_sentence(runs, content):
    file = runs / "reproduction" / "tiny" / "verdicts.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(WorkbenchError) as refused:
        read_verdicts(file)
    assert "\n" not in str(refused.value)
    assert str(refused.value) in str(draw(runs, "/claims").children)


def test_every_claim_is_told_and_the_filter_keeps_those_of_one_word(runs):
    page = draw(runs, "/claims")
    text = str(page.children)
    assert all(verdict.says in text for verdict in VERDICTS)
    assert "1 holds, 1 fails, 1 undecided, 1 not measured." in text
    assert "34.1" in text and "23.5 to 43.7" in text and "paper 60.2" in text and "n 211" in text
    assert "/overview?runs=reproduction~tiny~one%2Bseed0" in text and "gone" not in text
    assert text.index("Says stairs") < text.index("Says nothing") < text.index("Says too-few")
    assert page.resolved == {"set": "reproduction~tiny", "form": "all"}
    only = str(draw(runs, "/claims?form=fails").children)
    assert "Says nothing." in only and "Says stairs." not in only and "Says never." not in only
    for line in commands(page.children):
        check_that_it_parses(line)


def test_without_verdicts_the_command_that_foresees_is_named(tmp_path):
    make_run(tmp_path, "one", steps=(0,))
    page = draw(tmp_path, "/claims")
    (line,) = commands(page.children)
    assert line == f"workbench reproduce part-3.1 --out {tmp_path}/reproduction --dry-run"
    check_that_it_parses(line)


def test_a_page_that_is_open_takes_new_verdicts_in(runs):
    drawer = Drawer(RunIndex(runs, pause=0), ResultLibrary(), prefix="/", writable=True)
    before, other = drawer.version("/claims"), drawer.version("/paper")
    assert drawer.version("/claims") == before
    keep(runs / "reproduction" / "tiny", VERDICTS[:2])
    assert drawer.version("/claims") != before
    assert drawer.version("/paper") == other
    assert [file.id for file in find_verdicts(runs)] == ["reproduction~tiny"]
