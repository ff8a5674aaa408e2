"""While training: how often the model says the first token of a value, in biographies and in answers.

These are the four curves of the paper's Figure 1: biographies and questions, entities inside and outside the
half whose questions are trained on.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from workbench_models import evaluating, find_logits

from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.seeds import make_rng
from workbench.tokens.encoding import EncodedEntries, EncodedQuestions, EncodedTexts
from workbench.training.devices import Execution

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKENS_PER_BATCH = 16_384


@dataclass(frozen=True)
class Statements:
    """Values that a model is about to state.

    texts: [N] which encoded text; starts, ends: [N] the value's tokens [start, end) in it;
    attributes: [N] index into the schema; train: [N] whether the entity is in the train half.
    """

    encoded: EncodedTexts
    schema: Schema
    texts: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    attributes: np.ndarray
    train: np.ndarray


def sample_entities(entities: list[Entity], per_split: int, seed: int) -> np.ndarray:
    """Up to `per_split` entities of each half, the same for every call: sorted ids."""
    rng = make_rng(seed, "evaluation entities")
    chosen = []
    for split in ("train", "test"):
        ids = np.array([entity.id for entity in entities if entity.split == split], int)
        chosen.append(rng.permutation(ids)[:per_split])
    return np.sort(np.concatenate(chosen))


def biography_statements(
    entries: EncodedEntries, entities: list[Entity], ids: np.ndarray, seed: int
) -> Statements:
    """Every value of one entry (drawn at random) of each of the entities `ids`."""
    shuffled = make_rng(seed, "evaluation entries").permutation(len(entries))
    _, first = np.unique(entries.entities[shuffled], return_index=True)
    texts = shuffled[first]
    texts = texts[np.isin(entries.entities[texts], ids)]
    rows, attributes = np.nonzero(entries.value_start[texts] > 0)  # something stands before the value
    texts = texts[rows]
    starts, ends = entries.value_start[texts, attributes], entries.value_end[texts, attributes]
    return Statements(
        entries, entries.schema, texts, starts, ends, attributes, _in_train(entities, entries.entities[texts])
    )


def answer_statements(questions: EncodedQuestions, entities: list[Entity], ids: np.ndarray) -> Statements:
    """Every answer about the entities `ids`."""
    texts = np.flatnonzero(np.isin(questions.entities, ids))
    return Statements(
        questions,
        questions.schema,
        texts,
        questions.answer_start[texts],
        questions.answer_end[texts],
        questions.attribute[texts].astype(int),
        _in_train(entities, questions.entities[texts]),
    )


def _in_train(entities: list[Entity], ids: np.ndarray) -> np.ndarray:
    return np.array([entities[entity].split == "train" for entity in ids], bool)


@torch.inference_mode()
def first_token_accuracy(
    model: "PreTrainedModel", statements: Statements, execution: Execution, mask_id: int | None = None
) -> dict[str, dict[str, float]]:
    """Share of statements whose first token the model holds most likely: split → attribute (and `mean`).

    A causal model reads it at the token before the value, all values of a text in one pass. A bidirectional one
    (`mask_id` given) reads the text with that value's tokens masked, one row for each value.
    """
    correct = np.zeros(len(statements.texts), bool)
    with evaluating(model):
        for members_N in _batches(statements, share_rows=mask_id is None):
            ids_BT, lengths_B, row_N = _read_texts(statements, members_N, share_rows=mask_id is None)
            starts_N = torch.from_numpy(statements.starts[members_N].astype(np.int64))
            wanted_N = ids_BT[row_N, starts_N]
            attention_mask = None
            if mask_id is not None:
                places_T = torch.arange(ids_BT.shape[1])
                ends_N = torch.from_numpy(statements.ends[members_N].astype(np.int64))
                ids_BT[(places_T >= starts_N[:, None]) & (places_T < ends_N[:, None])] = mask_id
                attention_mask = (places_T < lengths_B[:, None]).to(execution.device)
            read_N = starts_N - 1 if mask_id is None else starts_N
            with execution.autocast():
                hidden_BTD = model.base_model(
                    input_ids=ids_BT.to(execution.device), attention_mask=attention_mask
                ).last_hidden_state
                logits_NV = find_logits(model)(hidden_BTD[row_N, read_N])
            correct[members_N] = (logits_NV.argmax(-1).cpu() == wanted_N).numpy()
    return _by_split(correct, statements)


def _batches(statements: Statements, share_rows: bool) -> list[np.ndarray]:
    """Statements in groups of about TOKENS_PER_BATCH tokens, short texts first, one text never in two groups."""
    lengths_N = statements.encoded.lengths[statements.texts]
    order_N = np.lexsort((statements.texts, lengths_N))
    texts_N = statements.texts[order_N]
    new_row_N = np.r_[True, texts_N[1:] != texts_N[:-1]] if share_rows else np.ones(len(texts_N), bool)
    tokens_N = np.cumsum(np.where(new_row_N, lengths_N[order_N], 0)) // TOKENS_PER_BATCH
    cuts = np.flatnonzero(np.diff(tokens_N)) + 1
    return [group for group in np.split(order_N, cuts) if len(group)]


def _read_texts(
    statements: Statements, members_N: np.ndarray, share_rows: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The texts of these statements as ids [B, T], their lengths [B], and the row [N] of each statement."""
    if share_rows:
        texts_B, row_N = np.unique(statements.texts[members_N], return_inverse=True)
    else:
        texts_B, row_N = statements.texts[members_N], np.arange(len(members_N))
    lengths_B = statements.encoded.lengths[texts_B]
    ids_BT = np.zeros((len(texts_B), int(lengths_B.max())), np.int64)
    for b, text in enumerate(texts_B):
        ids_BT[b, : lengths_B[b]] = statements.encoded.text_ids(text)
    return torch.from_numpy(ids_BT), torch.from_numpy(lengths_B), torch.from_numpy(row_N)


def _by_split(correct: np.ndarray, statements: Statements) -> dict[str, dict[str, float]]:
    result = {}
    for split, members in (("train", statements.train), ("test", ~statements.train)):
        shares: dict[str, float] = {
            attribute: float(correct[here].mean())
            for i, attribute in enumerate(statements.schema.keys)
            if (here := members & (statements.attributes == i)).any()
        }
        if shares:
            result[split] = {"mean": float(np.mean(list(shares.values()))), **shares}
    return result
