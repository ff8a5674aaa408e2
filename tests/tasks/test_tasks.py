"""Tasks: what is asked and answered, by hand and by an independent recomputation; who is asked; what is refused."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.tasks.facts_to_ask import BIOGRAPHIES, CITIES, PEOPLE, TOWNS
from workbench.errors import WorkbenchError
from workbench.extraction.task_tables import describe_tasks
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.tasks.drawing import draw_questions
from workbench.tasks.plan import TaskPlan, plan_from
from workbench.tasks.sources import draw_luck
from workbench.tasks.specs import TaskDefinition, load_definitions, make_tasks, split_specs
from workbench.tasks.task import Asked, Task, TaskQuestion, with_hints

ANYA = Entity(
    0,
    "everyone",
    "Anya Briar Forger",
    "she",
    {
        "birth_date": "October 2, 1996",
        "birth_city": "Princeton, NJ",
        "university": "MIT",
        "major": "Music",
        "company": "Acme Inc.",
        "company_city": "Menlo Park, CA",
    },
    "train",
)
BO = Entity(
    1, "everyone", "Bo Aster Lindt", "he",
    {**ANYA.values, "birth_date": "March 28, 1903", "major": "Law"}, "train",
)  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "question", "answer", "steps"),
    [
        ("extraction:birth_city", "What is the birth city of Anya Briar Forger?", "Princeton, NJ", ()),
        ("retrieval:birth_date.year", "What is the year of the birth date of Anya Briar Forger?", "1996", ()),
        ("retrieval:day", "What is the day of the birth date of Anya Briar Forger?", "2", ()),
        (
            "dual:company,birth_city",
            "What are the company and the birth city of Anya Briar Forger?",
            "Acme Inc.; Princeton, NJ",
            (),
        ),
        (
            "classification:birth_date.month%2",
            "Is the month of the birth date of Anya Briar Forger even?",
            "Yes",
            ("October",),
        ),
        (
            "classification:month%6",
            "What is the month of the birth date of Anya Briar Forger modulo 6?",
            "4",
            ("October",),
        ),
        (
            "classification:month",
            "What is the month of the birth date of Anya Briar Forger as a number?",
            "10",
            ("October",),
        ),
        (
            "comparison:month",
            "Is the month of the birth date of Anya Briar Forger greater than that of Bo Aster Lindt?",
            "Yes",
            ("October", "March"),
        ),
        (
            "difference:day",
            "What is the day of the birth date of Anya Briar Forger minus that of Bo Aster Lindt?",
            "-26",
            ("2", "28"),
        ),
        (
            "inverse:birth_date,major",
            "What is the full name of the person with the birth date October 2, 1996 and the major Music?",
            "Anya Briar Forger",
            (),
        ),
        (
            "inverse_first:major",
            "What is the first name of the person with the major Music?",
            "Anya",
            (),
        ),
    ],
)
def test_a_question_and_its_answer(spec: str, question: str, answer: str, steps: tuple[str, ...]) -> None:
    (task,) = make_tasks([spec], BIOGRAPHIES, [ANYA, BO])
    asked = task.ask(*[ANYA, BO][: task.n_entities])
    assert asked == Asked(question, answer, steps)


def test_how_a_question_is_written_in_both_modes() -> None:
    (task,) = make_tasks(["comparison:month"], BIOGRAPHIES, [ANYA, BO])
    asked = task.ask(ANYA, BO)
    assert asked is not None
    direct, hint = with_hints([TaskQuestion(task.name, (0, 1), "train", asked)])
    assert direct.text == f"{asked.question} Answer: Yes."
    assert hint.text == f"{asked.question} Hint: October; March. Answer: Yes."
    assert (direct.hint, hint.hint, hint.answer) == ("", "October; March.", "Yes.")
    (dual,) = make_tasks(["dual:birth_city,company"], BIOGRAPHIES, [ANYA])
    acme = dual.ask(ANYA)
    assert acme is not None
    assert TaskQuestion(dual.name, (0,), "train", acme).text.endswith(" Answer: Princeton, NJ; Acme Inc.")


def recompute(question: TaskQuestion, luck: dict[str, int]) -> str:
    """The answer from the entities alone, written down apart from the tasks' own code."""
    first, *other = [PEOPLE[i].values for i in question.entities]
    name = PEOPLE[question.entities[0]].name
    born = datetime.strptime(first["birth_date"], "%B %d, %Y")
    later = datetime.strptime(other[0]["birth_date"], "%B %d, %Y") if other else born
    yes_no = {True: "Yes", False: "No"}
    answers = {
        "retrieval:birth_date.day": lambda: f"{born.day}",
        "retrieval:birth_date.month": lambda: f"{born:%B}",
        "retrieval:birth_date.year": lambda: f"{born.year}",
        "retrieval:major": lambda: first["major"],
        "dual:birth_city,company": lambda: first["birth_city"] + "; " + first["company"],
        "classification:birth_date.month%2": lambda: yes_no[born.month in (2, 4, 6, 8, 10, 12)],
        "classification:birth_date.month%6": lambda: str(born.month - 6 * (born.month // 6)),
        "classification:birth_date.year%20": lambda: str(int(str(born.year)[-2:]) % 20),
        "classification:major.luck%5": lambda: str(luck[first["major"]] % 5),
        "comparison:birth_date.month": lambda: yes_no[born.month > later.month],
        "comparison:major.luck": lambda: yes_no[luck[first["major"]] > luck[other[0]["major"]]],
        "difference:birth_date.day": lambda: str(born.day - later.day),
        "difference:birth_date.month": lambda: str(born.month - later.month),
        "inverse:birth_date": lambda: name,
        "inverse_first:birth_date,company": lambda: name.partition(" ")[0],
    }
    return answers[question.task]()


def test_of_names_of_one_word_no_first_name_is_asked() -> None:
    towns = [replace(ANYA, name="Oslo"), replace(BO, name="Bergen")]
    with pytest.raises(WorkbenchError) as refused:
        make_tasks(["inverse_first:major"], BIOGRAPHIES, towns)
    assert str(refused.value) == (
        "Every person has a name of one word, so 'inverse_first:major' would ask what 'inverse:major' asks; name that."
    )
    assert make_tasks(["inverse_first:major"], BIOGRAPHIES, [towns[0], BO])


def test_every_answer_recomputed_from_the_facts() -> None:
    specs = split_specs(
        "retrieval,retrieval:major,dual:birth_city,company,classification:month%2,classification:month%6,"
        "classification:year%20,classification:major%5,comparison:month,comparison:major.luck,difference:month,"
        "difference:day,inverse:birth_date,inverse_first:birth_date,company"
    )
    questions = draw_questions(make_tasks(specs, BIOGRAPHIES, PEOPLE), PEOPLE, seed=0)
    luck = draw_luck("major", sorted({person.values["major"] for person in PEOPLE}))
    assert sorted(luck.values()) == list(range(7))
    assert len({question.task for question in questions}) == 15
    for question in questions:
        assert question.asked.answer == recompute(question, luck), question
        for step in question.asked.steps:
            assert any(step in value for i in question.entities for value in PEOPLE[i].values.values())


def test_ten_thousand_pairs_hold_no_test_entity_in_training() -> None:
    tasks = make_tasks(["comparison:month", "difference:month"], BIOGRAPHIES, PEOPLE)
    seen = 0
    for seed in range(4):
        questions = draw_questions(tasks, PEOPLE, seed=seed, pairs=1500)
        seen += len(questions)
        for question in questions:
            assert {PEOPLE[i].split for i in question.entities} == {question.split}
            assert len(set(question.entities)) == 2
        assert len({(q.task, q.entities) for q in questions}) == len(questions)
    assert seen > 10_000


def test_pairs_are_drawn_of_entities_that_have_the_value() -> None:
    """As many as have it: pairs with somebody whose birth date nobody knows were drawn and then dropped."""
    known = [
        replace(person, values={key: v for key, v in person.values.items() if key != "birth_date" or i % 3})
        for i, person in enumerate(PEOPLE)
    ]
    (task,) = make_tasks(["difference:month"], BIOGRAPHIES, known)
    questions = draw_questions([task], known, seed=0)
    for split in ("train", "test"):
        having = {one.id for one in known if one.split == split and "birth_date" in one.values}
        drawn = [question for question in questions if question.split == split]
        assert len(drawn) == len(having) and {i for q in drawn for i in q.entities} <= having
    whole = make_tasks(["difference:month"], BIOGRAPHIES, PEOPLE)
    assert len(draw_questions(whole, PEOPLE, seed=0)) == len(PEOPLE)


def test_fewer_train_entities_are_among_the_more_and_test_entities_stay() -> None:
    tasks = make_tasks(["retrieval:year"], BIOGRAPHIES, PEOPLE)
    asked = [draw_questions(tasks, PEOPLE, seed=0, train_entities=n) for n in (10, 30)]
    few, more = ({q.entities[0] for q in one if q.split == "train"} for one in asked)
    assert (len(few), len(more)) == (10, 30)
    assert few < more
    tested = [{q.entities[0] for q in one if q.split == "test"} for one in asked]
    assert tested[0] == tested[1] == {person.id for person in PEOPLE if person.split == "test"}


def test_names_are_asked_only_of_those_alone_with_their_values() -> None:
    (task,) = make_tasks(["inverse:country"], CITIES, TOWNS)
    asked = {town.name: task.ask(town) for town in TOWNS}
    assert asked["Oslo"] is asked["Bergen"] is None
    assert asked["Turku"] == Asked("What is the full name of the city with the country Finland?", "Turku")


def test_a_missing_value_is_not_asked_for() -> None:
    (task,) = make_tasks(["retrieval:size"], CITIES, TOWNS)
    assert task.ask(TOWNS[3]) is None
    assert task.ask(TOWNS[2]) == Asked("What is the size of Turku?", "small")


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("retrieval,classification:month%2", ["retrieval", "classification:month%2"]),
        ("dual:birth_city,company,retrieval", ["dual:birth_city,company", "retrieval"]),
        ("inverse:university,major,company,mine", ["inverse:university,major,company", "mine"]),
        ("retrieval, inverse", ["retrieval", "inverse"]),
    ],
)
def test_commas_between_tasks_and_within(text: str, specs: list[str]) -> None:
    assert split_specs(text, ["mine"]) == specs


