"""Three engines that read the same sites with the same results: own hooks, TransformerLens, nnsight.

    hooks            thin forward hooks; keeps only the positions asked for, stops after the last site
    transformer-lens `run_with_cache` of a TransformerBridge
    nnsight          `tracer.cache` of an NNsight around the base model

They agree to `TOLERANCE` (tests compare them on every architecture). A library is imported only when its
engine is chosen, and works on a copy of the module tree that shares the weights, so the model itself stays as
it was.

Shapes: B batch, T tokens, P positions, H heads.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from workbench_models import Place, Site, is_bidirectional, locate
from workbench_models.errors import nearest_names

from workbench.activations.capture import Capture, capture, cut_site, find_module, reaches_head
from workbench.activations.toolkits import copy_sharing_weights, make_bridge, make_trace
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

EngineName = Literal["hooks", "transformer-lens", "nnsight"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
# Relative to each site's largest entry, in float32: kernels differ in the order of their sums.
TOLERANCE = 1e-5


class Engine(Protocol):
    """Reads batches from one model with the weights it had when the engine was opened."""

    name: EngineName

    def read(
        self, ids: "torch.Tensor", mask: "torch.Tensor", positions: "torch.Tensor"
    ) -> "dict[str, torch.Tensor]":
        """The sites' vectors at token positions, by short form.

        ids, mask: [B, T], padding on the right, mask 1 on tokens. positions: [B, P], each within its text.
        Returns [B, P, …]; a `pattern` is [B, P, H, T].
        """
        ...


@contextlib.contextmanager
def open_engine(name: str, model: "PreTrainedModel", sites: Sequence[Site]) -> "Iterator[Engine]":
    """An engine for the length of a `with` block; the model must be in evaluation mode.

    Raises WorkbenchError for an unknown engine, a library that is not installed, a site the model does not
    have, or a `module:` path with TransformerLens, which knows only its own hook names.
    """
    for site in sites:
        find_module(model, site, locate(site, model.config))
    if name == "hooks":
        with capture(model, sites) as acts:
            yield _HookEngine(model, acts)
    elif name == "transformer-lens":
        yield _LensEngine(model, sites)
    elif name == "nnsight":
        yield _NNsightEngine(model, sites)
    else:
        raise WorkbenchError(f"engine {name!r} does not exist; {nearest_names(name, ENGINES)}.")


class _HookEngine:
    """Own hooks: what `capture` does, batch after batch."""

    name: EngineName = "hooks"

    def __init__(self, model: "PreTrainedModel", acts: Capture) -> None:
        self._acts = acts
        # A causal model never sees padding on its right; without a mask the faster causal kernel runs.
        self._needs_mask = is_bidirectional(model.config)

    def read(
        self, ids: "torch.Tensor", mask: "torch.Tensor", positions: "torch.Tensor"
    ) -> "dict[str, torch.Tensor]":
        self._acts.run(ids, mask if self._needs_mask else None, positions=positions)
        return dict(self._acts)


class _LensEngine:
    """TransformerLens: a bridge whose tensors already have the shapes of its hook names."""

    name: EngineName = "transformer-lens"

    def __init__(self, model: "PreTrainedModel", sites: Sequence[Site]) -> None:
        for site in sites:
            if site.kind == "module":
                raise WorkbenchError(
                    f"Site {site.name!r} is a module path, which TransformerLens does not know; "
                    "use the engine 'hooks' or 'nnsight' for it."
                )
        self._bridge = make_bridge(copy_sharing_weights(model))
        self._bidirectional = is_bidirectional(model.config)
        # The bridge's `hook_normalized` comes before the norm's own weights; what is meant is the norm's
        # output.
        self._hooks = {site: "ln_final.hook_out" if site.kind == "ln_final" else site.name for site in sites}

    def read(
        self, ids: "torch.Tensor", mask: "torch.Tensor", positions: "torch.Tensor"
    ) -> "dict[str, torch.Tensor]":
        wanted = set(self._hooks.values())
        # The bridge of a bidirectional model is causal, silently, unless every mask has all four axes.
        full = mask[:, None, None, :].bool().expand(-1, 1, mask.shape[1], -1) if self._bidirectional else mask
        _, cache = self._bridge.run_with_cache(
            ids, attention_mask=full, names_filter=lambda name: name in wanted, return_type=None
        )
        whole = Place("", "output")
        return {
            site.short: cut_site(site, whole, cache[hook], positions) for site, hook in self._hooks.items()
        }


class _NNsightEngine:
    """nnsight: its cache over the modules of the table, cut as for own hooks."""

    name: EngineName = "nnsight"

    def __init__(self, model: "PreTrainedModel", sites: Sequence[Site]) -> None:
        copied = copy_sharing_weights(model)
        if any(site.kind == "pattern" for site in sites):
            copied.set_attn_implementation("eager")
        root = copied if reaches_head(copied, sites) else copied.base_model
        names = {id(module): name for name, module in root.named_modules()}
        self._places = {site: locate(site, model.config) for site in sites}
        self._paths = {
            site: f"model.{names[id(find_module(copied, site, place))]}"
            for site, place in self._places.items()
        }
        self._traced = make_trace(root)
        self._needs_mask = is_bidirectional(model.config)

    def read(
        self, ids: "torch.Tensor", mask: "torch.Tensor", positions: "torch.Tensor"
    ) -> "dict[str, torch.Tensor]":
        paths = sorted(set(self._paths.values()))
        inputs = any(place.side == "input" for place in self._places.values())
        traced, seen = self._traced, mask if self._needs_mask else None
        with traced.trace(input_ids=ids, attention_mask=seen) as tracer:
            cache = tracer.cache(modules=paths, device=None, detach=False, include_inputs=inputs)
        found = {}
        for site, place in self._places.items():
            visit: Any = cache[self._paths[site]]
            found[site.short] = cut_site(
                site, place, visit.output if place.side == "output" else visit.input, positions
            )
        return found
