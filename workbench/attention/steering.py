"""Steering: push a residual along a probe's direction from the own value to another, and see what is stated.

A probe that reads a value shows that it is there; where pushing along the probe's own direction changes what the
model states, that direction is also what the model uses. Besides `probe` (its weights for the other value minus
those for the own) the state is pushed from mean to mean (`means`) and, as a baseline, in a `random` direction. A
push has `strength` times the length of the residual it is added to, so all directions are equally long.

Shapes: B batch, T tokens, P positions, D width, L layers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples, Batch
from workbench.attention.head_scores import draw_wrong
from workbench.attention.parts import Parts, hooks, on_layer, open_parts, spread_layers, written_out
from workbench.attention.readout import CellSums, read_tokens
from workbench.errors import WorkbenchError
from workbench.minutes import Minutes
from workbench.seeds import hash_to_int, make_rng

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel

    from workbench.attention.directions import ValueDirections

DIRECTIONS: tuple[str, ...] = ("probe", "means", "random")
STRENGTHS = (0.5, 1.0, 2.0)


def measure_steering(
    model: "PreTrainedModel",
    examples: AttentionExamples,
    train: AttentionExamples,
    *,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
) -> "xr.Dataset":
    """How often the model states another value once a residual is pushed towards it, by layer and attribute.

    train: entries of other entities, on which the probes are fitted. The name's last token is pushed at every
    mention, a position's own token at that position alone; the other value is drawn among those of the train entities.

    Variables over (place, direction, layer, strength, attribute): accuracy = share of entries in which the other
    value's first token becomes the likeliest, ci_low, ci_high, n, own (share that still state the own value),
    probability (of the other's) and probability_own, probe_follows (share in which the probe reads the other value
    in the pushed state); over (place, layer, attribute): probe_accuracy on these entries, means_apart, the distance of
    two values' means over the residual's length; accuracy_clean, probability_clean (attribute): the other value
    without a push; residual_norm (place, layer); pooled_accuracy, pooled_own over attributes, with intervals by entity.
    Empty at the last layer for the name: nothing reads its token there. In more than 12 blocks about 12 layers.

    Raises WorkbenchError for an entity in both halves, or strengths that are not positive.
    """
    from workbench.attention.directions import fit_directions

    both = np.intersect1d(examples.entities, train.entities)
    if len(both):
        raise WorkbenchError(
            f"Entity {both[0]} is among the train entities and among those steered; split by entity."
        )
    if not strengths or min(strengths) <= 0:
        raise WorkbenchError(f"strengths are {tuple(strengths)}; expected one or more numbers above 0.")
    parts = open_parts(model)
    layers = spread_layers(parts.n_blocks)
    minutes = Minutes(f"Steering at {len(layers)} layers", "fewer --entries take less")
    sums = _Sums(parts, tuple(strengths), examples)
    rng = make_rng(seed, "steered values")
    with written_out(model):
        directions = fit_directions(parts, train, layers=layers, seed=seed, batch_tokens=batch_tokens)
        for number, batch in enumerate(examples.batches(str(model.device), batch_tokens)):
            steered = _Steered(
                parts, batch, directions, sums, rng, hash_to_int(seed, "random pushes", number)
            )
            minutes.start()
            steered.run(layers, minutes, len(examples))
    return sums.to_dataset().sel(layer=list(layers))


class _Sums:
    """What is summed up over batches: pushes by condition, probes by (place, layer), the untouched model."""

    def __init__(self, parts: Parts, strengths: tuple[float, ...], examples: AttentionExamples) -> None:
        from workbench.attention.directions import STEERED

        self.strengths, self.attributes = strengths, examples.schema.keys
        self.places, self.n_layers = STEERED, parts.n_blocks + 1
        self.shape = (len(STEERED), len(DIRECTIONS), self.n_layers, len(strengths))
        measures = ("other", "own", "p_other", "p_own", "follows")
        self.pushes = CellSums(measures, int(np.prod(self.shape)), examples)
        self.probes = CellSums(("right", "apart", "norm"), len(STEERED) * self.n_layers, examples)
        self.clean = CellSums(("other", "p_other"), 1, examples)

    def to_dataset(self) -> "xr.Dataset":
        import xarray as xr

        def by_attribute(sums: CellSums, name: str, shape: tuple[int, ...]) -> np.ndarray:
            total, n = sums.total[name].sum(1), sums.n.sum(1)
            return np.where(n > 0, total / np.maximum(n, 1), np.nan).reshape(*shape, len(self.attributes))

        from workbench.results.statistics import wilson_interval

        dims = ("place", "direction", "layer", "strength", "attribute")
        n = self.pushes.n.sum(1)
        low, high = wilson_interval(self.pushes.total["other"].sum(1), n)
        full = (*self.shape, len(self.attributes))
        variables: dict[str, Any] = {
            "accuracy": (dims, by_attribute(self.pushes, "other", self.shape)),
            "ci_low": (dims, low.reshape(full)),
            "ci_high": (dims, high.reshape(full)),
            "n": (dims, n.reshape(full)),
        }
        for key, name in (
            ("own", "own"),
            ("probability", "p_other"),
            ("probability_own", "p_own"),
            ("probe_follows", "follows"),
        ):
            variables[key] = (dims, by_attribute(self.pushes, name, self.shape))
        shares = {"accuracy": "other", "own": "own"}
        variables |= self.pushes.pooled_variables(shares, {}, dims[:-1], self.shape)
        places = (len(self.places), self.n_layers)
        for key, name in (("probe_accuracy", "right"), ("means_apart", "apart")):
            variables[key] = (("place", "layer", "attribute"), by_attribute(self.probes, name, places))
        variables["residual_norm"] = (("place", "layer"), self.probes.pooled("norm")[0].reshape(places))
        variables["accuracy_clean"] = ("attribute", by_attribute(self.clean, "other", (1,))[0])
        variables["probability_clean"] = ("attribute", by_attribute(self.clean, "p_other", (1,))[0])
        coords: dict[str, Any] = {
            "place": list(self.places),
            "direction": list(DIRECTIONS),
            "layer": np.arange(self.n_layers),
            "strength": list(self.strengths),
            "attribute": list(self.attributes),
        }
        return xr.Dataset(variables, coords=coords)


class _Steered:
    """One batch: the other values, the states to push, and the runs that follow."""

    def __init__(
        self,
        parts: Parts,
        batch: Batch,
        directions: "dict[tuple[str, int], ValueDirections]",
        sums: _Sums,
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        import torch

        from workbench.attention.directions import NAME, first_name_end, last_of_name
        from workbench.attention.interchange import residuals
        from workbench.attention.queries import QueryPass

        self.parts, self.batch, self.directions, self.sums = parts, batch, directions, sums
        known = [
            directions[NAME, a].tokens_C if (NAME, a) in directions else np.empty(0, np.int64)
            for a in range(len(sums.attributes))
        ]
        self.other_BP = draw_wrong(batch, known, rng)
        self.queries = QueryPass(parts, batch)
        self.states_LBTD, _ = residuals(parts, batch)
        self.ends_BT = last_of_name(batch.roles_BT)
        self.end_B, self.has_name_B = first_name_end(batch)
        generator = torch.Generator().manual_seed(seed % 2**63)
        shape = (*batch.positions_BP.shape, self.states_LBTD.shape[-1])
        random_BPD = torch.randn(shape, generator=generator).to(self.states_LBTD)
        self.random_BPD = torch.nn.functional.normalize(random_BPD, dim=-1)

    def run(self, layers: Sequence[int], minutes: Minutes, n_entries: int) -> None:
        """All pushes of this batch at some layers, added to the sums; there are `n_entries` in all batches."""
        clean = read_tokens(self.parts, self.queries.clean_BPD, self.other_BP)
        changed_BP = self.batch.present_BP & (self.other_BP != self.batch.answers_BP)
        self.sums.clean.add(0, self.batch, changed_BP, other=clean.right_BP, p_other=clean.probability_BP)
        for p, place in enumerate(self.sums.places):
            for layer in layers:
                self._push_all(p, place, layer, changed_BP)
                minutes.more(len(self.batch.rows), n_entries * len(self.sums.places) * len(layers))

    def _push_all(self, p: int, place: str, layer: int, changed_BP: "torch.Tensor") -> None:
        from workbench.attention.directions import NAME

        states_BPD = self._states(place, layer)
        own, other, reads, apart = self._classes(place, layer, states_BPD)
        keep_BP = changed_BP & (own >= 0) & (other >= 0)
        if place == NAME:  # of its mentions, those before the position
            keep_BP = keep_BP & (self.ends_BT[:, None] & self.batch.visible_BPT()).any(-1)
        length_BP = states_BPD.norm(dim=-1)
        self.sums.probes.add(
            p * self.sums.n_layers + layer,
            self.batch,
            keep_BP,
            right=reads == own,
            apart=apart / length_BP,
            norm=length_BP,
        )
        if place == NAME and layer == self.parts.n_blocks:
            return
        for d, kind in enumerate(DIRECTIONS):
            unit_BPD = self._units(kind, place, layer, own, other)
            for s, strength in enumerate(self.sums.strengths):
                pushed_BPD = states_BPD + strength * length_BP[..., None] * unit_BPD
                _, _, after, _ = self._classes(place, layer, pushed_BPD)
                if place == NAME:
                    final_BPD = self._continue_from_name(layer, strength, unit_BPD)
                else:
                    final_BPD = self.queries.run(replace=(layer, pushed_BPD))
                towards = read_tokens(self.parts, final_BPD, self.other_BP)
                still = read_tokens(self.parts, final_BPD, self.batch.answers_BP)
                self.sums.pushes.add(
                    int(np.ravel_multi_index((p, d, layer, s), self.sums.shape)),
                    self.batch,
                    keep_BP,
                    other=towards.right_BP,
                    own=still.right_BP,
                    p_other=towards.probability_BP,
                    p_own=still.probability_BP,
                    follows=after == other,
                )

    def _states(self, place: str, layer: int) -> "torch.Tensor":
        """[B, P, D]: what is pushed for each position: its own token, or the name's last token for all alike."""
        import torch

        from workbench.attention.directions import NAME

        states_BTD = self.states_LBTD[layer]
        if place != NAME:
            return self.batch.at_positions(states_BTD)
        rows_B = torch.arange(len(states_BTD), device=states_BTD.device)
        return states_BTD[rows_B, self.end_B][:, None].expand(-1, self.batch.positions_BP.shape[1], -1)

    def _classes(self, place: str, layer: int, states_BPD: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
        """[B, P]: the own and the other value's number (-1 unknown), what the probe reads, the means' distance."""
        import torch

        batch = self.batch
        own, other, reads = (np.full(batch.answers_BP.shape, -1) for _ in range(3))
        apart = np.full(own.shape, np.nan)
        attributes, right = batch.attribute_BP.cpu().numpy(), batch.answers_BP.cpu().numpy()
        wrong = self.other_BP.cpu().numpy()
        for number in range(len(self.sums.attributes)):
            found = self.directions.get((place, number))
            here = attributes == number
            if found is None or not here.any():
                continue
            own[here], other[here] = found.find(right[here]), found.find(wrong[here])
            reads[here] = found.read(layer, states_BPD[torch.from_numpy(here).to(states_BPD.device)])
            apart[here] = found.apart(layer, own[here], other[here]).cpu().numpy()
        return tuple(torch.from_numpy(values).to(states_BPD.device) for values in (own, other, reads, apart))

    def _units(
        self, kind: str, place: str, layer: int, own: "torch.Tensor", other: "torch.Tensor"
    ) -> "torch.Tensor":
        """[B, P, D]: which way to push, length 1."""
        import torch

        if kind == "random":
            return self.random_BPD
        unit_BPD = torch.zeros_like(self.random_BPD)
        for number in range(len(self.sums.attributes)):
            here_BP = (self.batch.attribute_BP == number) & (own >= 0) & (other >= 0)
            found = self.directions.get((place, number))
            if found is not None and bool(here_BP.any()):
                values = (own[here_BP].cpu().numpy(), other[here_BP].cpu().numpy())
                unit_BPD[here_BP] = found.towards(kind, layer, *values).to(unit_BPD.dtype)
        return unit_BPD

    def _continue_from_name(self, layer: int, strength: float, unit_BPD: "torch.Tensor") -> "torch.Tensor":
        """[B, P, D] after the final norm: each position after a run in which the name was pushed for its attribute."""
        import torch

        final_BPD = torch.zeros_like(unit_BPD)
        for p in np.flatnonzero(self.batch.present_BP.any(0).cpu().numpy()):
            at_B = self.batch.positions_BP[:, p]
            width = int(at_B.max()) + 1  # nothing behind the position is needed

            def push(
                flow: "torch.Tensor", unit_BD: "torch.Tensor" = unit_BPD[:, p], width: int = width
            ) -> "torch.Tensor":
                added: torch.Tensor = strength * flow.norm(dim=-1, keepdim=True) * unit_BD[:, None]
                return flow + added * self.ends_BT[:, :width, None]

            with hooks(on_layer(self.parts, layer, push)):
                final_BTD = self.parts.states(self.batch.ids_BT[:, :width])
            final_BPD[:, p] = final_BTD[torch.arange(len(at_B), device=at_B.device), at_B]
        return final_BPD
