"""The report is one file that holds everything, fetches nothing, and says what is missing."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from tests.app.made_analyses import add_tasks
from tests.app.made_runs import make_run
from tests.report.conftest import finish, make_result
from tests.training.micro_runs import micro_recipe
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import load_recipe
from workbench.report import write_report
from workbench.report.pictures import training
from workbench.results.provenance import call_apart, make_attrs
from workbench.results.storing import load_result, load_results, result_path, save_result
from workbench.studies.runs import create_run, open_run
from workbench.worlds.biographies.schema import ATTRIBUTES
from workbench.worlds.own.example import write_example


class Page(HTMLParser):
    """Collects what a page would load, its scripts by kind, and its visible text."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.loads: list[str] = []
        self.scripts: list[tuple[dict, str]] = []
        self.text = ""
        self._open: dict | None = None
        self._quiet = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.loads += [str(found[key]) for key in ("src", "href", "data", "poster", "srcset") if key in found]
        self._quiet = tag in ("style", "script")
        if tag == "script":
            self._open = found

    def handle_endtag(self, tag):
        self._open, self._quiet = None, False

    def handle_data(self, data):
        if self._open is not None:
            self.scripts.append((self._open, data))
        elif not self._quiet:
            self.text += data

    def figures(self) -> list[dict]:
        return [json.loads(body) for attrs, body in self.scripts if "data-variant" in attrs]


@pytest.fixture
def page(runs, tmp_path):
    return Page(write_report(runs(), tmp_path / "report.html"))


def test_the_report_fetches_nothing(page, tmp_path):
    assert page.loads == []
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in html  # and a browser would refuse to


def test_plotly_is_in_it_exactly_once(page):
    big = [body for attrs, body in page.scripts if len(body) > 1_000_000]
    assert len(big) == 1 and "plotly.js v" in big[0][:200]


def test_the_figures_are_the_results(page, tmp_path):
    shown = [figure for figure in page.figures() if figure["data"][0].get("customdata")]
    result = load_results(tmp_path / "runs/single", "p", "embedding").isel(checkpoint=-1)
    z = shown[0]["data"][0]["z"]
    drawn = np.frombuffer(base64.b64decode(z["bdata"]), z["dtype"]).reshape(11, 6)
    np.testing.assert_array_equal(drawn, result["accuracy"].values.T)


def test_figures_leave_their_colours_to_the_page(page):
    assert all("template" not in figure["layout"] for figure in page.figures())
    templates = next(json.loads(body) for attrs, body in page.scripts if attrs.get("id") == "templates")
    assert set(templates) == {"light", "dark"}


def test_it_says_what_is_seen_how_to_read_it_and_what_to_run(page, tmp_path):
    for words in (
        "Two language models, started from nothing, each learned by heart the biographies of 40 made-up people",
        "How the texts were written is all that differs: single · multi5+permute",
        "A staircase: each attribute becomes readable only in its own sentence (90 % on the diagonal)",
        "Flat rows: the attributes are known as soon as the name has been read",
        "single minus the paper",
        f"workbench ui {tmp_path / 'runs'}",
        f"workbench train {tmp_path / 'runs' / 'multi5+permute' / 'recipe.toml'} "
        "--set biographies.augmentation=single+fullname",
        'augmentation = "multi5+permute"',
    ):
        assert words in " ".join(page.text.split()), words


def test_a_biography_is_shown_with_its_six_positions(page, tmp_path):
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    entries = re.findall(r'<p class="entry">(.*?)</p>', html)
    assert len(entries) == 2
    for entry in entries:
        assert re.findall(r'class="pos"[^>]*>(\d)<', entry) == list("012345")
        plain = re.sub(r"<span class=\"pos\".*?</span>", "", entry)
        text = re.sub("<[^>]+>", "", plain).replace("&#x27;", "'")
        assert any(
            text == e.text
            for run in ("single", "multi5+permute")
            for e in open_run(tmp_path / "runs" / run).corpus.entries
        )


