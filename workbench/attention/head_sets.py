"""Are the heads with the highest scores worth more than others? Together, against as many drawn at random.

The top heads of each score (a quarter of all heads) are taken away together, replaced by their mean output, or only
their look at the name is cut; the same is done to as many random heads, several times. A score that names the heads
that matter costs more than the random draws do.

Shapes: L blocks, H heads, B batch, P positions.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.ablation import mean_outputs, replace_head
from workbench.attention.examples import BATCH_TOKENS, AttentionExamples
from workbench.attention.knockout import find_cut
from workbench.attention.parts import Parts, hooks
from workbench.attention.readout import CellSums, read_tokens
from workbench.minutes import Minutes
from workbench.seeds import make_rng

if TYPE_CHECKING:
    import torch
    import xarray as xr

SHARE, DRAWS = 0.25, 5
Heads = tuple[tuple[int, int], ...]


def choose_head_sets(scores: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, Heads]:
    """Score → its top heads, (block, head) each; then `random 0`, `random 1`, …: as many, drawn among all heads."""
    n_blocks, n_heads = next(iter(scores.values())).shape
    number = max(1, round(SHARE * n_blocks * n_heads))
    sets = {name: _named(np.argsort(-values.ravel())[:number], n_heads) for name, values in scores.items()}
    rng = make_rng(seed, "random heads")
    for draw in range(DRAWS):
        sets[f"random {draw}"] = _named(rng.permutation(n_blocks * n_heads)[:number], n_heads)
    return sets


def measure_head_sets(
    parts: Parts,
    examples: AttentionExamples,
    sets: Mapping[str, Heads],
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> "xr.Dataset":
    """What sets of heads are worth together. Attention must be written out.

    Variables over (head_set, attribute): ablated_loss, ablated_accuracy (outputs replaced by the means), cut_loss,
    cut_accuracy (their look at the name cut); over head_set: pooled_ablated_loss and pooled_cut_loss with _se by
    entity, set_heads (`1.0 2.3`: block and head).
    """
    import xarray as xr

    from workbench.attention.queries import QueryPass

    ablated, cut = (CellSums(("loss", "right"), len(sets), examples) for _ in range(2))
    heads_LHW, _ = mean_outputs(parts, examples, batch_tokens)
    minutes = Minutes("Taking away sets of heads", "fewer --entries take less")
    for batch in examples.batches(str(parts.model.device), batch_tokens):
        minutes.start()
        queries = QueryPass(parts, batch)
        clean = read_tokens(parts, queries.clean_BPD, batch.answers_BP)
        name_BPK = find_cut(queries, "name", examples.legend) & queries.visible_BPK
        for number, heads in enumerate(sets.values()):
            edits = [replace_head(parts, block, head, heads_LHW[block, head]) for block, head in heads]
            with hooks(*edits):
                without_BPD = batch.at_positions(parts.states(batch.ids_BT))
            by_block = {block: [h for b, h in heads if b == block] for block, _ in heads}
            cut_BPD = queries.run(name_BPK, blocks=by_block, heads=by_block)
            for sums, states_BPD in ((ablated, without_BPD), (cut, cut_BPD)):
                read = read_tokens(parts, states_BPD, batch.answers_BP)
                loss_BP: torch.Tensor = clean.probability_BP - read.probability_BP
                sums.add(number, batch, batch.present_BP, loss=loss_BP, right=read.right_BP)
            minutes.more(len(batch.rows), len(examples) * len(sets))
    variables: dict[str, Any] = {
        "set_heads": ("head_set", [" ".join(f"{b}.{h}" for b, h in heads) for heads in sets.values()])
    }
    for name, sums in (("ablated", ablated), ("cut", cut)):
        n = sums.n.sum(1)
        for measure, word in (("loss", "loss"), ("right", "accuracy")):
            mean = np.where(n > 0, sums.total[measure].sum(1) / np.maximum(n, 1), np.nan)
            variables[f"{name}_{word}"] = (("head_set", "attribute"), mean)
        found = sums.pooled_variables({}, {f"{name}_loss": "loss"}, ("head_set",), (len(sets),))
        variables |= {key: value for key, value in found.items() if key != "entities"}
    return xr.Dataset(variables, coords={"head_set": list(sets), "attribute": list(examples.schema.keys)})


def _named(numbers: np.ndarray, n_heads: int) -> Heads:
    return tuple(sorted((int(number) // n_heads, int(number) % n_heads) for number in numbers))
