"""First-token accuracy reads the right place and the right word, and shows a bidirectional model no answer."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from workbench.facts.entities import Entity
from workbench.tokens.encoding import EncodedEntries, EncodedQuestions
from workbench.training import evaluation
from workbench.training.devices import Execution
from workbench.training.evaluation import (
    answer_statements,
    biography_statements,
    first_token_accuracy,
    sample_entities,
)
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

VOCABULARY = 50
MASK = 49
CPU = Execution("cpu", bf16=False, attention="sdpa", compile=False)


@pytest.fixture(autouse=True)
def plain_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle's head is taken as it is: there is no network whose own logits could be tried."""
    monkeypatch.setattr(evaluation, "find_logits", lambda model: model.get_output_embeddings())


class Oracle(nn.Module):
    """A model whose most likely token at t is the text's own token at t + `ahead`, by looking at its input."""

    def __init__(self, ahead: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.seen: list[torch.Tensor] = []
        self.masks: list[torch.Tensor | None] = []

    def base_model(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> Any:
        self.seen.append(input_ids.clone())
        self.masks.append(attention_mask)
        said = torch.roll(input_ids, -self.ahead, dims=1)
        return SimpleNamespace(last_hidden_state=nn.functional.one_hot(said, VOCABULARY).float())

    def get_output_embeddings(self) -> nn.Module:
        return nn.Identity()


def make_people() -> list[Entity]:
    """Four entities, two of each half."""
    return [Entity(i, "everyone", f"N{i}", "they", {}, "train" if i % 2 == 0 else "test") for i in range(4)]


def make_entries() -> EncodedEntries:
    """Four entries of 8 to 11 tokens: end-of-text, then tokens all different; two attributes of two tokens."""
    lengths = np.array([8, 9, 10, 11])
    offsets = np.r_[0, np.cumsum(lengths)]
    ids = np.concatenate([np.r_[0, np.arange(n - 1) + 1 + 10 * i] for i, n in enumerate(lengths)])
    start = np.full((4, 6), -1, np.int32)
    start[:, 1], start[:, 4] = 3, 6  # birth_city, company
    end = np.where(start < 0, -1, start + 2).astype(np.int32)
    entities = np.arange(4, dtype=np.int32)
    names = np.ones(4, np.int32)
    return EncodedEntries(ids.astype(np.int32), offsets, entities, SCHEMA, start, end, names, names)


@pytest.mark.parametrize(("ahead", "share"), [(1, 1.0), (0, 0.0), (2, 0.0)])
def test_a_causal_model_is_read_at_the_token_before_the_value(ahead: int, share: float) -> None:
    statements = biography_statements(make_entries(), make_people(), np.arange(4), seed=0)
    accuracy = first_token_accuracy(Oracle(ahead), statements, CPU)  # type: ignore[arg-type]
    expected = {"mean": share, "birth_city": share, "company": share}
    assert accuracy == {"train": expected, "test": expected}


@pytest.mark.parametrize("ahead", [-1, 0, 1])
def test_a_bidirectional_model_is_not_shown_the_value(ahead: int) -> None:
    """A model that copies any of its inputs scores zero: the value is masked, and only the value."""
    entries = make_entries()
    statements = biography_statements(entries, make_people(), np.arange(4), seed=0)
    oracle = Oracle(ahead)
    accuracy = first_token_accuracy(oracle, statements, CPU, mask_id=MASK)  # type: ignore[arg-type]
    assert accuracy["train"]["mean"] == accuracy["test"]["mean"] == 0.0
    rows = torch.cat([nn.functional.pad(seen, (0, 11 - seen.shape[1])) for seen in oracle.seen])
    assert len(rows) == 8  # one row a statement
    assert ((rows == MASK).sum(1) == 2).all()  # both tokens of the one value
    for row in rows:
        places = torch.nonzero(row == MASK).flatten().tolist()
        assert places in ([3, 4], [6, 7])


def test_a_bidirectional_model_is_told_what_is_padding() -> None:
    oracle = Oracle(0)
    statements = biography_statements(make_entries(), make_people(), np.arange(4), seed=0)
    first_token_accuracy(oracle, statements, CPU, mask_id=MASK)  # type: ignore[arg-type]
    (mask,) = oracle.masks
    assert mask is not None
    assert mask.sum(1).tolist() == [8, 8, 9, 9, 10, 10, 11, 11]


def test_halves_and_attributes_are_counted_apart() -> None:
    """Entity 1's company and entity 2's city are said wrongly: their own cells lose, and no other."""

    class Mistaken(Oracle):
        def base_model(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> Any:
            output = super().base_model(input_ids, attention_mask)
            for row, ids in enumerate(input_ids.tolist()):
                if ids[1] == 11:
                    output.last_hidden_state[row, 5] = 0.0
                if ids[1] == 21:
                    output.last_hidden_state[row, 2] = 0.0
            return output

    statements = biography_statements(make_entries(), make_people(), np.arange(4), seed=0)
    assert first_token_accuracy(Mistaken(1), statements, CPU) == {  # type: ignore[arg-type]
        "train": {"mean": 0.75, "birth_city": 0.5, "company": 1.0},
        "test": {"mean": 0.75, "birth_city": 1.0, "company": 0.5},
    }


def test_answers_are_read_where_they_begin() -> None:
    ids = np.array([0, 5, 6, 7, 8, 9, 0, 15, 16, 17, 18], np.int32)
    questions = EncodedQuestions(
        ids,
        np.array([0, 6, 11]),
        np.array([0, 1], np.int32),
        answer_start=np.array([3, 4], np.int32),
        answer_end=np.array([5, 5], np.int32),
        attribute=np.array([ATTRIBUTES.index("major"), ATTRIBUTES.index("birth_date")], np.int8),
        schema=SCHEMA,
    )
    statements = answer_statements(questions, make_people(), np.arange(4))
    assert first_token_accuracy(Oracle(1), statements, CPU) == {  # type: ignore[arg-type]
        "train": {"mean": 1.0, "major": 1.0},
        "test": {"mean": 1.0, "birth_date": 1.0},
    }


def test_the_model_comes_back_in_the_mode_it_was_in() -> None:
    statements = biography_statements(make_entries(), make_people(), np.arange(4), seed=0)
    for mode in (True, False):
        oracle = Oracle(1).train(mode)
        first_token_accuracy(oracle, statements, CPU)  # type: ignore[arg-type]
        assert oracle.training is mode


def test_the_same_entities_are_sampled_every_time() -> None:
    entities = [Entity(i, "everyone", f"N{i}", "they", {}, "train" if i % 3 else "test") for i in range(60)]
    chosen = sample_entities(entities, 10, seed=0)
    assert (chosen == sample_entities(entities, 10, seed=0)).all()
    assert [sum(entities[i].split == split for i in chosen) for split in ("train", "test")] == [10, 10]
    assert len(sample_entities(entities, 1000, seed=0)) == 60
