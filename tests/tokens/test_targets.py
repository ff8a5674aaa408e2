"""What probes predict, worked out by hand for four entities."""

from collections.abc import Callable

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.recipes.recipe import TokensRecipe
from workbench.studies.corpus import Corpus
from workbench.tasks.specs import make_tasks
from workbench.tokens.targets import Target, distinct_targets, make_targets, make_task_targets
from workbench.tokens.tokenizers import END, make_tokenizer
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

# an entity's six values, in the order of the attributes; None: this entity has no such value
VALUES: list[tuple[str | None, ...]] = [
    ("May 3, 1950", "New York", "Yale University", "Law", "Acme Inc.", "New York"),
    ("May 9, 2001", "New Haven", "Brown University", "Fine Art", "Bolt", "Boston"),
    ("June 3, 1950", "Boston", "Yale University", "Law", "Acme Inc.", "New York"),
    ("June 3, 1999", "New York", "Brown University", None, "Acme Co.", "New York"),
]

# target → its classes, and the label of each entity
LABELS: dict[str, tuple[list[str], list[int]]] = {
    "birth_date/first": (["June", "May"], [1, 1, 0, 0]),
    "birth_city/first": (["Boston", "New"], [1, 1, 0, 1]),
    "birth_city/whole": (["Boston", "New Haven", "New York"], [2, 1, 0, 2]),
    "university/first": (["Brown", "Yale"], [1, 0, 1, 0]),
    "university/whole": (["Brown University", "Yale University"], [1, 0, 1, 0]),
    "major/first": (["Fine", "Law"], [1, 0, 1, -1]),
    "major/whole": (["Fine Art", "Law"], [1, 0, 1, -1]),
    "company/first": (["Acme", "Bolt"], [0, 1, 0, 0]),
    "company/whole": (["Acme Co.", "Acme Inc.", "Bolt"], [1, 2, 1, 0]),
    "company_city/first": (["Boston", "New"], [1, 0, 1, 1]),
    "company_city/whole": (["Boston", "New York"], [1, 0, 1, 1]),
}


def make_people(values: list[tuple[str | None, ...]]) -> list[Entity]:
    return [
        Entity(
            i, "everyone", f"Name{i} Surname{i}", "they",
            {attribute: value for attribute, value in zip(ATTRIBUTES, row, strict=True) if value is not None},
            "train",
        )
        for i, row in enumerate(values)
    ]  # fmt: skip


def tokenizer_for(entities: list[Entity], **tokens: object) -> PreTrainedTokenizerFast:
    texts = [f"Answer: {value}." for entity in entities for value in entity.values.values()]
    return make_tokenizer(TokensRecipe(**tokens), texts)  # type: ignore[arg-type]


@pytest.mark.parametrize("tokens", [{"tokenizer": "word"}, {"tokenizer": "bpe", "vocabulary_size": 2000}])
def test_labels_by_hand(tokens: dict[str, object]) -> None:
    entities = make_people(VALUES * 4)  # often enough for BPE to know the words
    targets = make_targets(entities, SCHEMA, tokenizer_for(entities, **tokens))
    found = {target.name: (list(target.classes), target.labels_N[:4].tolist()) for target in targets}
    assert found == LABELS
    assert list(found) == list(LABELS)  # in the paper's order


@pytest.mark.parametrize(
    ("chosen", "chances"),
    [
        ([True] * 4, {"birth_date/first": 2 / 4, "birth_city/first": 3 / 4, "company/whole": 2 / 4}),
        ([True, True, False, False], {"birth_date/first": 1.0, "birth_city/whole": 1 / 2}),
        ([False, False, True, True], {"major/whole": 1.0}),  # who has no major is not counted
    ],
)
def test_chance_is_the_commonest_class_of_the_chosen(chosen: list[bool], chances: dict[str, float]) -> None:
    entities = make_people(VALUES)
    targets = {target.name: target for target in make_targets(entities, SCHEMA, tokenizer_for(entities))}
    assert {name: targets[name].chance(np.array(chosen)) for name in chances} == chances
    assert np.isnan(targets["major/whole"].chance(np.array([False, False, False, True])))


def test_equal_tasks_are_found() -> None:
    """Within an attribute only: company city/whole splits entities as company/first does, and stays a task."""
    entities = make_people(VALUES)
    targets = make_targets(entities, SCHEMA, tokenizer_for(entities))
    names = [target.name for target in targets]
    same = {names[k]: names[s] for k, s in enumerate(distinct_targets(targets)) if k != s}
    assert same == {
        "university/whole": "university/first",
        "major/whole": "major/first",
        "company_city/whole": "company_city/first",
    }