def test_facts_of_ones_own_are_not_told_in_the_biographies_words(tmp_path):
    write_example(tmp_path / "facts")
    run = create_run(
        load_recipe("own", {"own.folder": str(tmp_path / "facts"), "own.entities": 60}), tmp_path / "towns"
    )
    finish(run)
    text = Page(write_report([run.path], tmp_path / "report.html")).text
    assert "One language model, started from nothing, learned by heart texts about 60 towns." in " ".join(
        text.split()
    )
    assert f"workbench train {run.path / 'recipe.toml'} --set own.augmentation=single+fullname" in text
    for word in ("biograph", "made-up", "sixth", "birth", "0–5", "6−"):
        assert word not in text.replace('objective = "biographies"', ""), word


def test_runs_about_entities_and_about_problems_have_chapters_of_their_own(runs, tmp_path):
    single, _ = runs()
    solver = create_run(load_recipe("arithmetic-tiny"), tmp_path / "solver")
    finish(solver)
    text = Page(write_report([single, solver.path], tmp_path / "report.html")).text
    about_entities, about_problems = (
        text.index("What a model knows before it says it"),
        text.index("What a model works out before it writes"),
    )
    assert about_entities < text.index("40 made-up people") < about_problems < text.index("Problems solved")


def test_a_probe_that_is_not_the_papers_is_drawn_under_its_name(runs, tmp_path):
    single, permuted = runs()
    for path, family in ((single, "embedding+steps30"), (permuted, "ridge")):
        step = open_run(path).checkpoints[-1].step
        result = load_results(path, "p", "embedding").sel(checkpoint=step)
        shutil.rmtree(path / "results")
        plain, _, variant = family.partition("+")
        result = result.assign_attrs(
            family=plain, variant=variant, weights_digest=str(result["weights_digest"].values)
        )
        if plain == "ridge":
            result = result.expand_dims(layer=["0", "final"])
        save_result(result_path(path, "p", plain, step, variant), result.drop_vars("weights_digest"))
    text = Page(write_report([single, permuted], tmp_path / "report.html")).text
    assert "Not probed yet." not in text
    assert "step 512 · embedding probe, steps30" in text
    assert "step 512 · ridge probe on activations, layer final" in text
    assert "single minus the paper" in text and "multi5+permute minus the paper" not in text  # another family


def test_every_layer_of_a_probe_on_activations_is_drawn(runs, tmp_path):
    """Of 32 layers the report of a study showed the last."""
    path, _ = runs()
    step = open_run(path).checkpoints[-1].step
    result = load_results(path, "p", "embedding").sel(checkpoint=step)
    result = result.assign_attrs(
        family="logistic", variant="", weights_digest=str(result["weights_digest"].values)
    ).expand_dims(layer=["0", "1", "final"])
    save_result(result_path(path, "p", "logistic", step), result.drop_vars("weights_digest"))
    page = Page(write_report([path], tmp_path / "report.html"))
    assert "layer by layer, logistic probe on activations" in page.text
    titles = [str(figure["layout"].get("title", {}).get("text", "")) for figure in page.figures()]
    assert any(title.startswith("university · whole  (chance") for title in titles)


def test_of_one_model_from_elsewhere_no_training_is_asked_for():
    """`--checkpoints all` was named as what to run next, of a series of one model."""
    alone = SimpleNamespace(p=None, trained_here=False, steps=[0])
    assert training([alone]) == ""


def test_missing_parts_name_the_command_that_makes_them(runs, tmp_path):
    single, permuted = runs()
    shutil.rmtree(single / "results")
    (permuted / "metrics.jsonl").unlink()
    text = Page(write_report([single, permuted], tmp_path / "report.html")).text
    assert f"Not probed yet.workbench probe {single}" in text
    assert (
        "Not measured yet." in text
        and f"workbench train {permuted / 'recipe.toml'} --out {permuted} --resume" in text
    )
    assert f"workbench probe {single} --kind q\nworkbench probe {permuted} --kind q" in text
    assert "were trained on the biographies" in text  # recitation is not known


