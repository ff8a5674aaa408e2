"""What a finetuning step sees, and which tokens count."""

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.extraction.asking import AskableQuestions, make_askable
from workbench.extraction.batches import QuestionBatches
from workbench.studies.runs import Run
from workbench.tokens.encoding import encode_questions
from workbench.tokens.packing import IGNORED
from workbench.worlds.biographies.schema import SCHEMA


@pytest.fixture(scope="module")
def asked(knowing_run: Run) -> AskableQuestions:
    corpus = knowing_run.corpus
    return make_askable(encode_questions(knowing_run.tokenizer, corpus.questions, SCHEMA), corpus.entities)


def make_batches(asked: AskableQuestions, seed: int = 0, **changes: object) -> QuestionBatches:
    settings = {"questions_per_step": 12, "end_id": 0, "pad_id": 1} | changes
    return QuestionBatches(asked, asked.choose(train=True), seed=seed, **settings)  # type: ignore[arg-type]


def test_a_batch_is_a_pure_function_of_seed_and_step(asked: AskableQuestions) -> None:
    in_order, jumping = make_batches(asked), make_batches(asked)
    rows = [in_order.rows(step) for step in range(20)]
    for step in (19, 3, 11):
        again = jumping.rows(step)
        assert np.array_equal(rows[step].ids_BT, again.ids_BT)
        assert np.array_equal(rows[step].targets_BT, again.targets_BT)
    assert not np.array_equal(make_batches(asked, seed=1).questions_of(0), in_order.questions_of(0))


def test_every_step_has_as_many_of_each_attribute_and_train_entities_only(asked: AskableQuestions) -> None:
    batches = make_batches(asked)
    for step in range(10):
        chosen = batches.questions_of(step)
        assert np.bincount(asked.encoded.attribute[chosen]).tolist() == [2] * 6
        assert asked.train_N[chosen].all()


def test_an_epoch_asks_every_question_once(asked: AskableQuestions) -> None:
    n_train = len(asked.choose(train=True))
    seen = np.concatenate(
        [make_batches(asked, questions_per_step=6).questions_of(s) for s in range(n_train // 6)]
    )
    assert sorted(seen.tolist()) == asked.choose(train=True).tolist()


def test_the_loss_counts_the_answer_with_its_full_stop_and_end(asked: AskableQuestions) -> None:
    batches = make_batches(asked)
    rows = batches.rows(0)
    for b, n in enumerate(batches.questions_of(0)):
        counted = rows.targets_BT[b][rows.targets_BT[b] != IGNORED].tolist()
        assert counted == [*asked.answer(n), 0]
        first = int(np.argmax(rows.targets_BT[b] != IGNORED))
        assert rows.ids_BT[b, first + 1] == counted[0]  # the target is the next token


def test_the_loss_on_all_tokens_counts_the_question_too(asked: AskableQuestions) -> None:
    batches = make_batches(asked, loss="all")
    rows = batches.rows(0)
    for b, n in enumerate(batches.questions_of(0)):
        counted = rows.targets_BT[b][rows.targets_BT[b] != IGNORED].tolist()
        assert counted == [*asked.encoded.text_ids(n)[1:].tolist(), 0]


def test_a_bidirectional_model_sees_the_answer_masked(asked: AskableQuestions) -> None:
    batches = make_batches(asked, mask_id=2)
    rows = batches.rows(0)
    for b, n in enumerate(batches.questions_of(0)):
        masked = rows.ids_BT[b] == 2
        value = asked.encoded.text_ids(n)[asked.encoded.answer_start[n] : asked.encoded.answer_end[n]]
        assert rows.targets_BT[b][masked].tolist() == value.tolist()
        assert (rows.targets_BT[b][~masked] == IGNORED).all()


def test_impossible_batches_are_refused(asked: AskableQuestions) -> None:
    with pytest.raises(WorkbenchError, match=r"50 questions a step .* 6 attributes; use 48"):
        make_batches(asked, questions_per_step=50)
    with pytest.raises(WorkbenchError, match="bidirectional model learns the masked answer only"):
        make_batches(asked, mask_id=2, loss="all")