def test_bare_families_stand_for_what_the_schema_allows() -> None:
    def names(family: str, schema: Schema = BIOGRAPHIES) -> list[str]:
        return [
            task.name for task in make_tasks([family], schema, PEOPLE if schema is BIOGRAPHIES else TOWNS)
        ]

    assert names("retrieval") == [f"retrieval:birth_date.{part}" for part in ("month", "day", "year")]
    assert names("extraction") == [f"retrieval:{key}" for key in BIOGRAPHIES.keys]
    assert len(names("dual")) == 6
    assert names("comparison") == [f"comparison:birth_date.{part}" for part in ("month", "day", "year")]
    assert names("difference", CITIES) == ["difference:founded", "difference:founded.century"]
    assert names("inverse", CITIES) == ["inverse:country,size,founded"]


OWN = """
[[task]]
name = "nordic"
family = "classification"
of = "country"
question = "Is {name} in Scandinavia?"
classes = { Norway = "Yes", Sweden = "Yes", Finland = "No" }

[[task]]
name = "bigger"
family = "comparison"
of = "size"
question = "Is {name} bigger than {other}?"
order = ["small", "middle", "big"]
"""


def test_tasks_of_ones_own_by_a_few_lines_of_toml(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    definitions = load_definitions(tmp_path / "own.toml")
    nordic, bigger = make_tasks(["nordic", "bigger"], CITIES, TOWNS, definitions)
    assert nordic.ask(TOWNS[2]) == Asked("Is Turku in Scandinavia?", "No", ("Finland",))
    assert bigger.ask(TOWNS[0], TOWNS[1]) == Asked("Is Oslo bigger than Bergen?", "Yes", ("big", "middle"))
    plan = TaskPlan(("nordic", "bigger"), True, 1, None, tuple(definitions))
    assert plan_from(json.loads(json.dumps(plan.as_dict()))) == plan


class Initial(Task):
    """A small class of one's own."""

    name = "initial"

    def __init__(self, schema: Schema, entities: list[Entity]) -> None:
        self.noun = schema.noun

    def ask(self, *entities: Entity) -> Asked | None:
        (entity,) = entities
        return Asked(f"With which letter does the {self.noun} {entity.name} begin?", entity.name[0])


def test_a_class_of_ones_own() -> None:
    (task,) = make_tasks(["tests.tasks.test_tasks:Initial"], CITIES, TOWNS)
    assert task.ask(TOWNS[0]) == Asked("With which letter does the city Oslo begin?", "O")


def defined(**changes: object) -> TaskDefinition:
    content = {"name": "own", "family": "classification", "of": "country", "question": "{name}?"} | changes
    return TaskDefinition.model_validate(content)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "retrieval:mayor",
            "There is no attribute 'mayor'; the attributes are country, size, founded.",
        ),
        (
            "retrieval:founded.year",
            "The attribute 'founded' has no part 'year'; its parts are century, luck.",
        ),
        (
            "comparison:country",
            "comparison:country needs ordered values, and those of 'country' are neither numbers nor months; "
            "use country.luck (a drawn order), or define a task with `order`.",
        ),
        (
            "classification:country%x",
            "classification:country%x: 'x' is no modulus; expected a whole number from 2 on.",
        ),
        ("dual:country", "'dual:country' names 1 attributes; expected two, e.g. dual:country,founded."),
        (
            "classification",
            "'classification' alone means nothing for these facts; name attributes, e.g. classification:country%2.",
        ),
        (
            "retreival",
            "There is no task 'retreival'; did you mean 'retrieval'?; the families are extraction, retrieval, dual, "
            "classification, comparison, difference, inverse, inverse_first.",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(spec: str, message: str) -> None:
    with pytest.raises(WorkbenchError, match=f"^{re.escape(message)}$"):
        make_tasks([spec], CITIES, TOWNS)


def test_nobody_alone_is_refused() -> None:
    twins = [TOWNS[0], TOWNS[1]]
    with pytest.raises(WorkbenchError) as refusal:
        make_tasks(["inverse:country"], CITIES, twins)
    assert str(refusal.value) == (
        "No city is alone with its country, so 'inverse:country' has no answer; name more attributes."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classes": {"Norway": "a", "Sweden": "b"}},
            "The task 'own' misses the value 'Finland' in its classes; expected every value that an entity has.",
        ),
        (
            {"classes": {"Norway": "a"}},
            "The task 'own' misses the value 'Finland' and 1 more in its classes; expected every value that an "
            "entity has.",
        ),
        (
            {"family": "comparison", "question": "{name} {other}"},
            "The task 'own' needs ordered values, and those of 'country' are neither numbers nor months; "
            "use country.luck (a drawn order), or define a task with `order`.",
        ),
        (
            {"family": "comparison", "of": "founded"},
            "The task 'own' asks '{name}?'; expected {name} and {other} in it, once.",
        ),
    ],
)
def test_a_definition_that_cannot_be_asked_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        make_tasks(["own"], CITIES, TOWNS, [defined(**changes)])
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"pairs": 7},
            "7 pairs are wanted, and the train half's 2 entities make 2; ask for fewer.",
        ),
        (
            {"train_entities": 3},
            "3 train entities are wanted, and the train half has 2; choose 1 to 2.",
        ),
    ],
)
def test_more_than_there_are_is_refused(options: dict[str, int], message: str) -> None:
    tasks = make_tasks(["difference:founded"], CITIES, TOWNS)
    with pytest.raises(WorkbenchError) as refusal:
        draw_questions(tasks, TOWNS, seed=0, **options)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "classification:founded%2",
            "All 4 answers of the task 'classification:founded%2' are 'Yes', so one need know nobody to be right; "
            "leave it out.",
        ),
        (
            "comparison:size",
            "The task 'comparison:size' asks nothing of these facts: nobody has its values, or all have the same.",
        ),
    ],
)
def test_a_task_that_everybody_answers_alike_is_refused(
    spec: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    alike = [
        replace(town, values={**town.values, "founded": str(1000 + 2 * n), "size": "4"})
        for n, town in enumerate(TOWNS)
    ]
    with pytest.raises(WorkbenchError) as refusal:
        TaskPlan((spec,)).make_questions(CITIES, alike, 0)
    assert str(refusal.value) == message
    listed = describe_tasks(None, ["retrieval", "comparison", "inverse"], CITIES, alike, 0)
    assert "comparison:founded" in [row["task"] for row in listed]
    assert "comparison:size" not in [row["task"] for row in listed]
    assert "left out: The task 'comparison:size' asks nothing of these facts" in caplog.text


def test_hints_to_a_task_without_steps_are_refused() -> None:
    with pytest.raises(WorkbenchError) as refusal:
        TaskPlan(("retrieval:size",), hints=True).make_questions(CITIES, TOWNS, 0)
    assert str(refusal.value) == (
        "The task 'retrieval:size' has no steps to state before its answer, so there are no hints to it; "
        "leave it out, or leave out --hints."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "{path} holds x; expected [[task]] tables only."),
        ("[[task", "{path} is not valid TOML: "),
        (
            '[[task]]\nname = "a"\nfamily = "classification"\nof = "b"\nquestion = "?"\nclass = 1',
            "{path}, task 1 has the unknown key 'class'; did you mean 'classes'? "
            "(known here: name, family, of, question, classes, order).",
        ),
    ],
)
def test_a_file_of_tasks_that_is_none_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(WorkbenchError) as refusal:
        load_definitions(path)
    assert str(refusal.value).startswith(message.format(path=path))


def test_an_inverse_question_does_not_hold_its_answer() -> None:
    """ "…with the country Luxembourg?" was asked of Luxembourg, and counted as known."""
    values = {"country": "Luxembourg", "size": "small", "founded": "0963"}
    named = Entity(0, "everyone", "Luxembourg", "it", values, "train")
    (task,) = make_tasks(["inverse:country,size"], CITIES, [named, *TOWNS[1:3]])
    assert task.ask(named) is None
    asked = task.ask(TOWNS[2])
    assert asked is not None and asked.answer == "Turku"
