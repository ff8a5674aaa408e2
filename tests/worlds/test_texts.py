"""From entities to entries: the paper's augmentations, spans that read back, texts that stay put."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import pytest

from workbench.facts.entities import Entity
from workbench.facts.schema import Attribute, Schema
from workbench.worlds.augmentation import EXAMPLES, parse_augmentation
from workbench.worlds.biographies.people import make_people
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA
from workbench.worlds.biographies.world import load_shipped_templates
from workbench.worlds.entries import Entry
from workbench.worlds.templates import MENTIONS, PRONOUNS, Template, parse_template
from workbench.worlds.texts import TextWorld

ENTITIES = make_people(load_pools(), {"everyone": 60}, seed=0)
TEMPLATES = load_shipped_templates()
PAIRS = {("birth_date", "birth_city"), ("university", "major"), ("company", "company_city")}
WORDS = {word for forms in PRONOUNS.values() for word in forms}


def make_for(entities: Sequence[Entity], augmentation: str, seed: int = 0) -> dict[int, list[Entry]]:
    """Each entity's entries."""
    by_entity = defaultdict(list)
    for entry in list(
        TextWorld(SCHEMA, entities, {"everyone": parse_augmentation(augmentation)}, TEMPLATES, seed).entries()
    ):
        by_entity[entry.entity].append(entry)
    return by_entity


@cache
def entries_of(augmentation: str) -> dict[int, list[Entry]]:
    return make_for(ENTITIES, augmentation)


def read(entry: Entry, spans: tuple[tuple[int, int], ...]) -> list[str]:
    return [entry.text[start:end] for start, end in spans]


def sentences(entry: Entry) -> dict[str, str]:
    return {attribute: entry.text[start:end] for attribute, (start, end) in entry.sentences.items()}


def template_of(entity: Entity, attribute: str, sentence: str) -> Template:
    """The one template that gives this sentence about this entity."""
    found = [
        template
        for template in TEMPLATES[attribute]
        for use_name in (True, False)
        if template.render(
            name=entity.name,
            pronoun=entity.pronoun,
            value=entity.values[attribute],
            use_name=use_name,
        ).text
        == sentence
    ]
    assert len(found) == 1, sentence
    return found[0]


@pytest.mark.parametrize("augmentation", [*EXAMPLES, "single+permute1", "multi2", "couple1+fullname"])
def test_spans_read_back_what_they_stand_for(augmentation: str) -> None:
    for entity in ENTITIES:
        for entry in entries_of(augmentation)[entity.id]:
            found = dict(zip(entry.values, read(entry, tuple(entry.values.values())), strict=True))
            assert found == entity.values
            assert set(read(entry, entry.names)) == {entity.name}
            assert {text.lower() for text in read(entry, entry.pronouns)} <= set(PRONOUNS[entity.pronoun])
            assert list(entry.values) == list(entry.sentences)
            assert " ".join(sentences(entry).values()) == entry.text
            for (start, end), (value_start, value_end) in zip(
                entry.sentences.values(), entry.values.values(), strict=True
            ):
                assert start < value_start < value_end <= end


@pytest.mark.parametrize(
    ("augmentation", "entries", "names"),
    [
        ("single", 1, 1),
        ("single+fullname", 1, 6),
        ("single+permute1", 1, 1),
        ("single+permute5", 5, 1),
        ("single+permute5+fullname", 5, 6),
        ("multi2", 2, 1),
        ("multi5+permute", 5, 1),
        ("multi7+permute+fullname", 7, 6),
        ("couple3", 3, 1),
    ],
)
def test_number_of_entries_and_of_names(augmentation: str, entries: int, names: int) -> None:
    for found in entries_of(augmentation).values():
        assert [entry.variant for entry in found] == list(range(entries))
        assert {len(entry.names) for entry in found} == {names}


@pytest.mark.parametrize("augmentation", ["single", "single+permute3", "multi3+permute", "couple2"])
def test_the_first_sentence_names_the_entity_and_the_others_do_not(augmentation: str) -> None:
    for entity in ENTITIES:
        for entry in entries_of(augmentation)[entity.id]:
            first, *others = sentences(entry).values()
            assert entity.name in first
            for sentence in others:
                assert entity.name not in sentence
                assert WORDS & {word.strip(".,").lower() for word in sentence.split()}, sentence


def test_fullname_names_the_entity_where_a_pronoun_would_stand() -> None:
    """The slot that varies is the name in all six sentences; only further mentions are pronouns."""
    for entity in ENTITIES:
        (entry,) = entries_of("single+fullname")[entity.id]
        further = 0
        for attribute, sentence in sentences(entry).items():
            source = template_of(entity, attribute, sentence).source
            assert sum(f"{{{slot}}}" in source for slot in MENTIONS) == 1
            further += sum(source.count(f"{{{form}}}") for form in PRONOUNS["they"])
        assert (len(entry.names), len(entry.pronouns)) == (6, further)


def test_without_permutation_the_order_is_the_papers() -> None:
    for augmentation in ("single", "single+fullname", "multi5", "multi5+fullname"):
        for found in entries_of(augmentation).values():
            assert {tuple(entry.values) for entry in found} == {ATTRIBUTES}


def test_single_permute_repeats_one_set_of_sentences_in_other_orders() -> None:
    """The templates stay; only which sentence carries the name follows from the order."""
    orders = set()
    for entity in ENTITIES:
        found = entries_of("single+permute5")[entity.id]
        sets = [{a: template_of(entity, a, text) for a, text in sentences(entry).items()} for entry in found]
        assert all(templates == sets[0] for templates in sets)
        orders |= {tuple(entry.values) for entry in found}
    assert len(orders) > 200  # 300 draws from 720 orders


