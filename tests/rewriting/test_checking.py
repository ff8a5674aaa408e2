"""What is kept states everything once; what is wrong is refused with its reason."""

import itertools
import random

import pytest

from tests.rewriting.written import GOOD, PERSON, make_checker, make_people
from workbench.facts.entities import Entity
from workbench.rewriting.checking import Checker, tidy
from workbench.rewriting.contexts import learn_contexts
from workbench.rewriting.mentions import Mentions
from workbench.rewriting.wordings import Wordings
from workbench.worlds.entries import Entry


def with_person(checker: Checker, person: Entity = PERSON) -> Checker:
    """The checker whose values are those of the corpus and of one person more."""
    people = [*make_people().entities, person]
    return Checker(
        checker.schema,
        Mentions(checker.schema, people, checker.mentions.wordings),
        checker.contexts,
        checker.words,
    )


def kinds(text: str | None, declared: bool = False, **options: object) -> list[str]:
    verdict = with_person(make_checker(declared)).check(text, PERSON, 0, **options)  # type: ignore[arg-type]
    return [reason.kind for reason in verdict.reasons]


def test_a_good_text_is_kept_with_its_spans() -> None:
    entry = with_person(make_checker()).check(f'"{GOOD}"\n', PERSON, 3).entry
    assert entry is not None
    assert entry.text == GOOD
    assert (entry.entity, entry.variant) == (0, 3)
    assert {key: entry.text[a:b] for key, (a, b) in entry.values.items()} == PERSON.values
    assert list(entry.values) == list(PERSON.values)
    assert [entry.text[a:b] for a, b in entry.names] == [PERSON.name]
    assert [entry.text[a:b] for a, b in entry.pronouns] == ["She", "she", "she"]
    assert [entry.text[a:b] for a, b in entry.sentences.values()][2:4] == [
        "She attended Massachusetts Institute of Technology",
        ", where she studied Communications.",
    ]
    assert entry.worded == ()


DATE, CITY = "October 2, 1996", "Princeton, NJ"
FAULTS = [
    ("", "empty"),
    (None, "empty"),
    ("I'm sorry, but I can't write about people.", "refusal"),
    (GOOD[:-1], "cut"),
    (GOOD.replace(DATE, "that day"), "missing"),
    (GOOD.replace(CITY, "Princeton"), "wording"),
    (GOOD.replace(CITY, "Houston, TX"), "missing"),
    (GOOD + " Her friends live in Houston, TX.", "foreign"),
    (GOOD + " Her friends live in Houston.", "foreign"),
    (GOOD + " She was married on March 3, 2020.", "foreign"),
    (GOOD + " She was married on 03/04/2020.", "foreign"),
    (GOOD + f" She still visits {CITY}.", "repeated"),
    (GOOD + " She still visits Princeton.", "repeated"),
    (GOOD + " October 1996 was a cold month.", "repeated"),
    (GOOD + " In 1996 it snowed.", "repeated"),
    (GOOD + " She was honoured in 2019.", "foreign"),
    (GOOD.replace(DATE, "2nd October 1996"), "wording"),
    (GOOD.replace("Esther Beckett Nunez", "Esther Nunez"), "name"),
    (GOOD.replace("Communications", "communications"), "missing"),
    (GOOD.replace(f"in {CITY}", f"({CITY})"), "glued"),
    (GOOD.replace(f"{DATE} in {CITY}", f"{CITY} in {DATE}"), "exchanged"),
    (GOOD.replace("Menlo Park, CA", "@").replace(CITY, "Menlo Park, CA").replace("@", CITY), "exchanged"),
    ("Sure! Here is the paragraph. " + GOOD, "prompt"),
    ("Rewritten text: " + GOOD, "prompt"),
    (GOOD + " Birth city: the one above.", "prompt"),
    ("**Esther** " + GOOD, "markup"),
    ("- " + GOOD, "markup"),
    (GOOD + " [Insert more here].", "markup"),
    (GOOD + " She is glad." * 60, "length"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), FAULTS)
def test_each_fault_has_its_reason(text: str | None, kind: str) -> None:
    found = kinds(text)
    assert found[0] == kind, found


def test_words_of_the_prompt_are_found() -> None:
    asked = "Write one paragraph that states each of these facts."
    assert kinds(GOOD + " It states each of these facts.", instructions=[asked]) == ["prompt"]
    assert kinds(GOOD, instructions=[asked], given=GOOD) == ["copied"]
    assert kinds(GOOD, finished=False) == ["cut"]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("2nd October 1996", "birth_date"),
        ("October 2nd, 1996", "birth_date"),
        ("Oct. 2, 1996", "birth_date"),
        ("the 2nd of October 1996", "birth_date"),
        ("1996-10-02", "birth_date"),
        ("Princeton, New Jersey", "birth_city"),
        ("MIT", "university"),
    ],
)
def test_declared_wordings_state_the_fact(said: str, key: str) -> None:
    text = GOOD.replace(PERSON.values[key], said)
    entry = with_person(make_checker(True)).check(text, PERSON, 0).entry
    assert entry is not None
    assert entry.worded == (key,)
    start, end = entry.values[key]
    assert text[start:end] in (said, said.removeprefix("the "))
    assert kinds(text)[0] in ("wording", "missing", "glued")


