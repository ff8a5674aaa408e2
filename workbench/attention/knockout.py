"""Knock-out: cut a position's look at a role and see what that costs (Geva et al. 2023, arXiv 2304.14767, sect. 5).

In the chosen blocks the pattern's row of the position gets minus infinity at every token of the role before the
softmax; the weight goes to the tokens left. Cost: probability of the right value's first token without the cut
minus with it. The control cuts as many tokens, drawn at random among those the position sees.

Shapes: B batch, P positions, K keys, W windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples
from workbench.attention.parts import DEEP, open_parts, written_out
from workbench.attention.readout import CellSums, Readout, read_tokens
from workbench.attention.roles import EVERYTHING, GROUPS, NAME_ROLES, RoleLegend
from workbench.errors import WorkbenchError, nearest
from workbench.minutes import Minutes
from workbench.seeds import hash_to_int

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel

    from workbench.attention.queries import QueryPass


MEASURES = (
    "right",
    "probability",
    "clean_right",
    "clean",
    "loss",
    "loss2",
    "loss_control",
    "right_control",
)


def default_cuts(legend: RoleLegend) -> tuple[str, ...]:
    """What is cut where nobody says otherwise: the name and its parts, values together and one by one, the rest."""
    values = (role for role in legend.names if role.startswith("value:"))
    template = ("own_template", "other_template", "separator", "start", EVERYTHING)
    return ("name", *NAME_ROLES, "pronoun", "values", *values, *template)


@dataclass(frozen=True)
class Window:
    """Neighbouring blocks that are cut together; `label` as shown: `all`, `2`, `0-1`."""

    label: str
    blocks: tuple[int, ...]


def make_windows(n_blocks: int, width: int | None = None) -> tuple[Window, ...]:
    """All blocks, then every `width` neighbouring ones (default: a third of the depth, at least one).

    In more than 12 blocks the default windows stand side by side, since each costs passes through the network.
    """
    stride = 1 if width is not None or n_blocks <= DEEP else max(1, n_blocks // 3)
    width = max(1, n_blocks // 3) if width is None else width
    if not 1 <= width <= n_blocks:
        raise WorkbenchError(
            f"A window of {width} blocks does not fit; the model has {n_blocks}: give 1 to {n_blocks}."
        )
    windows = [Window("all", tuple(range(n_blocks)))]
    if width < n_blocks:
        for first in range(0, n_blocks - width + 1, stride):
            blocks = tuple(range(first, first + width))
            windows.append(Window(f"{first}" if width == 1 else f"{first}-{blocks[-1]}", blocks))
    return tuple(windows)


def check_cuts(names: Sequence[str], legend: RoleLegend) -> tuple[str, ...]:
    """Roles, sums of roles or groups that can be cut; an unknown one is refused with the nearest."""
    known = list(dict.fromkeys([*default_cuts(legend), *GROUPS, *legend.names, "template"]))
    for name in names:
        if name not in known:
            raise WorkbenchError(
                f"There is no role {name!r}{nearest(name, known)} (there are {', '.join(known)})."
            )
    return tuple(names)


def measure_knockout(
    model: "PreTrainedModel",
    examples: AttentionExamples,
    *,
    roles: Sequence[str] | None = None,
    windows: Sequence[Window] | None = None,
    heads: Sequence[int] | None = None,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
) -> "xr.Dataset":
    """Accuracy and probability of the next value's first token with each role cut, per (position, attribute).

    Variables over (role, window, position, attribute): accuracy (with the cut), ci_low, ci_high, n,
    accuracy_clean, probability, probability_clean, loss = probability_clean - probability with loss_se, and
    loss_control, accuracy_control (as many random tokens cut). Only entries in which the position sees the role
    count, so an entry without it never dilutes a loss; cells without any are NaN with n = 0. Over all cells (role,
    window): pooled_accuracy with its interval, pooled_loss and pooled_loss_control with _se,
    entities. chance (attribute).

    heads: cut only these heads of each block of a window.
    Raises WorkbenchError for a role no entry has, a head or block out of range.
    """
    from workbench.attention.queries import QueryPass

    parts = open_parts(model)
    legend = examples.legend
    names = default_cuts(legend) if roles is None else check_cuts(roles, legend)
    windows = make_windows(parts.n_blocks) if windows is None else tuple(windows)
    for window in windows:
        parts.check_blocks(window.blocks)
    parts.check_heads(heads)
    sums = CellSums(MEASURES, len(names) * len(windows), examples)
    import torch

    generator = torch.Generator().manual_seed(hash_to_int(seed, "knock-out control") % 2**63)
    minutes = Minutes(
        f"Cutting {len(names)} roles in {len(windows)} windows of blocks",
        "fewer --roles or --entries take less",
    )
    with written_out(model):
        for batch in examples.batches(str(model.device), batch_tokens):
            queries = QueryPass(parts, batch)
            clean = read_tokens(parts, queries.run(), batch.answers_BP)
            minutes.start()
            draws_BPK = torch.rand(queries.visible_BPK.shape, generator=generator).to(batch.ids_BT.device)
            for number, name in enumerate(names):
                cut_BPK = find_cut(queries, name, legend) & queries.visible_BPK
                seen_BP = cut_BPK.any(-1)
                if not bool((seen_BP & batch.present_BP).any()):
                    continue
                control_BPK = draw_control(queries.visible_BPK, cut_BPK, draws_BPK)
                for place, window in enumerate(windows):
                    cut, random = (
                        read_tokens(
                            parts, queries.run(keys, blocks=window.blocks, heads=heads), batch.answers_BP
                        )
                        for keys in (cut_BPK, control_BPK)
                    )
                    row = number * len(windows) + place
                    sums.add(row, batch, seen_BP, **_measures(clean, cut, random))
                    minutes.more(len(batch.rows), len(examples) * len(names) * len(windows))
    absent = [name for number, name in enumerate(names) if not sums.n[number * len(windows)].any()]
    if absent and roles is not None:
        raise WorkbenchError(
            f"No entry has the role {absent[0]!r} before a position; choose among other roles."
        )
    return _to_dataset(sums, names, windows, examples)


def _measures(clean: Readout, cut: Readout, random: Readout) -> "dict[str, torch.Tensor]":
    """What is summed [B, P] of one cut, beside the uncut network and the control."""
    loss_BP = (clean.probability_BP - cut.probability_BP).double()
    return {
        "right": cut.right_BP,
        "probability": cut.probability_BP,
        "clean_right": clean.right_BP,
        "clean": clean.probability_BP,
        "loss": loss_BP,
        "loss2": loss_BP**2,
        "loss_control": clean.probability_BP - random.probability_BP,
        "right_control": random.right_BP,
    }


def find_cut(queries: "QueryPass", name: str, legend: RoleLegend) -> "torch.Tensor":
    """bool [B, P, K]: the keys of a role; `own_template` and `other_template` depend on what comes next."""
    import torch

    roles_BK = queries.roles_BK.clamp(min=0)
    inside_B1K = (queries.roles_BK >= 0)[:, None, :]
    if name in GROUPS and name not in ("name", "values"):
        groups_ARG = torch.from_numpy(legend.group_matrix()).to(roles_BK.device).bool()
        member_AR = groups_ARG[:, :, GROUPS.index(name)]
        member_BPR = member_AR[queries.batch.attribute_BP]
        found_BPK = member_BPR.gather(-1, roles_BK[:, None, :].expand(-1, member_BPR.shape[1], -1))
        return found_BPK & inside_B1K
    chosen = torch.tensor(legend.expand(name), device=roles_BK.device)
    found_BK = torch.isin(queries.roles_BK, chosen)
    return found_BK[:, None, :].expand(-1, queries.visible_BPK.shape[1], -1)


def draw_control(
    visible_BPK: "torch.Tensor", cut_BPK: "torch.Tensor", draws_BPK: "torch.Tensor"
) -> "torch.Tensor":
    """bool [B, P, K]: as many visible keys as are cut, those with the smallest draws."""
    number_BP1 = cut_BPK.sum(-1, keepdim=True)
    order_BPK = draws_BPK.masked_fill(~visible_BPK, 2.0).argsort(-1).argsort(-1)
    return (order_BPK < number_BP1) & visible_BPK


def _to_dataset(
    sums: CellSums, names: tuple[str, ...], windows: Sequence[Window], examples: AttentionExamples
) -> "xr.Dataset":
    import xarray as xr

    shape = (len(names), len(windows))
    dims = ("role", "window", "position", "attribute")

    def unfold(values: np.ndarray) -> Any:
        return dims, values.reshape(*shape, *sums.shape[1:])

    variables: dict[str, Any] = {key: (dims, values) for key, values in sums.accuracy("right", shape).items()}
    for key, name in (
        ("accuracy_clean", "clean_right"),
        ("probability", "probability"),
        ("probability_clean", "clean"),
        ("loss", "loss"),
        ("loss_control", "loss_control"),
        ("accuracy_control", "right_control"),
    ):
        variables[key] = unfold(sums.mean(name))
    variables["loss_se"] = unfold(sums.standard_error("loss", "loss2"))
    variables |= sums.pooled_variables(
        {"accuracy": "right"}, {"loss": "loss", "loss_control": "loss_control"}, dims[:2], shape
    )
    variables["chance"] = ("attribute", examples.chance())
    return xr.Dataset(
        variables,
        coords={
            "role": list(names),
            "window": [window.label for window in windows],
            "position": np.arange(sums.shape[1]),
            "attribute": list(sums.attributes),
        },
    )
