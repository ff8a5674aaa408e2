"""Sentence templates: rendering against tables checked by eye, the shipped files, and what is refused."""

import re
from itertools import product
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA
from workbench.worlds.biographies.world import load_shipped_templates
from workbench.worlds.templates import (
    Sentence,
    Template,
    load_templates,
    parse_template,
    shortest,
)

SHIPPED = load_shipped_templates()
TEMPLATES = [template for templates in SHIPPED.values() for template in templates]
LEAST = {
    "birth_date": 46,
    "birth_city": 49,
    "university": 49,
    "major": 52,
    "company": 47,
    "company_city": 48,
}
VALUES = {
    "birth_date": "October 2, 1996",
    "birth_city": "Princeton, NJ",
    "university": "University of Michigan",
    "major": "Computer Science",
    "company": "Meta Platforms",
    "company_city": "Menlo Park, CA",
}
SUBJECT = "{subject} [was|were] born in {value}, and {they} still [has|have] {their} cradle."
POSSESSIVE = "When asked, {subject's} friends say {they} [works|work] for {value}."
OBJECT = "A grant took {object} to {value}."


def render(source: str, pronoun: str, use_name: bool, name: str = "Anya Li", value: str = "X") -> Sentence:
    template = parse_template("company", source)
    return template.render(name=name, pronoun=pronoun, value=value, use_name=use_name)


@pytest.mark.parametrize(
    ("source", "pronoun", "use_name", "text"),
    [
        (SUBJECT, "he", False, "He was born in X, and he still has his cradle."),
        (SUBJECT, "she", False, "She was born in X, and she still has her cradle."),
        (SUBJECT, "they", False, "They were born in X, and they still have their cradle."),
        (SUBJECT, "he", True, "Anya Li was born in X, and he still has his cradle."),
        (SUBJECT, "she", True, "Anya Li was born in X, and she still has her cradle."),
        (SUBJECT, "they", True, "Anya Li was born in X, and they still have their cradle."),
        (POSSESSIVE, "he", False, "When asked, his friends say he works for X."),
        (POSSESSIVE, "she", False, "When asked, her friends say she works for X."),
        (POSSESSIVE, "they", False, "When asked, their friends say they work for X."),
        (POSSESSIVE, "he", True, "When asked, Anya Li's friends say he works for X."),
        (POSSESSIVE, "they", True, "When asked, Anya Li's friends say they work for X."),
        (OBJECT, "he", False, "A grant took him to X."),
        (OBJECT, "she", False, "A grant took her to X."),
        (OBJECT, "they", False, "A grant took them to X."),
        (OBJECT, "they", True, "A grant took Anya Li to X."),
        ("{subject's} job is {value}.", "he", False, "His job is X."),
        ("{subject's} job is {value}.", "she", False, "Her job is X."),
        ("{subject's} job is {value}.", "they", False, "Their job is X."),
        ("{subject's} job is {value}.", "they", True, "Anya Li's job is X."),
        ("As said, {subject} joined {value}.", "they", False, "As said, they joined X."),
        ("{their} work at {value} suits {object}.", "she", True, "Her work at X suits Anya Li."),
        (
            "At {value} {they} [is|are] said to envy {object}.",
            "they",
            True,
            "At X they are said to envy Anya Li.",
        ),
        ("{they} say {subject} [works|work] at {value}.", "they", True, "They say Anya Li works at X."),
        ("{they} say {subject} [works|work] at {value}.", "they", False, "They say they work at X."),
    ],
)
def test_a_template_renders_to_this_sentence(source: str, pronoun: str, use_name: bool, text: str) -> None:
    assert render(source, pronoun, use_name).text == text


@pytest.mark.parametrize(
    ("name", "text"),
    [("James Ross", "James Ross' job is X."), ("Ross James Li", "Ross James Li's job is X.")],
)
def test_the_possessive_of_a_name_ending_in_s_is_a_bare_apostrophe(name: str, text: str) -> None:
    sentence = render("{subject's} job is {value}.", "he", True, name=name)
    assert sentence.text == text
    assert sentence.name_span == (0, len(name))


def test_spans_with_the_name_and_with_the_pronoun() -> None:
    #                                     0123456789012345678901234567890123456789
    assert render(
        "After {their} exam, {subject's} job was {value}, {they} [says|say].", "they", True
    ) == Sentence(
        text="After their exam, Anya Li's job was X, they say.",
        name_span=(18, 25),
        pronoun_spans=((6, 11), (39, 43)),
        value_span=(36, 37),
    )
    assert render(
        "After {their} exam, {subject's} job was {value}, {they} [says|say].", "he", False
    ) == Sentence(
        text="After his exam, his job was X, he says.",
        name_span=None,
        pronoun_spans=((6, 9), (16, 19), (31, 33)),
        value_span=(28, 29),
    )


