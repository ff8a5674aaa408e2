"""Experiment files: what is read, and what is refused with file, claim and fault."""

import copy
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.claims.declared import load_experiment, make_experiment, shipped_experiments
from workbench.claims.expressions import parse_inequality
from workbench.claims.sources import finetune_name, sources_of
from workbench.errors import WorkbenchError
from workbench.experiments.declared_stages import make_stages
from workbench.extraction.evaluation import EvaluationRequest

MINE = {
    "name": "mine",
    "title": "Mine",
    "scales": {"tiny": "tiny"},
    "stages": {
        "lora": {"kind": "finetune"},
        "full": {"kind": "finetune", "options": {"method": "full"}},
        "p": {"kind": "p"},
    },
    "arms": {
        "a": {"stages": ["lora", "p"], "set": {"biographies.augmentation": "single"}},
        "b": {"stages": ["lora", "full"], "set": {"biographies.augmentation": "multi5"}},
    },
    "claims": [{"name": "c", "says": "s", "source": "here", "holds": ['answers("a") >= 5']}],
}  # fmt: skip


def changed(**places: object) -> dict:
    content = copy.deepcopy(MINE)
    for place, value in places.items():
        *path, last = place.split("__")
        inner = content
        for step in path:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        inner[last] = value
    return content


def test_a_stage_may_come_after_a_finetune():
    content = changed(
        stages__later={"kind": "finetune", "after": "lora"}, arms__a__stages=["lora", "p", "later"]
    )
    content["claims"][0]["holds"] = ['answers("a", stage="later") >= 5']
    experiment = make_experiment(content)
    assert experiment.stages["later"].first == experiment.stages["lora"]
    assert experiment.stages["lora"].first is None


def test_a_finetune_without_the_space_before_answers_is_told_so_and_says_so():
    stage = {"kind": "finetune", "options": {"no_answer_space": True}}
    content = changed(stages__bare=stage, arms__a__stages=["lora", "p", "bare"])
    content["claims"][0]["holds"] = ['answers("a", stage="lora") - answers("a", stage="bare") >= 5']
    bare = make_experiment(content).stages["bare"]
    arm = SimpleNamespace(path=Path("run"), job=lambda _stage, *words: words)
    tuning, asking = (one.job(arm) for one in make_stages("bare", bare, "tiny"))
    name = tuning[tuning.index("--name") + 1]
    assert "--no-answer-space" in tuning and "no-space" in name and asking[-1] == name
    assert [one.variant for one in sources_of("bare", bare, "tiny")] == [name]
    assert "no-space" not in finetune_name("lora", {"steps": 5})


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ({"kind": "p", "after": "lroa"}, "stage 'later' comes after 'lroa', and there is no such stage"),
        ({"kind": "p", "after": "p"}, "stage 'later' comes after 'p'; that must be a finetune of the trained model"),
        ({"kind": "v", "after": "lora"}, "stage 'later' is of kind 'v', which cannot come after a finetune"),
    ],
)  # fmt: skip
def test_what_a_stage_cannot_come_after(stage, sentence):
    with pytest.raises(WorkbenchError, match=sentence):
        make_experiment(changed(stages__later=stage))


