"""Answers, token by token: greedy, drawn, or by beam search, prompts of one length at a time (see reader.py).

Prompts of equal length need no padding and no attention mask, so thousands of them share each forward pass;
rows that have ended leave the batch. Beam search follows transformers' own (length penalty 1, no early stopping),
and both give the tokens `transformers.generate` gives for each prompt alone.

Shapes: N prompts, B batch, T tokens, D width, V vocabulary, M new tokens, W beams.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from workbench_models import context_length, evaluating

from workbench.errors import WorkbenchError
from workbench.extraction.reader import Reader, find_reading_on
from workbench.minutes import Minutes
from workbench.studies.manner import require_numbers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKENS_PER_BATCH = 32_768
NOTHING = -1  # fills rows after their end
LOWEST = -1e9


@dataclass(frozen=True)
class Generated:
    """tokens_NM: int64, each row up to and with its stop token, then -1. first_N: the likeliest first token."""

    tokens_NM: np.ndarray
    first_N: np.ndarray


def generate(
    model: "PreTrainedModel",
    prompts: Sequence[np.ndarray],
    *,
    stop_ids: Sequence[int],
    max_new: int,
    beams: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    less: str = "fewer entities take less",
) -> Generated:
    """Continue every prompt (its ids) until one of `stop_ids`, `max_new` tokens, or the end of the context.

    temperature: above 0, tokens are drawn from the softmax of logits / temperature, the same ones for the same seed.
    less: what makes it shorter, to be said where it takes minutes.
    """
    if temperature and beams > 1:
        raise WorkbenchError(
            f"Beam search looks for the likeliest answer and draws none; give {beams} beams or a temperature, not both."
        )
    generator = torch.Generator(device=model.device).manual_seed(seed) if temperature else None
    tokens_NM = np.full((len(prompts), max_new), NOTHING, np.int64)
    first_N = np.full(len(prompts), NOTHING, np.int64)
    lengths_N = np.array([len(prompt) for prompt in prompts], int)
    context = context_length(model.config)
    with evaluating(model):
        device = model.device
        with torch.inference_mode():
            how = find_reading_on(model, prompts, max_new)
            stop = torch.tensor(sorted(set(stop_ids)), device=device)
            minutes = Minutes(f"Answering {len(prompts):,} prompts", less)
            total = int((lengths_N + max_new).sum())
            minutes.start()
            for length in np.unique(lengths_N):
                alike = np.flatnonzero(lengths_N == length)
                room = max_new if context is None else min(max_new, context - int(length))
                size = max(1, tokens_per_batch // ((int(length) + room) * beams))
                for start in range(0, len(alike), size):
                    here = alike[start : start + size]
                    ids_BT = torch.from_numpy(np.stack([prompts[n] for n in here]).astype(np.int64)).to(
                        device
                    )
                    reader = Reader(model, how)
                    logits_BV = reader.read(ids_BT)
                    require_numbers(logits_BV)
                    first_N[here] = logits_BV.argmax(-1).cpu().numpy()
                    said_BM = (
                        _say(reader, logits_BV, stop, room, temperature, generator)
                        if beams == 1
                        else _search_beams(reader, logits_BV, stop, room, beams)
                    )
                    tokens_NM[here, :room] = said_BM.cpu().numpy()
                    minutes.more(len(here) * (int(length) + max_new), total)
    return Generated(tokens_NM, first_N)


def _say(
    reader: Reader,
    logits_BV: torch.Tensor,
    stop: torch.Tensor,
    max_new: int,
    temperature: float,
    generator: torch.Generator | None,
) -> torch.Tensor:
    """The likeliest token at each step, or a drawn one: int64 [B, M]."""
    said_BM = torch.full((len(logits_BV), max_new), NOTHING, device=logits_BV.device)
    speaking = torch.arange(len(logits_BV), device=logits_BV.device)  # rows that have not ended
    for step in range(max_new):
        if generator is None:
            next_S = logits_BV.argmax(-1)
        else:
            drawn_S1 = (logits_BV / temperature).softmax(-1).multinomial(1, generator=generator)
            next_S = drawn_S1[:, 0]
        said_BM[speaking, step] = next_S
        going = ~torch.isin(next_S, stop)
        if step + 1 == max_new or not going.any():
            break
        if not going.all():
            reader.keep(torch.nonzero(going)[:, 0])
            speaking, next_S = speaking[going], next_S[going]
        logits_BV = reader.read(next_S[:, None])
    return said_BM


def _search_beams(
    reader: Reader, logits_BV: torch.Tensor, stop: torch.Tensor, max_new: int, beams: int
) -> torch.Tensor:
    """The best of `beams` continuations by mean log-probability per token: int64 [B, M].

    At each step the best (stop tokens + 1) · W continuations are looked at. Those among the best W that end
    compete for the answer; the best W that do not end go on. A row is done when the best one going on is worse
    than the worst of W finished ones.
    """
    n_rows, n_ids = logits_BV.shape
    device = logits_BV.device
    width = max(2, 1 + len(stop)) * beams
    row_B1 = torch.arange(n_rows, device=device)[:, None]
    live_BWM = torch.full((n_rows, beams, max_new), NOTHING, device=device)
    done_BWM = live_BWM.clone()
    live_score_BW = torch.full((n_rows, beams), LOWEST, device=device)
    live_score_BW[:, 0] = 0.0  # all beams are equal at first: only one may branch
    done_score_BW = torch.full((n_rows, beams), LOWEST, device=device)
    is_done_BW = torch.zeros(n_rows, beams, dtype=torch.bool, device=device)
    open_B1 = torch.ones(n_rows, 1, dtype=torch.bool, device=device)
    reader.keep(torch.arange(n_rows, device=device).repeat_interleave(beams))
    logits_XV = logits_BV.repeat_interleave(beams, 0)  # X = B · W
    for step in range(max_new):
        scores_BWV = logits_XV.log_softmax(-1).view(n_rows, beams, n_ids) + live_score_BW[:, :, None]
        score_BK, flat_BK = scores_BWV.flatten(1).topk(min(width, beams * n_ids))
        parent_BK, token_BK = flat_BK // n_ids, flat_BK % n_ids
        candidate_BKM = live_BWM[row_B1, parent_BK]
        candidate_BKM[:, :, step] = token_BK
        ends_BK = (
            torch.isin(token_BK, stop) if step + 1 < max_new else torch.ones_like(token_BK, dtype=torch.bool)
        )

        going_BK = score_BK + ends_BK * LOWEST
        live_score_BW, chosen_BW = going_BK.topk(beams)
        live_BWM, parent_BW = candidate_BKM[row_B1, chosen_BW], parent_BK[row_B1, chosen_BW]

        finishes_BK = ends_BK & (torch.arange(ends_BK.shape[1], device=device) < beams)
        final_BK = score_BK / (step + 1) + ~open_B1 * LOWEST + ~finishes_BK * LOWEST
        done_score_BW, best_BW = torch.cat([done_score_BW, final_BK], 1).topk(beams)
        done_BWM = torch.cat([done_BWM, candidate_BKM], 1)[row_B1, best_BW]
        is_done_BW = torch.cat([is_done_BW, finishes_BK], 1)[row_B1, best_BW]

        worst_B1 = torch.where(is_done_BW, done_score_BW.min(1, keepdim=True).values, LOWEST)
        open_B1 &= (live_score_BW[:, :1] / (step + 1) > worst_B1).any(1, keepdim=True)
        if step + 1 == max_new or not open_B1.any():
            break
        reader.keep((parent_BW + row_B1 * beams).flatten())
        logits_XV = reader.read(live_BWM[:, :, step].reshape(-1, 1))
    return done_BWM[:, 0]
