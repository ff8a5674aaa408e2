"""A study of models that stand elsewhere, end to end: a tiny GPT-NeoX series, towns, every command."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.studies.towns import (
    TEMPLATES,
    TOML,
    make_tokenizer,
    make_towns,
    workbench,
    write_table,
    write_towns,
)
from workbench.errors import WorkbenchError
from workbench.extraction.finetunes import list_finetunes
from workbench.partials import PARTIAL_PREFIX
from workbench.probing.p_probe import make_p_probe_data
from workbench.processes import mark_of, this_machine
from workbench.results.storing import list_results, load_results
from workbench.studies.creating import create_study
from workbench.studies.opening import open_study


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a series of two untrained models, a table and a study.toml."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    folder, tokenizer = tmp_path_factory.mktemp("towns"), make_tokenizer()
    for step in (0, 20):
        torch.manual_seed(step)
        config = GPTNeoXConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=24, use_cache=False,
        )  # fmt: skip
        GPTNeoXForCausalLM(config).save_pretrained(folder / "series" / f"step{step}")
        tokenizer.save_pretrained(str(folder / "series" / f"step{step}"))
    write_towns(folder)
    return folder


@pytest.fixture(scope="module")
def study(towns: Path) -> Path:
    create_study(towns / "towns.toml", towns / "study")
    return towns / "study"


def test_the_folder_is_opened_like_a_run(study: Path) -> None:
    opened = open_study(study)
    assert [one.step for one in opened.checkpoints] == [0, 20]
    assert (opened.read, opened.start, opened.architecture) == (
        ("end:town", "before:country"),
        "none",
        "gpt_neox",
    )
    assert (len(opened.corpus.entities), len(opened.corpus.entries), len(opened.corpus.questions)) == (
        60,
        120,
        60,
    )
    entry = opened.corpus.entries[1]
    assert [entry.text[a:b] for a, b in (entry.names[0], entry.values["country"])] == ["Baba", "Arland"]
    question = opened.corpus.questions[0]
    assert (question.prompt, question.answer) == ("The road to Baba leads through", "Arland")


def test_its_questions_are_asked_as_its_file_says(study: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"and asks as its study.toml says; leave --no-answer-space out\."
    ):
        workbench("finetune", str(study), "--no-answer-space", "--steps", "1", "-q")
    assert not list_finetunes(open_study(study))


def test_a_second_making_changes_nothing_and_another_study_is_refused(towns: Path, study: Path) -> None:
    before = (study / "study.json").read_bytes()
    create_study(towns / "towns.toml", study)
    assert (study / "study.json").read_bytes() == before
    (towns / "other.toml").write_text(TOML.replace("[series]", "seed = 1\n[series]"), encoding="utf-8")
    with pytest.raises(WorkbenchError, match="holds a study of other models, facts or texts"):
        create_study(towns / "other.toml", study)


def test_an_empty_folder_in_which_one_was_killed_is_filled(towns: Path, tmp_path: Path) -> None:
    dead = f"{PARTIAL_PREFIX}made-{mark_of(this_machine(), 2**22 + 1, '1')}-0123abcd"
    (tmp_path / "made" / dead).mkdir(parents=True)
    (tmp_path / "made" / dead / "study.toml").write_text("half")
    made, _ = create_study(towns / "towns.toml", tmp_path / "made")
    assert made.path == tmp_path / "made"
    assert sorted(entry.name for entry in made.path.iterdir()) == [
        "corpus", "study.json", "study.toml", "tokenizer",
    ]  # fmt: skip


@pytest.mark.parametrize("listed", [True, False])
def test_what_one_left_that_was_killed_at_its_very_end_is_taken_away(
    listed: bool, towns: Path, tmp_path: Path
) -> None:
    """All is there, and beside it the folder out of which it was moved, with the list of what was moved or empty."""
    made, _ = create_study(towns / "towns.toml", tmp_path / "made")
    dead = made.path / f"{PARTIAL_PREFIX}made-{mark_of(this_machine(), 2**22 + 1, '1')}-0123abcd"
    dead.mkdir()
    names = sorted(entry.name for entry in made.path.iterdir() if entry != dead)
    if listed:
        (dead / ".moving.json").write_text(json.dumps(names))
    create_study(towns / "towns.toml", tmp_path / "made")
    assert sorted(entry.name for entry in made.path.iterdir()) == names


@pytest.fixture
def again(towns: Path, tmp_path: Path) -> Path:
    """The towns' folder once more, to be changed."""
    return Path(shutil.copytree(towns, tmp_path / "towns", ignore=shutil.ignore_patterns("study")))