ASKS = {
    "taught": {"kind": "finetune", "options": {"tasks": "retrieval:day,dual:company,company_city"}},
    "wide": {"kind": "ask", "options": {"tasks": "extraction,dual:company_city,company"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("stages", "term", "measured_by"),
    [
        (["taught"], 'tasks("a")', "taught"),
        (["taught"], 'tasks("a", "mean", stage="taught")', "taught"),
        (["taught", "wide"], 'tasks("a", "mean", stage="wide")', "wide"),
        (["taught"], 'tasks("a", "retrieval:birth_date.day")', "taught"),  # what results call `retrieval:day`
        (["wide"], 'tasks("a", "retrieval:major")', "wide"),  # extraction asks for values, as retrieval does
        (["taught", "wide"], 'tasks("a", "dual:company,company_city")', "taught"),
        (["taught", "wide"], 'tasks("a", "dual:company_city,company")', "wide"),
        (["taught", "wide"], 'tasks("a")', "its stages taught, wide both do; add stage=…"),
        (["taught"], 'tasks("a", "dual:")', "taught"),  # refused when it is measured, with the tasks there are
        (["taught"], 'tasks("a", "inverse:major")', "none of its stages does"),
    ],
)  # fmt: skip
def test_a_task_is_found_under_whatever_name_its_stage_asks_it(stages, term, measured_by):
    content = changed(stages=MINE["stages"] | ASKS, arms__a__stages=stages)
    content["claims"][0]["holds"] = [f"{term} >= 5"]
    if measured_by not in stages:
        with pytest.raises(WorkbenchError, match=re.escape(measured_by)):
            make_experiment(content)
        return
    experiment = make_experiment(content)
    assert experiment.stage_of(experiment.claims[0].terms[0]) == measured_by


def test_the_answers_of_a_group_lie_where_the_evaluation_keeps_them():
    stages = {"ask": {"kind": "ask", "options": {"beams": 4}}, "lora": {"kind": "finetune"}}
    experiment = make_experiment(changed(stages=MINE["stages"] | stages))
    asked = {
        "ask": EvaluationRequest(beams=4, group="few"),
        "lora": EvaluationRequest(adapter="lora", group="few"),
    }
    for stage, request in asked.items():
        (source,) = sources_of(stage, experiment.stages[stage], "tiny", "few")
        assert source.variant == request.variant


def test_an_inequality_is_a_sum_of_terms_and_a_bound():
    found = parse_inequality(
        '2 * p("a", "city/whole", position=3).not_next - answers("b")/4 + 1 >= 5 - q("a")'
    )
    assert [(c, str(term)) for c, term in found.terms] == [
        (2.0, 'p("a", "city/whole", position=3).not_next'),
        (-0.25, 'answers("b", "mean")'),
        (1.0, 'q("a", "mean")'),
    ]
    assert (found.relation, found.bound, found.arms) == (">=", 4.0, ["a", "b"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('answers("a")', "is no inequality; write e.g."),
        ('answers("a") > 3', "compares in a way that is not known; use >= or <=."),
        ('answers("a" >= 3', "is not understood ("),
        ("3 >= 2", "measures nothing"),
        ('anwsers("a") >= 3', "there is no measure 'anwsers'; did you mean 'answers'?"),
        ('answers("a").best >= 3', ".train, .chance, .first, .train_first, .first_chance, not .best."),
        ('answers("a", place=3) >= 3', "answers(…) has no option 'place' (known: group, stage)."),
        ('answers(a) >= 3', "answers(…) takes an arm, then an attribute, or `mean`, each in quotes"),
        ('answers("a") * answers("b") >= 3', "only sums of measured terms with numbers before them can be decided."),
        ('__import__("os") >= 3', "there is no measure '__import__'"),
        ('max("a") >= 3', "there is no measure 'max'"),
        ('answers("a") >= 1e400', "has a number that is too large"),
        (f'answers("a") >= {"9" * 400}', "has a number that is too large"),
        ('answers("a") * 1e309 >= 1', "has a number that is too large"),
        ("-" * 3000 + 'answers("a") >= 1', "is not understood ("),
        ('p("a", position=1.5) >= 1', "position is a whole number such as 0, not 1.5."),
        ('p("a", position="x") >= 1', "position is a whole number such as 0, not 'x'."),
        ('reaches("a", "answers", share=None) >= 1', "share is percent, above 0 and at most 100, not None."),
        ('reaches("a", "answers", split="dev") >= 1', 'split is "train" or "test", not \'dev\'.'),
        ('reaches("a", "loss") >= 1', "reaches(…) is about biographies or answers, not 'loss'."),
        ('reaches("a") >= 1', "reaches(…) takes two words; the second is biographies or answers."),
        ('correlation("answers", "recites") >= .5', "correlation(…) is about p or q or answers, not 'recites'."),
        ('answers("a", group=3) >= 1', "group is a word in quotes, not 3."),
    ],
)  # fmt: skip
def test_what_is_no_inequality_is_refused(text, sentence):
    with pytest.raises(WorkbenchError) as refused:
        make_experiment(changed(claims__0__holds=[text]), "mine.toml")
    assert str(refused.value).startswith("mine.toml, claim 'c': ") and sentence in str(refused.value)


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ({"claims__0__holds": ['answers("aa") >= 5']},
            "claim 'c': answers(\"aa\", \"mean\"): there is no arm 'aa'; did you mean 'a'? Declared: a, b."),
        ({"claims__0__holds": ['q("a") >= 5']}, "nothing says what measures it in 'a': none of its stages does."),
        ({"claims__0__holds": ['answers("b") >= 5']}, "its stages lora, full both do; add stage=…."),
        ({"claims__0__holds": ['answers("a", stage="full") >= 5']}, "the arm has no such stage 'full' (it has lora)."),
        ({"claims__0__paper": [1.0, 2.0]}, "mine.toml, claim 'c': has 2 numbers of the paper for 1 inequalities."),
        ({"claims__0__hold": []},
            "mine.toml, claim 'c' has the unknown key 'hold'; did you mean 'holds'? (known here: name, says, "),
        ({"arms__a__stages": ["lorra"]},
            "mine.toml, arm 'a': there is no stage 'lorra'; did you mean 'lora'? Declared: lora, full, p."),
        ({"arms__a__at": {"huge": {}}}, "mine.toml, arm 'a': there is no scale 'huge'. Declared: tiny."),
        ({"stages__p__options": {"rang": 3}},
            "stage 'p': a stage of kind 'p' has no option 'rang' (known: rank, steps, group, entries_per_entity)."),
        ({"stages__p": {"kind": "capacity", "options": {"quantize": "int8,int4"}}},
            "stage 'p': quantize = 'int8,int4': a stage is about one of int8, int4; give each its own."),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(places, sentence):
    with pytest.raises(WorkbenchError) as refused:
        make_experiment(changed(**places), "mine.toml")
    assert sentence in str(refused.value)


def test_two_claims_of_one_name_are_refused():
    with pytest.raises(
        WorkbenchError, match=r"mine.toml, claim 'c': there are two of this name; give each its own\."
    ):
        make_experiment(changed(claims=MINE["claims"] * 2), "mine.toml")


def test_a_file_of_ones_own_and_an_unknown_name(tmp_path):
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(WorkbenchError, match=r"bad.toml is not valid TOML"):
        load_experiment(tmp_path / "bad.toml")
    with pytest.raises(WorkbenchError, match=r"There is no experiment 'part-3.7' .*did you mean 'part-3\.."):
        load_experiment("part-3.7")
    assert shipped_experiments() == ["confounds", "part-2", "part-3.1", "part-3.2", "part-3.3"]


def test_an_arm_like_another_says_only_what_differs():
    made = {
        "set": {"seed": 1, "training.lr": 1e-3},
        "at": {"tiny": {"model.n_layers": 2}},
        "stages": ["lora"],
    }
    like = {"like": "a", "set": {"training.lr": 2e-3}, "at": {"tiny": {"model.d_model": 64}}}
    arm = make_experiment(changed(arms__a=made, arms__c=like)).arms["c"]
    assert arm.set == {"seed": 1, "training.lr": 2e-3}
    assert arm.at == {"tiny": {"model.n_layers": 2, "model.d_model": 64}} and arm.stages == ("lora",)


@pytest.mark.parametrize(
    ("like", "sentence"),
    [
        ("aa", "arm 'c' is like 'aa', and there is no such arm; did you mean 'a'?"),
        ("d", "arm 'c' is like 'd', which is like 'a'; name that one"),
        (3, "arm 'c': like = 3"),
    ],
)
def test_an_arm_like_none_is_refused(like, sentence):
    with pytest.raises(WorkbenchError) as refused:
        make_experiment(changed(arms__c={"like": like}, arms__d={"like": "a"}), "mine.toml")
    assert sentence in str(refused.value)
