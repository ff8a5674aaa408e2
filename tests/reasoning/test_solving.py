"""Solving, judging and regret: an oracle writes, and what it writes is what is scored."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.reasoning import regret, solving
from workbench.reasoning.evaluation import SolvingRequest, run_solving
from workbench.reasoning.regret import make_detector, name_defined, solve_with_regret
from workbench.reasoning.solving import choose_sets, make_set, score_solved, solve
from workbench.results.storing import load_results
from workbench.studies.corpus import make_corpus
from workbench.studies.runs import Run
from workbench.training.problems import make_texts, require_arithmetic
from workbench.worlds.arithmetic.texts import ProblemText


class Oracle:
    """In the generator's place: continues a prompt with the problem's own solution, wrongly at first if told so."""

    def __init__(self, texts: Sequence[ProblemText], wrong_at_first: bool = False) -> None:
        self.texts, self.wrong_at_first = list(texts), wrong_at_first

    def __call__(self, model: Any, prompts: Sequence[np.ndarray], **options: Any) -> Any:
        stop, greedy = set(options["stop_ids"]), not options.get("temperature")
        said = np.full((len(prompts), options["max_new"]), -1)
        for row, prompt in enumerate(prompts):
            text = next(
                t for t in self.texts if t.ids[: t.prompt_length] == prompt[: t.prompt_length].tolist()
            )
            rest = [*text.ids[len(prompt) :], min(stop)]
            if self.wrong_at_first and greedy and len(prompt) == text.prompt_length:
                last = text.written.solution[-1]
                rest = text.ids[len(text.ids) - len(last) :]
            length = next((n for n, token in enumerate(rest, 1) if token in stop), len(rest))
            length = min(length, options["max_new"])
            said[row, :length] = rest[:length]
        return type("Said", (), {"tokens_NM": said})


def test_an_oracles_solutions_are_all_right(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = make_texts(run.recipe, run.tokenizer)
    asked = [text for name, n in choose_sets(texts).items() for text in make_set(texts, name, n, 3)]
    monkeypatch.setattr(solving, "generate", Oracle(asked))
    scores = score_solved(solve(None, run.tokenizer, asked))  # type: ignore[arg-type]
    assert scores["right"] == scores["shortest"] == scores["n"] == len(asked)
    assert sum(value for key, value in scores.items() if key.startswith("fault")) == 0


def test_perfect_regret_mends_what_the_oracle_gets_wrong_at_first(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_texts(run.recipe, run.tokenizer)
    asked = [text for text in make_set(texts, "4", 4, 8) if len(text.written.solution) > 1]
    monkeypatch.setattr(regret, "generate", Oracle(asked, wrong_at_first=True))
    detector = make_detector(None, ("no", "yes"), run.tokenizer)
    solved, anew = solve_with_regret(None, run.tokenizer, asked, detector)  # type: ignore[arg-type]
    assert all(one.verdict.shortest for one in solved)
    assert anew == len(asked)  # the query cannot come first
    monkeypatch.setattr(solving, "generate", Oracle(asked, wrong_at_first=True))
    without = solve(None, run.tokenizer, asked)  # type: ignore[arg-type]
    assert {one.verdict.kind for one in without} == {"not yet computable"}


def test_the_name_a_sentence_defines(run: Run) -> None:
    text = make_texts(run.recipe, run.tokenizer).test("names", 0, 2)
    sentence = text.written.solution[0]
    assert name_defined(text, sentence) == tuple(sentence[: sentence.index("as")])
    assert name_defined(text, [*sentence[:1], "as", "BACK", "."]) is None
    assert name_defined(text, ["so", "."]) is None


def test_results_are_kept_and_loaded(run: Run) -> None:
    request = SolvingRequest("2,reask", number=3, mistakes=True)
    told: list[tuple[str, int, int]] = []
    step = run.checkpoints[-1].step
    (made,) = run_solving(run, run.checkpoints[-1:], request, show=lambda *what: told.append(what))
    assert told == [(f"solving 2, step {step}", 0, 2), (f"solving reask, step {step}", 1, 2)]
    assert made["operations"].values.tolist() == ["2", "reask"]
    assert (made["n"] == 3).all() and {"faults", "fault_told", "anew"} <= set(made.data_vars)
    kept = load_results(run.path, "solving", "greedy", "op2-reask")
    np.testing.assert_array_equal(kept["accuracy"].isel(checkpoint=-1), made["accuracy"])
    (again,) = run_solving(run, run.checkpoints[-1:], request)
    assert again.attrs["created"] == made.attrs["created"]


@pytest.mark.parametrize("how", [{"beams": 2}, {"temperature": 1.0}, {"regret": "probe"}])
def test_every_way_of_writing_gives_a_result(run: Run, how: dict[str, Any]) -> None:
    (made,) = run_solving(run, run.checkpoints[-1:], SolvingRequest("2", number=2, **how))
    assert int(made["n"][0]) == 2


def test_bad_requests_are_refused(run: Run) -> None:
    texts = make_texts(run.recipe, run.tokenizer)
    with pytest.raises(WorkbenchError) as refusal:
        choose_sets(texts, "2,many")
    assert str(refusal.value) == "'many' is no number of operations; give numbers such as 3,5 or `reask`."
    with pytest.raises(WorkbenchError, match=r"^99 operations are asked for, but a graph of family 'tiny'"):
        make_set(texts, "99", 99, 1)
    with pytest.raises(WorkbenchError, match=r"^With --regret the first version"):
        SolvingRequest(regret="probe", beams=2)
    with pytest.raises(
        WorkbenchError, match=r"is of the arithmetic world: it has problems, made as they are read, and no"
    ):
        _ = run.corpus
    with pytest.raises(
        WorkbenchError, match=r"^The recipe 'arithmetic-tiny' is of the arithmetic world: it has"
    ):
        make_corpus(run.recipe)
    with pytest.raises(WorkbenchError, match=r"^The recipe 'tiny' is not of the arithmetic world"):
        from workbench.recipes.recipe import load_recipe

        require_arithmetic(load_recipe("tiny"))
