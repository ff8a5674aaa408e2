"""Each measure reads its cell, and counts entities behind it: planted results."""

import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import xarray as xr

from workbench.claims.expressions import Term, parse_inequality
from workbench.claims.measures import measure
from workbench.claims.quantities import Bracket, Exact, Mean, Missing, Normal, OfSameEntities, Share
from workbench.claims.readers import READERS
from workbench.errors import WorkbenchError
from workbench.facts.schema import schema_to_json
from workbench.studies.runs import Run
from workbench.worlds.biographies.schema import SCHEMA

TARGETS = ["birth_date/first", *(f"{key}/whole" for key in SCHEMA.keys[1:])]


def term(text: str) -> Term:
    return parse_inequality(f"{text} >= 0").terms[0][1]


def planted_run(**more: Any) -> Run:
    """100 test entities, 40 of them of the minority."""
    entities = [
        SimpleNamespace(split=split, group="minority" if number < 40 else "celebrity")
        for split in ("train", "test")
        for number in range(100)
    ]
    about = {"recipe": SimpleNamespace(world="biographies"), "n_entities": 200, **more}
    return cast(Run, SimpleNamespace(corpus=SimpleNamespace(entities=entities), **about))


def planted_probe(**attrs: str) -> xr.Dataset:
    accuracy = np.linspace(0.2, 0.7, 12).reshape(2, 6)
    return xr.Dataset(
        {
            "accuracy": (("position", "target"), accuracy),
            "accuracy_not_next": (("position", "target"), accuracy - 0.1),
            "train_accuracy": (("position", "target"), accuracy + 0.2),
            "n": (("position", "target"), np.full((2, 6), 500)),
            "n_not_next": (("position", "target"), np.full((2, 6), 80)),
            "chance": ("target", np.full(6, 0.0625)),
        },
        coords={"position": [0, 1], "target": TARGETS},
        attrs={"facts": json.dumps(schema_to_json(SCHEMA)), **attrs},
    )


def read(text: str, dataset: xr.Dataset, run: Run | None = None) -> Any:
    wanted = term(text)
    return READERS[wanted.measure](wanted, dataset, run or planted_run())


def test_a_probes_entries_count_as_entities():
    found = read('p("a", "major/whole", position=1)', planted_probe())
    assert isinstance(found, Share) and found.n == 100  # not 500 entries
    assert found.value == pytest.approx(100 * (0.2 + 9 * 0.5 / 11))
    assert read('p("a", "major/whole")', planted_probe(variant="group-minority+rank4")).n == 40


def test_selectors_of_a_probe():
    first = 100 * (0.2 + 3 * 0.5 / 11)
    assert read('p("a", "major/whole").not_next', planted_probe()).value == pytest.approx(first - 10)
    assert read('p("a", "major/whole").not_next', planted_probe()).n == 80
    assert read('p("a", "major/whole").train', planted_probe()).value == pytest.approx(first + 20)
    assert read('p("a", "major/whole").chance', planted_probe()) == Exact(6.25)
    assert read('q("a", "major/whole")', planted_probe()).value == pytest.approx(first)
    mean = read('p("a")', planted_probe())
    assert isinstance(mean, Mean) and len(mean.parts) == 6
    assert mean.value == pytest.approx(100 * (0.2 + 2.5 * 0.5 / 11))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('p("a", "majr/whole")', "there is no target 'majr/whole'; did you mean 'major/whole'?"),
        ('p("a", position=4)', "there is no position 4. There are 0, 1."),
    ],
)
def test_a_cell_that_is_not_there(text, sentence):
    with pytest.raises(WorkbenchError, match=sentence.replace("?", r"\?")):
        read(text, planted_probe())


def test_an_empty_cell_is_no_zero():
    empty = planted_probe()
    empty["accuracy"][1, 0], empty["n"][1, 0] = np.nan, 0
    with pytest.raises(WorkbenchError, match="the cell 'birth_date/first' is empty"):
        read('p("a", "birth_date/first", position=1)', empty)


