"""A corpus whose people have some of the attributes: what is not known is no value and no class."""

import json

import pytest

from workbench.activations import Reading, read_study
from workbench.recipes.recipe import load_recipe
from workbench.studies.runs import Run, create_run
from workbench.tokens.targets import make_targets

N = 24
MAJORS, COMPANIES = ("Sociology", "Physics"), ("Acme", "Walmart")


def value_of(attribute: str, person: int) -> str | None:
    """Every second person has no major, every third no company; of the other four attributes nobody has any."""
    if attribute == "major":
        return MAJORS[person // 2 % 2] if person % 2 == 0 else None
    return COMPANIES[person // 3 % 2] if attribute == "company" and person % 3 else None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("some")
    (folder / "corpus").mkdir()
    people, entries = [], []
    for person in range(N):
        known = {key: value for key in ("company", "major") if (value := value_of(key, person))}
        text, spans = f"Person{person} Name{person} :", {}
        for key, value in known.items():
            text += f" {key} is "
            spans[key] = [len(text), len(text) + len(value)]
            text += f"{value} ."
        people.append({"name": f"Person{person} Name{person}", "values": known})
        entries.append({"entity": person, "text": text, "values": spans})
    for name, rows in (("entities", people), ("entries", entries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "corpus" / f"{name}.jsonl").write_text(lines)
    corpus = {"biographies.corpus": str(folder / "corpus"), "tokens.tokenizer": "bpe"}
    return create_run(load_recipe("tiny", {**corpus, "tokens.vocabulary_size": 400}), folder / "run")


def texts_of(reading: Reading, column: str) -> list[str | None]:
    found = reading.columns[column]
    assert found.categories is not None
    return [None if value < 0 else found.categories[value] for value in found.values.tolist()]


@pytest.mark.parametrize("at", ["names", "positions", "end:company"])
def test_what_is_not_known_is_no_value_in_any_reading(at: str, run: Run) -> None:
    reading = read_study(run, at=[at])
    entities = reading.columns["entity"].values.tolist()
    assert sorted(set(entities)) == list(range(N))
    for key in run.schema.keys:
        assert texts_of(reading, key) == [value_of(key, person) for person in entities]
        if at != "names":
            first = reading.columns[f"{key}.first"].values
            assert ((first >= 0) == [value_of(key, person) is not None for person in entities]).all()
    if at == "end:company":
        there = reading.positions[:, reading.position_labels.index("end:company")] >= 0
        assert there.tolist() == [value_of("company", person) is not None for person in entities]


def test_nor_is_it_a_class_of_a_probe(run: Run) -> None:
    targets = make_targets(run.corpus.entities, run.schema, run.tokenizer)
    whole = {target.attribute: target for target in targets if target.form == "whole"}
    assert set(whole) == {"major", "company"}
    for key, target in whole.items():
        found = [None if label < 0 else target.classes[label] for label in target.labels_N.tolist()]
        assert found == [value_of(key, person) for person in range(N)]