def test_a_value_or_name_with_its_own_full_stop_ends_the_sentence_once() -> None:
    sentence = render("{subject} joined {value}.", "he", False, value="Acme Inc.")
    assert sentence.text == "He joined Acme Inc."
    assert sentence.value_span == (10, 19)
    assert (
        render("At {value} they know {object}.", "he", True, name="Sam Li Jr.").text
        == "At X they know Sam Li Jr."
    )


def test_an_unknown_pronoun_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="unknown pronoun 'xe'; use one of he, she, they, it"):
        render("{subject} joined {value}.", "xe", False)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_each_shipped_file_has_enough_templates_of_each_shape(attribute: str) -> None:
    templates = SHIPPED[attribute]
    assert len(templates) >= LEAST[attribute]
    after = [len(re.findall(r"\w+", template.source.partition("{value}")[2])) for template in templates]
    assert sum(n >= 3 for n in after) >= 12
    assert sum(template.words_before_value <= 4 for template in templates) >= 16
    assert all(template.words_before_value <= 3 for template in shortest(templates, 12))


def test_shipped_templates_are_distinct_across_attributes() -> None:
    assert len({template.source for template in TEMPLATES}) == len(TEMPLATES)


def test_the_words_before_a_value_never_belong_to_two_attributes() -> None:
    openings: dict[str, set[str]] = {}
    for template in TEMPLATES:
        openings.setdefault(template.source.partition("{value}")[0], set()).add(template.attribute)
    assert {opening for opening, attributes in openings.items() if len(attributes) > 1} == set()


def test_shipped_templates_name_the_entity_before_the_value() -> None:
    """Only then can a model that reads left to right recall the value in an entry's first sentence."""
    mention = re.compile(r"\{(subject|subject's|object)\}")
    assert [t.source for t in TEMPLATES if not mention.search(t.source.partition("{value}")[0])] == []


def test_a_date_or_city_in_mid_sentence_is_followed_by_a_comma() -> None:
    dated = [t.source for t in TEMPLATES if t.attribute in ("birth_date", "birth_city", "company_city")]
    assert [source for source in dated if not re.search(r"\{value\}(,|\.$)", source)] == []


@pytest.mark.parametrize("pronoun", ["he", "she", "they"])
@pytest.mark.parametrize("use_name", [False, True])
def test_every_shipped_template_renders_with_spans_that_read_back(pronoun: str, use_name: bool) -> None:
    forms = {"he": {"he", "him", "his"}, "she": {"she", "her"}, "they": {"they", "them", "their"}}[pronoun]
    for template, name in product(TEMPLATES, ("Anya Briar Forger", "James Joseph Ross")):
        value = VALUES[template.attribute]
        sentence = template.render(name=name, pronoun=pronoun, value=value, use_name=use_name)
        text = sentence.text
        start, end = sentence.value_span
        assert text[start:end] == value
        assert text[start - 1] == " "
        if use_name:
            assert sentence.name_span is not None
            assert text[slice(*sentence.name_span)] == name
        else:
            assert sentence.name_span is None
            assert sentence.pronoun_spans
        pronouns = [text[slice(*span)].lower() for span in sentence.pronoun_spans]
        assert set(pronouns) <= forms
        slots = re.findall(r"\{(?:they|them|their)\}", template.source)
        assert len(pronouns) == len(slots) + (not use_name)
        assert list(sentence.pronoun_spans) == sorted(sentence.pronoun_spans)
        assert not re.search(r"[][{}|]|  |\.\.", text), text
        assert text.endswith(".")
        assert not text[0].islower(), text
        assert not re.search(rf"\b(a|an|the) {re.escape(value)}", text, re.IGNORECASE), text


def test_a_name_is_singular_and_only_they_is_plural() -> None:
    singular = re.compile(r"\bthey (is|was|has|works|knows|[a-z]+[^s]s) ", re.IGNORECASE)
    plural = re.compile(r"\b(he|she|Anya Forger) (are|were|have|work|know|hail|commute|earn) ", re.IGNORECASE)
    for template, pronoun, use_name in product(TEMPLATES, ("he", "she", "they"), (False, True)):
        value = VALUES[template.attribute]
        text = template.render(name="Anya Forger", pronoun=pronoun, value=value, use_name=use_name).text
        assert not singular.search(text), text
        assert not plural.search(text), text