def planted_answers() -> xr.Dataset:
    cells = np.array([[0.9, 0.8], [0.4, 0.2]])
    by = ("split", "attribute")
    return xr.Dataset(
        {"accuracy": (by, cells), "first_accuracy": (by, cells + 0.05), "n": (by, np.full((2, 2), 100)),
         "chance": (by, np.array([[0.1, 0.2], [0.12, 0.22]])),
         "first_chance": (by, np.array([[0.3, 0.4], [0.32, 0.42]]))},
        coords={"split": ["train", "test"], "attribute": ["major", "company"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('answers("a", "company")', 20.0),
        ('answers("a")', 30.0),
        ('answers("a").train', 85.0),
        ('answers("a").chance', 17.0),
        ('answers("a").first_chance', 37.0),
        ('answers("a", "major").first', 45.0),
        ('answers("a", "major").train_first', 95.0),
    ],
)
def test_answers(text, value):
    assert read(text, planted_answers()).value == pytest.approx(value)


def test_tasks_with_two_entities_count_half():
    dims = ("split", "task", "mode")
    plain = np.full((2, 2, 2), 0.5)
    plain[1, 0, 1] = 0.9
    dataset = xr.Dataset(
        {"accuracy": (dims, plain), "n": (dims, np.full((2, 2, 2), 100)), "chance": (dims, plain * 0 + 0.1),
         "predicted": (dims, plain - 0.02), "hint_accuracy": (dims, plain - 0.05)},
        coords={"split": ["train", "test"], "task": ["inverse:a", "comparison:b"], "mode": ["direct", "hint"]},
    )  # fmt: skip
    assert read('tasks("a", "inverse:a", mode="hint")', dataset).value == pytest.approx(90)
    assert read('tasks("a", "inverse:a", mode="hint").predicted', dataset).value == pytest.approx(88)
    assert read('tasks("a", "inverse:a")', dataset).n == 100
    assert read('tasks("a", "comparison:b")', dataset).n == 50
    own = dataset.assign_coords(task=["season", "older"])  # from a file: their names do not tell
    kinds = [{"name": "season", "family": "classification"}, {"name": "older", "family": "comparison"}]
    own.attrs["settings"] = json.dumps({"plan": {"definitions": kinds}})
    assert read('tasks("a", "season")', own).n == 100
    assert read('tasks("a", "older")', own).n == 50


def test_solved_within_and_beyond():
    family = SimpleNamespace(problems=SimpleNamespace(operations=4))
    run = planted_run(recipe=SimpleNamespace(arithmetic=family))
    dataset = xr.Dataset(
        {"accuracy": ("operations", [1.0, 0.8, 0.5, 0.7]), "n": ("operations", [64, 64, 64, 64]),
         "fault_told": ("operations", [np.nan, 0.5, 0.75, 0.5]), "n_fault": ("operations", [0, 10, 20, 10])},
        coords={"operations": ["3", "4", "5", "reask"]},
    )  # fmt: skip
    assert read('solved("a", "within")', dataset, run).value == pytest.approx(90)
    assert read('solved("a", "beyond")', dataset, run).value == pytest.approx(50)
    assert read('solved("a", "reask")', dataset, run).value == pytest.approx(70)
    assert read('solved("a", "within").fault_told', dataset, run).value == pytest.approx(50)
    assert read('solved("a", "within").fault_told', dataset, run).n == 10


def test_bits_have_the_error_of_their_sample():
    dataset = xr.Dataset(
        {"bits": 2000.0, "bits_se": 50.0, "most_bits": 2500.0, "parameters": 1000.0, "n": ("fact", [30, 40])}
    )
    found = read('bits("a")', dataset)
    assert isinstance(found, Normal) and (found.estimate, found.error) == (2.0, 0.05)
    assert read('bits("a").most', dataset) == Exact(2.5)
    learned = read('learned("a")', dataset)
    assert (learned.estimate, learned.error) == pytest.approx((80, 2))


def curve(text: str, *heights: float) -> Any:
    from workbench.claims.declared import load_experiment

    rows = [
        {"exposures": 10.0 * i, "biographies": {"train": {"mean": h}, "test": {"mean": h / 2}}}
        for i, h in enumerate(heights)
    ]
    run = planted_run(metrics=lambda: rows)
    return measure(term(text), load_experiment("part-3.1"), "tiny", run)


def test_when_a_curve_passes_a_height():
    reaches = 'reaches("mixed-single", "biographies", split="train")'
    assert curve(reaches, 0.1, 0.4, 0.6, 0.9) == Bracket(10.0, 20.0)
    assert curve(reaches, 0.1, 0.4) == Missing(
        "biographies of train entities never reach 50 % in mixed-single", made=False
    )
    assert curve('recites("mixed-single")', 0.1, 0.8).value == pytest.approx(60)
    assert curve('recites("mixed-single")', 0.1, 0.8).n == 200


def test_a_tables_entities_are_the_same_with_every_seed():
    from workbench.claims.declared import load_experiment

    def recited(world: str) -> Any:
        half = {"mean": 0.5}
        rows = [{"exposures": 1.0, "biographies": {"train": half, "test": half}}]
        run = planted_run(metrics=lambda: rows, recipe=SimpleNamespace(world=world))
        return measure(term('recites("single")'), load_experiment("part-3.1"), "tiny", run)

    assert isinstance(recited("own"), OfSameEntities) and recited("own").interval(0.95) == Share(
        100, 200
    ).interval(0.95)
    assert isinstance(recited("biographies"), Share)


def test_a_half_that_was_not_measured_is_a_sentence():
    from workbench.claims.declared import load_experiment

    for half in (None, {}):
        rows = [{"exposures": 1.0, "biographies": {"train": {"mean": 1.0}, "test": half}}]
        run = planted_run(metrics=lambda rows=rows: rows)
        with pytest.raises(
            WorkbenchError, match="biographies of the half 'test' are not measured in this run"
        ):
            measure(term('reaches("single", "biographies")'), load_experiment("part-3.1"), "tiny", run)


def test_queries_of_a_problem_count_as_one():
    dataset = xr.Dataset({"accuracy": 0.5, "n": 600, "n_texts": 57, "chance": 0.5})
    dataset.attrs["settings"] = json.dumps({"n_test": 60})
    assert read('v("a", "nece")', dataset).n == 57
    assert read('v("a", "nece")', dataset.drop_vars("n_texts")).n == 60


def test_the_chance_beside_first_tokens_is_theirs():
    from workbench.claims.declared import Claim, load_experiment
    from workbench.claims.verdicts import judge

    claim = Claim(name="c", says="", source="", holds=('answers("a").first >= 30', 'answers("a") >= 30'))
    told = judge(
        load_experiment("part-3.1"), claim, lambda one, seed: READERS["answers"](one, planted_answers(), planted_run()),
        [0],
    )  # fmt: skip
    assert told.chances == pytest.approx((37.0, 17.0))