def swap_two_words(folder: Path) -> None:
    """Another tokenizer of the same size, in which two words have changed places."""
    content = json.loads((folder / "tokenizer.json").read_text())
    words = content["model"]["vocab"]
    words["lies"], words["road"] = words["road"], words["lies"]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def test_a_model_that_reads_other_tokens_is_no_member(again: Path) -> None:
    """Its activations would be of other words, and nothing would show it."""
    tokenizer = again / "series/step0/tokenizer.json"
    tokenizer.write_text(
        json.dumps(json.loads(tokenizer.read_text()), indent=1)
    )  # other bytes, the same tokens
    create_study(again / "towns.toml", again / "first")
    swap_two_words(again / "series/step0")
    told = r"The tokenizer in .*step0 reads the texts as other tokens than the one in .*step20; leave that model out"
    with pytest.raises(WorkbenchError, match=told):
        create_study(again / "towns.toml", again / "second")
    assert not (again / "second").exists()
    words = [
        "cache-acts",
        str(again / "series"),
        "--table",
        str(again / "towns.csv"),
        "--quiet",
        "--sites",
        "resid_post.1",
    ]
    words += ["--template", "The road to {town} leads", "--out", str(again / "acts"), "--checkpoints"]
    with pytest.raises(WorkbenchError, match="reads the texts as other tokens than the one in"):
        workbench(*words, "all")
    shutil.copy(again / "series/step20/tokenizer.json", tokenizer)
    assert len(json.loads(workbench(*words, "all", "--json"))) == 2


def test_two_models_of_one_step_are_no_series_of_a_study(again: Path) -> None:
    shutil.copytree(again / "series/step20", again / "series/step020")
    with pytest.raises(
        WorkbenchError, match="has two models of step 20, 'step020' and 'step20', and results are kept"
    ):
        create_study(again / "towns.toml", again / "made")