def test_a_finetunes_folder_sends_nobody_to_train_it(runs, tmp_path):
    single, _ = runs()
    (single / "metrics.jsonl").unlink()
    open_run(single).set_status(finetuned_from="base")
    text = Page(write_report([single], tmp_path / "report.html")).text
    assert "Finetuned from base, whose curves these would be." in text and "--resume" not in text


def test_q_probes_are_drawn_where_they_exist(runs, add_results, tmp_path):
    single, permuted = runs()
    add_results(open_run(permuted), (512,), kind="q")
    page = Page(write_report([single, permuted], tmp_path / "report.html"))
    bars = [f for f in page.figures() if f["data"][0]["type"] == "bar"]
    assert len(bars) == 1 and bars[0]["data"][0]["name"] == "multi5+permute"
    assert f"workbench probe {single} --kind q" in page.text
    assert f"workbench probe {permuted} --kind q" not in page.text


@pytest.mark.parametrize(
    ("objective", "words", "number"),
    [("biographies", "single, after LoRA", "1.1"), ("mixed", "single, mixed training", "88.8")],
)
def test_the_papers_answers_stand_below_ours(made_runs, tmp_path, objective, words, number):
    """Figure 3: the employer of `single` is answered by 1.1 % after LoRA and by 88.8 % after mixed training."""
    recipe = load_recipe(made_runs / "little.toml", {"training.objective": objective})
    run = create_run(recipe, tmp_path / "asked")
    finish(run)
    shares = np.full((2, len(ATTRIBUTES)), 0.5)
    cells = dict.fromkeys(("accuracy", "chance", "ci_low", "ci_high"), (("split", "attribute"), shares))
    cells |= {"n": (("split", "attribute"), np.full(shares.shape, 20))}
    cells |= {"said": (("split", "attribute", "answer_kind"), np.full((*shares.shape, 1), 20))}
    last = run.checkpoints[-1]
    attrs = make_attrs(kind="qa", family="none", run=run, checkpoint=last, settings={})
    coords = {"split": ["train", "test"], "attribute": list(ATTRIBUTES), "answer_kind": ["right"]}
    result = xr.Dataset(cells, coords={**coords, "checkpoint": last.step}, attrs=attrs)
    save_result(result_path(run.path, "qa", "none", last.step), result)
    text = write_report([run.path], tmp_path / "report.html").read_text(encoding="utf-8")
    row = text.split(f'<th scope="row">{words}</th>')[1].split("</tr>")[0]
    assert row.count("<td>") == len(ATTRIBUTES) + 1 and f"<td>{number}</td>" in row


def test_tasks_have_a_section_where_some_were_asked(tmp_path):
    run = make_run(tmp_path, "one", steps=(0, 64))
    assert "When it has to be used" not in write_report([run.path], tmp_path / "a.html").read_text(
        encoding="utf-8"
    )
    add_tasks(run, 64, "hinted", hints=True)
    add_tasks(run, 0, "early", hints=True)
    text = write_report([run.path], tmp_path / "b.html").read_text(encoding="utf-8")
    assert "When it has to be used" in text
    assert "chance 50.0%, taught with hints, asked directly 60.0% (n = 50), with hint 90.0%" in text
    for told in ("one, hinted, step 64", "one, early, step 0", "test entities, step 64", "Over training"):
        assert told in text


def test_groups_that_were_probed_stand_apart(tmp_path):
    groups = [
        {"name": "celebrity", "people": 14, "augmentation": "multi5+permute"},
        {"name": "minority", "people": 8, "augmentation": "single"},
    ]
    run = create_run(micro_recipe(biographies__groups=groups), tmp_path / "both")
    finish(run)
    for group in ("celebrity", "minority"):
        variant = f"group-{group}"
        result = make_result(run, 512).assign_attrs(variant=variant)
        save_result(result_path(run.path, "p", "embedding", 512, variant), result)
    q = make_result(run, 512, "q").assign_attrs(variant="group-minority")
    save_result(result_path(run.path, "q", "embedding", 512, "group-minority"), q)
    text = Page(write_report([run.path], tmp_path / "report.html")).text
    assert "both, celebrity" in text and "both, minority" in text
    assert "bioS multi5+permute" in text and "bioS single" in text  # each beside its own of the paper's
    assert "--kind q --group celebrity" in text and "--kind q --group minority" not in text