def test_single_permute_with_names_has_literally_the_same_sentences() -> None:
    for found in entries_of("single+permute5+fullname").values():
        assert len({frozenset(sentences(entry).items()) for entry in found}) == 1


@pytest.mark.parametrize("augmentation", ["multi5", "multi5+permute", "couple5"])
def test_multi_uses_other_templates_in_every_entry(augmentation: str) -> None:
    for entity in ENTITIES:
        found = [sentences(entry) for entry in entries_of(augmentation)[entity.id]]
        for attribute in ATTRIBUTES:
            used = [template_of(entity, attribute, texts[attribute]).source for texts in found]
            assert len(set(used)) == 5


def test_more_entries_than_templates_use_each_template_equally_often() -> None:
    few = {attribute: TEMPLATES[attribute][:3] for attribute in ATTRIBUTES}
    entries = list(
        TextWorld(
            SCHEMA, ENTITIES[:5], {"everyone": parse_augmentation("multi6+fullname")}, few, seed=0
        ).entries()
    )
    for entity in ENTITIES[:5]:
        texts = [sentences(entry)["major"] for entry in entries if entry.entity == entity.id]
        assert sorted(texts.count(text) for text in set(texts)) == [2, 2, 2]


def test_multi_permute_shuffles_and_couple_keeps_its_pairs() -> None:
    shuffled = {tuple(entry.values) for found in entries_of("multi5+permute").values() for entry in found}
    assert len(shuffled) > 200
    paired = {tuple(entry.values) for found in entries_of("couple5").values() for entry in found}
    assert len(paired) == 6  # three pairs in all orders, inside a pair always the same way round
    for order in paired:
        assert set(list(pairwise(order))[::2]) == PAIRS


def test_positions_of_an_attribute_are_uniform_under_permutation() -> None:
    many = make_people(load_pools(), {"everyone": 600}, seed=1)
    ranks = [
        list(e.values).index("major") for found in make_for(many, "single+permute5").values() for e in found
    ]
    assert [ranks.count(rank) / len(ranks) for rank in range(6)] == pytest.approx([1 / 6] * 6, abs=0.03)


def test_adding_entities_or_a_group_changes_nobody_elses_text() -> None:
    before = make_for(ENTITIES[:20], "multi5+permute")
    extra = [Entity(60, "celebrities", "Zoë A. Ray", "she", ENTITIES[0].values, "train"), *ENTITIES]
    plans = {"everyone": parse_augmentation("multi5+permute"), "celebrities": parse_augmentation("couple2")}
    after = list(TextWorld(SCHEMA, extra, plans, TEMPLATES, seed=0).entries())
    for entity in ENTITIES[:20]:
        assert [entry for entry in after if entry.entity == entity.id] == before[entity.id]
    assert len([entry for entry in after if entry.entity == 60]) == 2


def test_seed_decides_the_text() -> None:
    assert make_for(ENTITIES, "multi2+permute", seed=4) == make_for(ENTITIES, "multi2+permute", seed=4)
    assert make_for(ENTITIES, "multi2+permute", seed=4) != make_for(ENTITIES, "multi2+permute", seed=5)


def test_the_single_entry_is_the_same_under_single_and_single_fullname_but_for_the_mentions() -> None:
    """The same templates for the same entity and seed: only what the augmentation varies differs."""
    for entity in ENTITIES:
        plain, named = (
            entries_of(augmentation)[entity.id][0] for augmentation in ("single", "single+fullname")
        )
        for attribute in ATTRIBUTES:
            templates = {
                template_of(entity, attribute, sentences(entry)[attribute]) for entry in (plain, named)
            }
            assert len(templates) == 1


@pytest.mark.parametrize(
    ("augmentation", "before"),
    [("multi5+reverse1", 1), ("multi5+reverse2", 2), ("multi5+permute+reverse6", 6)],
)
def test_reversed_entries_name_the_person_after_so_many_sentences(augmentation: str, before: int) -> None:
    for entity in ENTITIES:
        for entry in entries_of(augmentation)[entity.id]:
            assert set(read(entry, entry.names)) == {entity.name}
            named = entry.names[0][0]
            assert sum(end <= named for _, end in entry.sentences.values()) == before
            for start, end in list(entry.sentences.values())[:before]:
                assert "the person" in entry.text[start:end].lower()
            texts = dict(zip(entry.values, read(entry, tuple(entry.values.values())), strict=True))
            assert texts == entity.values
            if before == 6:
                assert entry.text.endswith(f" The full name of the person is {entity.name}.")


def test_the_word_for_what_is_not_named_yet_is_the_schemas() -> None:
    entity = Entity(0, "everyone", "Oslo", "it", {"country": "Norway", "river": "Aker"}, "train")
    schema = Schema((Attribute("country"), Attribute("river")), "city", "cities")
    templates = {
        key: (parse_template(key, f"{{subject's}} {key} is {{value}}."),) for key in ("country", "river")
    }
    world = TextWorld(schema, [entity], {"everyone": parse_augmentation("multi1+reverse1")}, templates, 0)
    assert world.entry(entity, 0).text == "The city's country is Norway. Oslo's river is Aker."
    closing = TextWorld(schema, [entity], {"everyone": parse_augmentation("multi1+reverse6")}, templates, 0)
    assert closing.entry(entity, 0).text == (
        "The city's country is Norway. The city's river is Aker. The full name of the city is Oslo."
    )