def test_of_two_that_make_one_study_the_first_stays_with_its_results(
    towns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is nearly done when the first has come to its end and has been probed."""
    from workbench.studies import creating

    save = creating.save_corpus

    def meanwhile(folder: Path, corpus: Any) -> None:
        monkeypatch.setattr(creating, "save_corpus", save)
        create_study(towns / "towns.toml", tmp_path / "made")
        (tmp_path / "made" / "results").mkdir()
        save(folder, corpus)

    monkeypatch.setattr(creating, "save_corpus", meanwhile)
    made, _ = create_study(towns / "towns.toml", tmp_path / "made")
    assert (made.path / "results").is_dir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]


def test_prompts_with_two_answers_are_told_of(towns: Path, tmp_path: Path) -> None:
    """A question that does not name the town has the answer of the first town alone."""
    asked = TOML.replace(
        'country = "The road to {town} leads through', 'country = "The road to {side} leads through'
    ).replace('models = "series"', f'models = "{towns / "series"}"')
    (tmp_path / "towns.toml").write_text(asked)
    write_table(tmp_path / "towns.csv", make_towns())
    made, notes = create_study(tmp_path / "towns.toml", tmp_path / "made")
    assert [question.answer for question in made.corpus.questions] == ["Arland", "Cordova"]
    (told,) = notes
    assert told == (
        "40 questions left out because their prompt has an answer already ('The road to East leads through': 'Arland' "
        "of 'Baba', not 'Borvia', …)"
    )


def test_every_command_takes_it(study: Path, towns: Path) -> None:
    quiet = ("--quiet", "--device", "cpu")
    workbench("probe", study, "--family", "ridge", "--checkpoints", "all", *quiet)
    workbench("probe", study, "--kind", "q", "--family", "ridge", *quiet)
    workbench("probe", study, "--steps", "2", *quiet)
    workbench("attention", study, "--what", "shares", "--entries", "6", *quiet)
    workbench("attention", study, "--what", "knockout", "--entries", "4", "--roles", "name", *quiet)
    workbench(
        "finetune", study, "--name", "tuned", "--steps", "2", "--embedding-rank", "4", "--rank", "2", *quiet
    )
    workbench("evaluate", study, "--adapter", "tuned", "--device", "cpu")
    workbench("entity", study, "--entities", "2", "--layers", "1", *quiet)
    workbench("verify", study)
    workbench("compare", study, "--adapter", "tuned")
    asked = json.loads(workbench("evaluate", study, "--json", "--device", "cpu"))
    assert {row["attribute"] for row in asked["cells"] if row["n"]} == {"country"}
    kinds = {(found.kind, found.family.partition("+")[0]) for found in list_results(study)}
    expected = {("p", "ridge"), ("q", "ridge"), ("p", "embedding"), ("attention", "shares"), ("qa", "none")}
    assert expected <= kinds
    p = load_results(study, "p", "ridge")
    assert p["place"].values.tolist() == ["end:town", "before:country"]
    assert p["checkpoint"].values.tolist() == [0, 20]
    assert p["target"].values.tolist() == ["country/first", "country/whole", "side/whole"]
    workbench("report", study, "--out", towns / "report.html")
    assert "end:town" in (towns / "report.html").read_text(encoding="utf-8")


def test_bits_are_counted_from_the_values_that_occur(study: Path) -> None:
    """Nobody knows what towns' names were drawn from: they count for nothing, countries as often as they occur."""
    answer = " ".join(workbench("capacity", study, "--checkpoints", "all", "--device", "cpu").split())
    assert "The pools of these facts are not known: names count for nothing" in answer
    data = load_results(study, "capacity", "bits").sel(checkpoint=20)
    assert data["fact"].values.tolist() == ["country"]  # no text states the side
    assert float(data["bits_names"]) == 0.0
    assert float(data["most_bits"]) == pytest.approx(60 * math.log2(3))  # 20 towns in each of three
    loss = float(data["loss"].sel(fact="country"))
    assert float(data["bits"]) == pytest.approx(60 * (math.log2(3) - loss / math.log(2)))


Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('entity = "town"', 'entity = "city"', r"has no column 'city' of entities"),
        ("lies in {country}", "lies in {land}", r"names \{land\}, but the table's columns are town, country, side"),
        ('["{town} lies', '["It lies', r"does not name the entity; it needs \{town\}"),
        ('models = "series"', 'models = "no/such/thing"', r"no/such/thing does not exist"),
        ('key = "side"', 'key = "sides"', r"has no column 'sides' of an attribute"),
        ("[table]", '[table]\nnoun = "town"', r"has the unknown key 'table.noun'; did you mean 'nouns'\?"),
        ("[series]", 'read = ["end:capital"]\n[series]', r"There is no place 'end:capital' to read"),
        ("leads through\"", "{country}\"", r"gives away its answer \{country\}"),
        ("{town} lies in", "very " * 24 + "{town} lies in", r"holds the word 'very'|context is 24"),
    ],
)  # fmt: skip
def test_a_study_toml_that_does_not_fit_is_one_sentence(
    towns: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in TOML
    made = towns / "bad.toml"
    made.write_text(TOML.replace(old, new), encoding="utf-8")
    with pytest.raises(WorkbenchError, match=words) as caught:
        create_study(made, tmp_path / "study")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"town": "", "country": "Arland", "side": "East"}],
            r"row 61 names no entity \(column 'town'\)",
        ),
        (
            [{"town": "Baba", "country": "Borvia", "side": "East"}],
            r"'Baba' stands in the rows 1 and 61 with other values",
        ),
        (
            [{"town": "New Arland", "country": "Arland", "side": "East"}],
            r"the name 'New Arland' holds its country 'Arland'",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_one_sentence(
    towns: Path, tmp_path: Path, rows: list[dict[str, str]], words: str
) -> None:
    write_table(towns / "bad.csv", make_towns() + rows)
    (towns / "bad_table.toml").write_text(TOML.replace("towns.csv", "bad.csv"), encoding="utf-8")
    with pytest.raises(WorkbenchError, match=words):
        create_study(towns / "bad_table.toml", tmp_path / "study")


def test_ready_texts_have_their_spans_checked(towns: Path, tmp_path: Path) -> None:
    texts = towns / "texts.jsonl"
    (towns / "ready.toml").write_text(
        TOML.replace(
            TOML[TOML.index("templates") : TOML.index("[[attributes]]")], 'file = "texts.jsonl"\n\n'
        ),
        encoding="utf-8",
    )
    good = {"town": "Baba", "text": "Baba lies in Arland ."}
    texts.write_text(json.dumps({**good, "spans": {"country": [13, 99]}}) + "\n", encoding="utf-8")
    with pytest.raises(
        WorkbenchError, match=r"row 1: the span \[13, 99\] of 'country' does not lie in its text of 21"
    ):
        create_study(towns / "ready.toml", tmp_path / "study")
    texts.write_text(json.dumps({**good, "town": "Nowhere"}) + "\n", encoding="utf-8")
    with pytest.raises(WorkbenchError, match="row 1 is about 'Nowhere', whom the table does not have"):
        create_study(towns / "ready.toml", tmp_path / "study")
    rows = [{"town": row["town"], "text": TEMPLATES[0].format(**row)} for row in make_towns()]
    texts.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    made, _ = create_study(towns / "ready.toml", tmp_path / "study")
    assert made.corpus.entries[2].values == {"country": (13, 20)}


def make_ready(towns: Path, rows: list[dict[str, Any]]) -> Path:
    """A study.toml that reads these texts."""
    section = TOML[TOML.index("templates") : TOML.index("[[attributes]]")]
    (towns / "ready.toml").write_text(TOML.replace(section, 'file = "texts.jsonl"\n\n'), encoding="utf-8")
    (towns / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return towns / "ready.toml"


def test_a_value_in_other_words_keeps_the_fact(towns: Path, tmp_path: Path) -> None:
    """The place is that of the words, the class the value of the table."""
    texts = [{"town": row["town"], "text": TEMPLATES[0].format(**row)} for row in make_towns()]
    texts[0] |= {"text": "Baba lies in East . Arland", "worded": {"country": "East"}}
    texts[1] |= {"text": "Babe lies in West .", "worded": {"country": "West"}, "spans": {"country": [13, 17]}}
    made, _ = create_study(make_ready(towns, texts), tmp_path / "study")
    first, second, third = made.corpus.entries[:3]
    assert (first.worded, second.worded, third.worded) == (("country",), ("country",), ())
    assert [one.text[slice(*one.values["country"])] for one in (first, second)] == ["East", "West"]
    data = make_p_probe_data(made)
    (whole,) = [target for target in data.targets if target.name == "country/whole"]
    assert [whole.classes[label] for label in whole.labels_N[:3]] == ["Arland", "Borvia", "Cordova"]
    workbench("probe", made.path, "--family", "ridge", "--quiet", "--device", "cpu")
    found = load_results(made.path, "p", "ridge")["n"].sel(target="country/whole")
    assert (found.isel(position=1) > 20).all()  # read before the words, wherever they stand


@pytest.mark.parametrize(
    ("worded", "words"),
    [
        ("East", "row 1: worded is 'East'; expected attribute → the words that state its value"),
        ({"land": "East"}, "row 1: worded says 'East' of 'land'; expected words for a value that 'Baba' has"),
        ({"country": " "}, "row 1: worded says ' ' of 'country'"),
        ({"country": "West"}, r"row 1: the span \[13, 17\] of 'country' reads 'East', not 'West'"),
    ],
)
def test_other_words_that_do_not_fit_are_refused(
    towns: Path, tmp_path: Path, worded: Any, words: str
) -> None:
    text = {"town": "Baba", "text": "Baba lies in East .", "spans": {"country": [13, 17]}, "worded": worded}
    with pytest.raises(WorkbenchError, match=words):
        create_study(make_ready(towns, [text]), tmp_path / "study")


def test_facts_from_which_no_task_follows_are_told_how_to_ask(study: Path) -> None:
    with pytest.raises(
        WorkbenchError, match=r"No family of tasks follows from .* `workbench tasks .* retrieval:\w+`"
    ):
        workbench("tasks", study)


def test_what_cannot_be_probed_is_said_once(
    towns: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = (towns / "towns.csv").read_text(encoding="utf-8").replace("West", "East")
    (towns / "one-side.csv").write_text(table, encoding="utf-8")
    (towns / "one-side.toml").write_text(TOML.replace("towns.csv", "one-side.csv"), encoding="utf-8")
    workbench("study", towns / "one-side.toml", "--out", tmp_path / "study")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["left out: side/whole has the single class 'East', which every probe predicts"]


def test_a_probe_of_a_study_has_few_steps_unless_it_says_otherwise(towns: Path, tmp_path: Path) -> None:
    """What [probing] leaves out stays the study's own, not a recipe's."""
    (towns / "more.toml").write_text(TOML + "\n[probing]\nsteps = 7\n", encoding="utf-8")
    study, _ = create_study(towns / "more.toml", tmp_path / "study")
    assert (study.probing.steps, study.probing.entries_per_step, study.probing.lr) == (7, 25, 1e-2)
