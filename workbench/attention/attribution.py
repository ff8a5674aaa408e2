"""Direct logit attribution: how much each part adds to the right value's logit, straight through the output head.

The final norm is linear once its scale is held at what it was. With d = W_U[right] - mean over the attribute's
candidate first tokens of W_U, the logit difference is the sum over parts c of c · e (plus the norm's own bias), where
e = gain * d / scale, minus its mean where the norm centres (Elhage et al. 2021; Wang et al. 2022, arXiv 2211.00593).

Shapes: B batch, T tokens, P positions, D width, H heads, W head width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from workbench_models import locate, parse_site

from workbench.activations.capture import cut_site
from workbench.attention.examples import Batch
from workbench.attention.parts import Parts, hooks, on_input, on_layer, on_output
from workbench.attention.roles import FIRST_ROLES, NAME_ROLES
from workbench.errors import WorkbenchError
from workbench.tokens.reading import Ints

SAME = 1e-2  # of the logit difference; rounding is far below


@dataclass(frozen=True, eq=False)
class Contributions:
    """What one batch's parts add to the logit difference at its positions.

    heads_LBPH, from_name_LBPH (the part of it that a head carries from name tokens), mlps_LBP, biases_LBP (of the
    heads' shared output matrix), embedding_BP, norm_BP (the final norm's bias); difference_BP is their sum.
    """

    heads_LBPH: torch.Tensor
    from_name_LBPH: torch.Tensor
    mlps_LBP: torch.Tensor
    biases_LBP: torch.Tensor
    embedding_BP: torch.Tensor
    norm_BP: torch.Tensor
    difference_BP: torch.Tensor


def attribute_batch(
    parts: Parts, batch: Batch, candidates: list[Ints], tokens_BP: torch.Tensor
) -> Contributions:
    """Contributions towards `tokens_BP` over the mean of the next attribute's candidates. Attention written out.

    Raises WorkbenchError where they do not add up to the difference, as in an architecture that puts norms or factors
    between a part and the residual stream.
    """
    blocks = range(parts.n_blocks)
    seen: dict[tuple[str, int], Any] = {}

    def keep(kind: str, block: int, cut: Any = batch.at_positions) -> Any:
        def change(flow: Any) -> None:
            seen[kind, block] = cut(flow)

        return change

    def pattern_rows(output: Any) -> torch.Tensor:
        return batch.at_positions(output[1].transpose(1, 2))

    edits = [on_layer(parts, 0, keep("state", 0)), on_layer(parts, parts.n_blocks, keep("state", -1))]
    for block in blocks:
        edits += [
            on_input(parts.writers[block], keep("z", block)),
            on_output(parts.mlp[block], keep("mlp", block)),
            on_output(parts.attention[block], keep("pattern", block, pattern_rows)),
            on_output(parts.values[block], keep("v", block, _cut_values(parts, block))),
        ]
    with hooks(*edits):
        final_BTD = parts.states(batch.ids_BT)
    direction_BPD = find_direction(parts, batch, candidates, tokens_BP)
    through_BPD, norm_BP = pull_back(parts, seen["state", -1], direction_BPD)
    names = torch.tensor([FIRST_ROLES.index(role) for role in NAME_ROLES], device=batch.roles_BT.device)
    named_BT = torch.isin(batch.roles_BT, names)
    heads, from_name, biases, mlps = [], [], [], []
    for block in blocks:
        towards_BPHW = torch.einsum("bpd,hwd->bphw", through_BPD, parts.writer_weights(block))
        heads.append((parts.head_outputs(seen["z", block]) * towards_BPHW).sum(-1))
        name_BPHT = seen["pattern", block] * named_BT[:, None, None, :]
        carried_BPHW = torch.einsum("bpht,bthw->bphw", name_BPHT, seen["v", block])
        from_name.append((carried_BPHW * towards_BPHW).sum(-1))
        mlps.append((seen["mlp", block] * through_BPD).sum(-1))
        bias: Any = parts.writers[block].bias
        biases.append(torch.zeros_like(mlps[-1]) if bias is None else through_BPD @ bias)
    found = Contributions(
        torch.stack(heads),
        torch.stack(from_name),
        torch.stack(mlps),
        torch.stack(biases),
        (seen["state", 0] * through_BPD).sum(-1),
        norm_BP,
        (batch.at_positions(final_BTD) * direction_BPD).sum(-1),
    )
    _require_sum(parts, found, batch)
    return found


def _require_sum(parts: Parts, found: Contributions, batch: Batch) -> None:
    sum_BP = found.heads_LBPH.sum((0, 3)) + found.mlps_LBP.sum(0) + found.biases_LBP.sum(0)
    apart_BP = (sum_BP + found.embedding_BP + found.norm_BP - found.difference_BP)[batch.present_BP].float()
    size = found.difference_BP[batch.present_BP].float().norm().clamp_min(1e-3)
    if not float(apart_BP.norm() / size) <= SAME:
        raise WorkbenchError(
            f"In the architecture {parts.model.config.model_type!r} what heads and feed-forward parts add does not sum "
            "up to the logits (norms or factors stand between them and the residual stream), so no head has a direct "
            "share; use --what lens or ablation."
        )


def find_direction(
    parts: Parts, batch: Batch, candidates: list[Ints], tokens_BP: torch.Tensor
) -> torch.Tensor:
    """[B, P, D]: output direction of each token minus the mean over the next attribute's candidates."""
    weight: Any = parts.head.weight
    means_AD = torch.stack(
        [
            weight[torch.from_numpy(ids.astype("int64")).to(weight.device)].mean(0)
            if len(ids)
            else torch.zeros_like(weight[0])
            for ids in candidates
        ]
    )
    direction: torch.Tensor = weight[tokens_BP] - means_AD[batch.attribute_BP]
    return direction


def pull_back(
    parts: Parts, state_BPD: torch.Tensor, direction_BPD: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The direction before the final norm (its scale held), [B, P, D], and what the norm's bias adds, [B, P]."""
    norm: Any = parts.norm
    centres = isinstance(norm, torch.nn.LayerNorm)
    eps = norm.eps if centres else getattr(norm, "variance_epsilon", getattr(norm, "eps", 0.0))
    centred = state_BPD - state_BPD.mean(-1, keepdim=True) if centres else state_BPD
    scale_BP1 = (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    through_BPD = norm.weight * direction_BPD / scale_BP1
    if centres:
        through_BPD = through_BPD - through_BPD.mean(-1, keepdim=True)
    bias = getattr(norm, "bias", None)
    added_BP = torch.zeros_like(scale_BP1[..., 0]) if bias is None else direction_BPD @ bias
    return through_BPD, added_BP


def _cut_values(parts: Parts, block: int) -> Any:
    """What a value module gives → [B, T, H, W]; grouped key-value heads are repeated for their queries."""
    site = parse_site(f"v.{block}")
    place = locate(site, parts.model.config)

    def cut(flow: Any) -> torch.Tensor:
        values_BTHW = cut_site(site, place, flow)
        return values_BTHW.repeat_interleave(parts.n_heads // values_BTHW.shape[2], dim=2)

    return cut