@pytest.mark.parametrize(
    ("first", "second", "one_task"),
    [
        ([0, 0, 1, 2], [0, 0, 1, 2], True),
        ([0, 0, 1, 2], [2, 2, 0, 1], True),  # other numbers for the same classes
        ([0, 0, 1, 2], [0, 1, 1, 2], False),
        ([0, 0, 1, 1], [0, 0, 1, 2], False),  # coarser
        ([0, -1, 1, 1], [1, -1, 0, 0], True),
        ([0, -1, 1, 1], [0, 2, 1, 1], False),  # one more entity is asked about
        ([0, 1, 1, -1], [0, 1, -1, 1], False),
    ],
)
def test_two_tasks_are_one_when_they_split_the_entities_alike(
    first: list[int], second: list[int], one_task: bool
) -> None:
    targets = [
        Target("major", "first", np.array(first), ("a", "b", "c")),
        Target("major", "whole", np.array(second), ("x", "y", "z")),
    ]
    assert distinct_targets(targets) == ([0, 0] if one_task else [0, 1])


def test_an_attribute_nobody_has_is_no_target() -> None:
    entities = make_people([(*row[:3], None, *row[4:]) for row in VALUES])
    names = [target.name for target in make_targets(entities, SCHEMA, tokenizer_for(entities))]
    assert names == [name for name in LABELS if not name.startswith("major")]


def test_a_target_with_one_class_is_left_out_and_the_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    entities = make_people([("May 3, 1950", *row[1:]) for row in VALUES])
    names = [target.name for target in make_targets(entities, SCHEMA, tokenizer_for(entities))]
    assert names == [name for name in LABELS if not name.startswith("birth_date")]
    assert caplog.messages == [
        "left out: birth_date/first has the single class 'May', which every probe predicts"
    ]


def test_nothing_to_probe_is_refused() -> None:
    entities = make_people([(None, None, None, name, None, None) for name in ("Law", "Art", "Music")])
    with pytest.raises(
        WorkbenchError, match=r"^Nothing can be probed: major/first has as many classes as entities"
    ):
        make_targets(entities, SCHEMA, tokenizer_for(entities))


def test_first_tokens_that_read_alike_stay_two_classes() -> None:
    """Byte-level BPE cuts 北 and 東 inside the character: both first tokens read as the replacement sign."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([END, *alphabet, "Ġå", "Ġæ"])}
    backend = Tokenizer(models.BPE(vocabulary, [("Ġ", "å"), ("Ġ", "æ")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END)
    cities = ["北京", "東京", "北海道", "北京"]
    entities = [
        Entity(i, "everyone", f"N{i}", "they", {"birth_city": city}, "train") for i, city in enumerate(cities)
    ]
    first, whole = make_targets(entities, SCHEMA, tokenizer)
    assert first.classes == ("Ġå", "Ġæ")
    assert first.labels_N.tolist() == [0, 1, 0, 0]
    assert whole.labels_N.tolist() == [0, 2, 1, 0]


def test_targets_derived_by_tasks(small_corpus: Callable[..., Corpus]) -> None:
    corpus = small_corpus(entities=200)
    specs = ["classification:month%2", "classification:major%5", "retrieval:year"]
    parity, luck, year = make_task_targets(make_tasks(specs, corpus.schema, corpus.entities), corpus.entities)
    assert [target.name for target in (parity, luck, year)] == [
        "birth_date/month%2", "major/luck%5", "birth_date/year",
    ]  # fmt: skip
    even = ("February", "April", "June", "August", "October", "December")
    for entity, label in zip(corpus.entities, parity.labels_N, strict=True):
        assert (parity.classes[label] == "Yes") == entity.values["birth_date"].startswith(even)
    assert year.classes[year.labels_N[0]] == corpus.entities[0].values["birth_date"][-4:]
    by_major = {
        entity.values["major"]: label for entity, label in zip(corpus.entities, luck.labels_N, strict=True)
    }
    assert len(by_major) > len(set(by_major.values())) == 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "comparison:month",
            "The task 'comparison:birth_date.month' cannot be a probe's target; expected a retrieval or a "
            "classification, whose answer follows from one value of one entity.",
        ),
    ],
)
def test_tasks_that_are_no_targets_are_refused(
    small_corpus: Callable[..., Corpus], spec: str, message: str
) -> None:
    corpus = small_corpus()
    with pytest.raises(WorkbenchError) as refusal:
        make_task_targets(make_tasks([spec], corpus.schema, corpus.entities), corpus.entities)
    assert str(refusal.value) == message