def mutations(entry: Entry, person: Entity, others: list[Entity], draw: random.Random) -> dict[str, str]:
    """Every deletion, every swap, and for every value one of somebody else, by what was done."""
    made: dict[str, str] = {}
    for key, (start, end) in entry.values.items():
        made[f"delete {key}"] = entry.text[:start] + entry.text[end:]
        made[f"halve {key}"] = entry.text[: (start + end) // 2] + entry.text[end:]
        wrong = draw.choice([o.values[key] for o in others if o.values[key] not in person.values.values()])
        made[f"foreign {key}"] = entry.text[:start] + wrong + entry.text[end:]
        made[f"foreign beside {key}"] = entry.text[:end] + f" and {wrong}" + entry.text[end:]
        made[f"twice {key}"] = entry.text[:end] + f" and {entry.text[start:end]}" + entry.text[end:]
    for a, b in itertools.combinations(entry.values, 2):
        (a1, a2), (b1, b2) = sorted((entry.values[a], entry.values[b]))
        made[f"swap {a} {b}"] = "".join(
            (entry.text[:a1], entry.text[b1:b2], entry.text[a2:b1], entry.text[a1:a2], entry.text[b2:])
        )
    for start, end in entry.names:
        other = draw.choice([o.name for o in others if o.name != person.name])
        made["other name"] = entry.text[:start] + other + entry.text[end:]
    return made


def test_no_mutated_text_is_kept() -> None:
    """Each accepted text of people whom the checker has not learned from, mutated in every way."""
    corpus, checker = make_people(), make_checker()
    draw = random.Random(0)
    accepted, kept = 0, []
    for row in range(500, 560):
        entry = corpus.entries[row]
        person = corpus.entities[entry.entity]
        if checker.check(entry.text, person, 0).entry is None:
            continue
        accepted += 1
        for what, text in mutations(entry, person, corpus.entities, draw).items():
            if checker.check(text, person, 0).entry is not None:
                kept.append((what, text))
    assert kept == []
    assert accepted >= 55


def test_exchanges_of_several_values_are_found_whatever_was_learned() -> None:
    """All 720 orders of six values in one text: only the right one passes."""
    checker = with_person(make_checker())
    entry = checker.check(GOOD, PERSON, 0).entry
    assert entry is not None
    spans, keys = list(entry.values.values()), list(entry.values)
    literals = [GOOD[a:b] for a, b in itertools.pairwise([0, *itertools.chain(*spans), len(GOOD)])][::2]
    passed = []
    for order in itertools.permutations(keys):
        values = [PERSON.values[key] for key in order]
        text = "".join(itertools.chain(*itertools.zip_longest(literals, values, fillvalue="")))
        if checker.check(text, PERSON, 0).entry is not None:
            passed.append(order)
    assert passed == [tuple(keys)]


def test_facts_without_texts_are_told_apart_by_declared_cues() -> None:
    schema = make_people().schema
    cues = {"birth_city": ["born in"], "company_city": ["works in"], "company": ["for"], "major": ["studied"]}
    cues |= {"university": ["at"], "birth_date": ["on"]}
    checker = Checker(
        schema,
        Mentions(schema, [PERSON], Wordings()),
        learn_contexts(schema, [], cues),
        (5, 100),
    )
    text = (
        "Esther Beckett Nunez was born in Princeton, NJ. She was born on October 2, 1996. She studied Communications. "
        "She was at Massachusetts Institute of Technology. She works for Meta Platforms. She works in Menlo Park, CA."
    )
    assert checker.check(text, PERSON, 0).entry is not None
    swapped = text.replace(CITY, "@").replace("Menlo Park, CA", CITY).replace("@", "Menlo Park, CA")
    assert [r.kind for r in checker.check(swapped, PERSON, 0).reasons] == ["exchanged"]


def test_the_longest_mention_counts_and_numbers_are_whole() -> None:
    person = Entity(0, "everyone", "Anya Li", "she", {"major": "12", "university": "York"}, "train")
    other = Entity(1, "everyone", "Bo Ek", "he", {"major": "5", "university": "York St John"}, "test")
    mentions = Mentions(make_people().schema, [person, other], Wordings())

    def found(text: str) -> list[str]:
        return [text[slice(*mention.span)] for mention in mentions.find(text, person)]

    assert found("York-born, 12 of 1,120 and 12.5 in Yorkshire, 12.") == ["York", "12", "12"]
    assert found("She saw York St John, and York.") == ["York St John", "York"]


def test_what_is_tidied() -> None:
    assert tidy(' "A\u200b b\n\n c."\n') == "A b c."
    assert tidy('"A" and "b".') == '"A" and "b".'
