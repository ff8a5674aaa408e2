"""Weights of one step in the folder of another: found by value, whatever their header, precision or sharding.

Public series have shipped a shard of the step before, or one matrix of it, under names and sizes that fit.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from workbench.studies.checkpoints import Checkpoint
from workbench.studies.headers import FLOATS, joint_header
from workbench.studies.loading import iterate_tensors

if TYPE_CHECKING:
    import torch

SAMPLED = 64
# Half a unit in the last place of what a number was rounded to, relative to it, with room for a second rounding.
_ROUNDING = {"F64": 0.0, "F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7}
_SMALLEST = 2.0**-24  # of float16, below which its numbers have an absolute error


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some values of a tensor, always of the same places; `stored` is its type on disk."""

    stored: str
    values: "torch.Tensor"


def find_shared_weights(series: Sequence[Checkpoint]) -> list[str]:
    """Pairs of checkpoints that hold the same matrices, one sentence each.

    Two matrices are the same if every number of one is the other's, rounded to the coarser precision. A matrix that
    all checkpoints share (of three at least) is frozen, and one that holds a single number is no evidence.
    """
    samples = [_samples_of(checkpoint) for checkpoint in series]
    digests = [checkpoint.weights_digest for checkpoint in series]
    shared: dict[tuple[int, int], list[str]] = {}
    for a, b in combinations(range(len(series)), 2):
        alike = [
            name
            for name in samples[a].keys() & samples[b].keys()
            if _same(samples[a][name], samples[b][name])
        ]
        if alike:
            shared[a, b] = sorted(_equal_in_full(series[a], series[b], alike, samples[a], samples[b]))
    frozen = _frozen(shared, len(series))
    faults = []
    for (a, b), names in shared.items():
        moving = [name for name in names if name not in frozen]
        matrices = len(samples[a].keys() - frozen)
        labels = f"{series[a].label}, {series[b].label}"
        if moving and len(moving) == matrices:
            same = (
                "very same weights" if digests[a] == digests[b] else "same matrices: one is of another step"
            )
            faults.append(f"{labels} hold the {same}")
        elif moving:
            faults.append(
                f"{labels} share {len(moving)} of {matrices} matrices, such as {moving[0]}: "
                "one holds weights of another step"
            )
    return faults


def _frozen(shared: Mapping[tuple[int, int], list[str]], members: int) -> set[str]:
    """Matrices that all members share."""
    pairs: dict[str, int] = defaultdict(int)
    for names in shared.values():
        for name in names:
            pairs[name] += 1
    return {name for name, found in pairs.items() if members > 2 and found == members * (members - 1) // 2}


def _samples_of(checkpoint: Checkpoint) -> dict[str, _Sample]:
    """Tensor → sample, of the matrices that hold more than one number."""
    header = joint_header(checkpoint)
    wanted = {name for name, (stored, shape) in header.items() if stored in FLOATS and len(shape) > 1}
    found = {}
    for name, tensor in iterate_tensors(checkpoint, dict.fromkeys(wanted)):
        flat = tensor.flatten()
        if len(flat) > 1 and bool((flat != flat[0]).any()):
            step = max(1, len(flat) // SAMPLED)
            found[name] = _Sample(header[name][0], flat[::step].double())
    return found


def _same(one: _Sample, two: _Sample) -> bool:
    """Whether two samples are one matrix's, up to the coarser rounding."""
    return one.values.shape == two.values.shape and _within(one.values, two.values, one.stored, two.stored)


def _within(one: "torch.Tensor", two: "torch.Tensor", stored_one: str, stored_two: str) -> bool:
    import torch

    if stored_one == stored_two:
        return bool(torch.equal(one, two))
    relative = max(_ROUNDING[stored_one], _ROUNDING[stored_two])
    absolute = _SMALLEST if "F16" in (stored_one, stored_two) else 0.0
    return bool(torch.allclose(one.double(), two.double(), rtol=relative, atol=absolute))


def _equal_in_full(
    one: Checkpoint,
    two: Checkpoint,
    names: Sequence[str],
    of_one: Mapping[str, Any],
    of_two: Mapping[str, Any],
) -> list[str]:
    """Of matrices whose samples agree those that agree everywhere."""
    held = dict(iterate_tensors(one, dict.fromkeys(names)))
    return [
        name
        for name, tensor in iterate_tensors(two, dict.fromkeys(names))
        if tensor.shape == held[name].shape
        and _within(held[name], tensor, of_one[name].stored, of_two[name].stored)
    ]