def test_shortest_counts_words_before_the_value_then_words_then_keeps_file_order() -> None:
    sources = [
        "Today {subject} joined {value}.",
        "{subject} joined {value} today.",
        "{subject} left {value}.",
    ]
    sources += ["{subject} joined {value}."]
    templates = [parse_template("company", source) for source in sources]
    assert [(t.words_before_value, t.n_words) for t in templates] == [(3, 4), (2, 4), (2, 3), (2, 3)]
    assert [t.source for t in shortest(templates, 3)] == [sources[2], sources[3], sources[1]]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "He joined {value}.",
            "expected exactly one of {entity}, {subject}, {subject's} and {object}, found 0",
        ),
        ("{subject} and {object} joined {value}.", "expected exactly one of"),
        ("{subject} joined.", "expected {value} exactly once, found 0"),
        ("{subject} left {value} for {value}.", "expected {value} exactly once, found 2"),
        ("{value} hired {object}.", "{value} must follow a space"),
        ("{subject} joined ({value}).", "{value} must follow a space"),
        ("{name} joined {value}.", "'{name}' is neither a slot"),
        ("{subject} joined {value.", "'{value.' is neither a slot"),
        ("{subject} [was] at {value}.", "'[was]' is neither a slot"),
        ("{subject} [was|were|be] at {value}.", "'[was|were|be]' is neither a slot"),
        ("{{subject}} joined {value}.", "'{}' is neither a slot"),
        ("{subject}  joined {value}.", "put exactly one space between words"),
        ("{subject} joined {value}. ", "put exactly one space between words"),
        ("{subject}joined {value}.", "let no slot touch a word"),
        ("{subject} knows {value}s.", "let no slot touch a word"),
        ("{subject} joined {value}", "ends in one full stop"),
        ("{subject} joined {value}..", "ends in one full stop"),
        ("{subject} joined {value}. It was fun.", "write one sentence"),
        ("then {subject} joined {value}.", "starts with a capital letter"),
        ("{subject's} team [was|were] at {value}.", "has no {subject} or {they} before it"),
        ("", "expected exactly one of"),
    ],
)
def test_a_bad_template_is_refused_by_name(source: str, problem: str) -> None:
    with pytest.raises(WorkbenchError, match=re.escape(problem)) as refusal:
        parse_template("company", source)
    assert str(refusal.value).startswith(f"company template {source!r}: ")
    assert "\n" not in str(refusal.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A template folder of the user's own, with one template per attribute."""
    for attribute in ATTRIBUTES:
        (tmp_path / f"{attribute}.txt").write_text(
            f"{{subject}} has {attribute} {{value}}.\n", encoding="utf-8"
        )
    questions = "".join(f"{attribute}\tWhat {attribute} has {{name}}?\n" for attribute in ATTRIBUTES)
    (tmp_path / "question.txt").write_text(questions, encoding="utf-8")
    return tmp_path


def test_a_folder_of_ones_own_replaces_the_shipped_files(folder: Path) -> None:
    (folder / "major.txt").write_text(
        "{subject} chose {value}.\n\n{subject} läs {value}.\n", encoding="utf-8"
    )
    loaded = load_templates(folder, SCHEMA)
    assert list(loaded) == list(ATTRIBUTES)
    assert loaded["major"] == (
        parse_template("major", "{subject} chose {value}."),
        parse_template("major", "{subject} läs {value}."),
    )
    assert isinstance(loaded["company"][0], Template)


def test_a_bad_folder_is_refused_by_file_name(folder: Path) -> None:
    major = folder / "major.txt"
    for content, problem in [
        (b"\n \n", "major.txt is empty"),
        (b"\xff\xfe", "major.txt is UTF-16, not UTF-8; save it as UTF-8"),
        (b"{subject} chose {value}.\n" * 2, "major.txt has '{subject} chose {value}.' more than once"),
        (
            b"\n{subject} chose.\n",
            "major.txt, line 2: template '{subject} chose.': expected {value} exactly once",
        ),
    ]:
        major.write_bytes(content)
        with pytest.raises(WorkbenchError, match=problem):
            load_templates(folder, SCHEMA)
    major.unlink()
    with pytest.raises(WorkbenchError, match=r"major\.txt cannot be read \(No such file"):
        load_templates(folder, SCHEMA)