def test_a_damaged_or_outdated_result_is_told_and_the_rest_still_shown(runs, tmp_path):
    single, permuted = runs()
    broken = result_path(single, "p", "embedding", 512)
    broken.write_bytes(broken.read_bytes()[:1000])
    info = next((permuted / "checkpoints").glob("*512/checkpoint.json"))
    info.write_text(info.read_text().replace(open_run(permuted).recipe.digest[:32], "f" * 32))
    page = Page(write_report([single, permuted], tmp_path / "report.html"))
    assert f"The result {broken} (1000 bytes) is truncated or damaged" in page.text
    assert "was made with the weights" in page.text
    assert page.figures()  # training curves and the paper's


def test_two_runs_of_one_folder_name_are_told_apart(runs, tmp_path):
    """Two seeds, each in a folder of its own: `x, x`, and tables under the name that the run had when it was probed."""
    single, permuted = runs()
    for run, seed in ((single, "seed0"), (permuted, "seed1")):
        (tmp_path / seed).mkdir()
        run.rename(tmp_path / seed / "mine")
    both = [tmp_path / "seed0/mine", tmp_path / "seed1/mine"]
    text = Page(write_report(both, tmp_path / "report.html")).text
    for name in ("seed0/mine", "seed1/mine"):
        assert f"{name} · P-probe" in text
    assert "mine, mine" not in text and "single · P-probe" not in text
    made = [[load_results(run, "p", "embedding")] for run in both]
    named = [one.attrs["run"] for (one,) in call_apart([open_run(run) for run in both], made)]
    assert named == ["seed0/mine", "seed1/mine"]


def test_a_result_that_was_copied_from_another_run_is_not_joined(runs, tmp_path):
    single, permuted = runs()
    place = "results/p-embedding/step-00000512.nc"
    shutil.copy(permuted / place, single / place)
    for step in (0, 64):
        (single / "results/p-embedding" / f"step-{step:08d}.nc").unlink()
    with pytest.raises(WorkbenchError, match="result of step 512 was made with the weights"):
        load_results(open_run(single), "p", "embedding")
    for other, told in (
        ("p-embedding/step-00000064", "of step 512"),
        ("q-embedding/step-00000512", "of kind p"),
    ):
        path = single / "results" / f"{other}.nc"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(single / place, path)
        with pytest.raises(WorkbenchError, match=f"{other}.nc is {told}, which its place is not"):
            load_result(path)


def test_names_are_escaped(runs, tmp_path):
    single, _ = runs()
    evil = single.rename(single.parent / "<b>&'x'")
    html = write_report([evil], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>&'x'" not in html and "&lt;b&gt;&amp;&#x27;x&#x27;" in html


def test_no_runs_or_no_run_is_a_sentence(tmp_path):
    with pytest.raises(WorkbenchError, match="at least one run"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(WorkbenchError, match="is not a run"):
        write_report([tmp_path], tmp_path / "report.html")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_a_browser_draws_it_without_a_request_or_a_complaint(runs, tmp_path, browser, scheme, width):
    path = write_report(runs(), tmp_path / "report.html")
    tab = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    requests, complaints = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(path.as_uri(), timeout=120_000)
    tab.wait_for_selector(".heatmap-label text", state="attached", timeout=120_000)
    drawn = tab.locator(".figure .main-svg").count()
    overflow = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    tab.get_by_role("button", name="very next value").click()
    shown = {box.get_attribute("data-show") for box in tab.locator('.figure[data-group="p"]').all()}
    tab.close()
    assert drawn >= 6 and overflow <= 0 and shown == {"accuracy_not_next"}
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []
