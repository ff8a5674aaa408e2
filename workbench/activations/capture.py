"""Read activations with thin forward hooks: `with capture(model, sites) as acts: acts.run(ids)`.

Shapes: B batch, T tokens, D width, H heads, P positions.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from workbench_models import ModelError, Place, Site, locate, parse_site, parse_sites, text_config
from workbench_models.errors import nearest_names

from workbench.activations.given_tokens import numbers_behind, require_places
from workbench.activations.tail import find_tail
from workbench.errors import WorkbenchError, as_sentence

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel


class _AllRead(Exception):
    """Raised inside a forward pass when every site has been read, to skip what follows."""


class Capture(Mapping[str, "torch.Tensor"]):
    """The vectors of the latest forward pass by site; what `capture` hands out. Its hooks live inside `with`.

    A site is looked up by short form or hook name. Shapes: [B, T, D]; `q k v z` [B, T, H, D/H]; `pattern`
    [B, H, T, T] (query, key); `mlp_pre`, `mlp_post` [B, T, neurons]; a module path as the module gives it.
    After `run(…, positions=…)` axis T is P, and `pattern` is [B, P, H, T] (the queries asked for).

    The tensors are the network's own, not copies: they carry gradients where the forward pass did.
    """

    def __init__(self, model: "PreTrainedModel", sites: str | Iterable[str | Site]) -> None:
        if not hasattr(model, "base_model"):
            raise WorkbenchError(
                f"capture hooks a model in memory, and this is a {type(model).__name__}; load one with "
                "load_model(RUN_OR_CHECKPOINT)."
            )
        config = model.config
        try:
            self.sites = parse_sites(sites, int(getattr(text_config(config), "num_hidden_layers", 0) or 0))
            self._places = {site: locate(site, config) for site in self.sites}
        except ModelError as error:
            raise WorkbenchError(as_sentence(error)) from error
        self._model = model
        self._modules = {site: find_module(model, site, place) for site, place in self._places.items()}
        self._root = model if reaches_head(model, self.sites) else model.base_model
        self._tail = find_tail(model, self.sites)
        self._tensors: dict[str, torch.Tensor] = {}
        self._positions: torch.Tensor | None = None
        self._before: torch.Tensor | None = None
        self._expected: tuple[int, int] | None = None  # texts and tokens of the pass that runs
        self._stop = self._shorten = False
        self._hooks: list[Any] = []
        self._attention_before: str | None = None

    def __enter__(self) -> Self:
        if any(site.kind == "pattern" for site in self.sites):
            # Only written-out attention has its pattern; everything else stays on the faster kernel.
            before = self._model.config._attn_implementation
            if before != "eager":
                self._attention_before = before
                self._model.set_attn_implementation("eager")
        for site, place in self._places.items():
            module = self._modules[site]
            if place.side == "input":
                hook = module.register_forward_pre_hook(self._on_input(site, place), with_kwargs=True)
            else:
                hook = module.register_forward_hook(self._on_output(site, place))
            self._hooks.append(hook)
        if self._tail is not None:
            # After the hooks above, so that the heads' outputs have been kept when the pass is cut short.
            block, writer = self._tail.block, self._tail.writer
            self._hooks.append(block.register_forward_pre_hook(self._enter_tail, with_kwargs=True))
            self._hooks.append(writer.register_forward_pre_hook(self._finish_tail))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()
        if self._attention_before is not None:
            self._model.set_attn_implementation(self._attention_before)
            self._attention_before = None

    def run(
        self,
        ids: "torch.Tensor",
        attention_mask: "torch.Tensor | None" = None,
        *,
        positions: "torch.Tensor | None" = None,
        stop_after_last: bool = True,
    ) -> Self:
        """One forward pass without the output head, ended as soon as the last site asked for has been read.

        ids:             [B, T] token ids.
        attention_mask:  [B, T], 1 for tokens and 0 for padding; only a bidirectional model needs it where
                         padding is on the right and padded tokens are not read. Where padding is on the left, tokens
                         are numbered from the first that is none, as without padding (GPT-2 has a vector for each).
        positions:       [B, P] token positions to keep, each from 0 to T - 1 (the -1 of a reading, "no such place", is
                         none); everything else is dropped inside the hooks, so a
                         batch never holds whole sequences, and the last block's feed-forward part, the
                         dearest, runs at these tokens alone (see tail.py).
        stop_after_last: False runs all blocks in full, for module paths called more than once in a pass.
        """
        require_places(ids, positions)
        self._tensors, self._positions, self._stop = {}, positions, stop_after_last
        self._expected = (ids.shape[0], ids.shape[1])
        few = positions is not None and 2 * positions.shape[1] <= ids.shape[1]
        self._shorten = stop_after_last and few and not self._model.training
        try:
            self._root(
                input_ids=ids, attention_mask=attention_mask, **numbers_behind(self._root, attention_mask)
            )
        except _AllRead:
            pass
        finally:
            self._positions, self._before, self._stop, self._shorten = None, None, False, False
            self._expected = None
        return self

    def __getitem__(self, site: str | Site) -> "torch.Tensor":
        try:
            found = parse_site(site) if isinstance(site, str) else site
        except ModelError as error:
            raise WorkbenchError(as_sentence(error)) from error
        if found not in self.sites:
            raise KeyError(
                f"site {found.short!r} was not asked for; captured are {', '.join(map(str, self.sites))}"
            )
        if found.short not in self._tensors:
            raise KeyError(
                f"site {found.short!r} has not been read; run a forward pass inside the `with` block first"
            )
        return self._tensors[found.short]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def _on_input(self, site: Site, place: Place) -> Any:
        def hook(module: "nn.Module", args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._keep(site, place, args[0] if args else next(iter(kwargs.values())))

        return hook

    def _on_output(self, site: Site, place: Place) -> Any:
        def hook(module: "nn.Module", args: tuple[Any, ...], output: Any) -> None:
            self._keep(site, place, output)

        return hook

    def _enter_tail(self, module: "nn.Module", args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Remember the residual stream before the last block, at the tokens read."""
        if self._shorten and self._positions is not None:
            self._before = take_tokens(args[0] if args else next(iter(kwargs.values())), self._positions)

    def _finish_tail(self, module: "nn.Module", args: tuple[Any, ...]) -> None:
        """From the heads' outputs on, compute the tokens read and end the pass."""
        if not self._shorten or self._tail is None or self._before is None or self._positions is None:
            return
        heads = take_tokens(args[0], self._positions)
        self._positions, self._stop, self._expected = (
            None,
            False,
            None,
        )  # hooks inside the tail see these tokens alone
        found = self._tail.finish(self._before, heads)
        self._tensors |= {site.short: found[site.short] for site in self.sites if site.short in found}
        raise _AllRead

    def _keep(self, site: Site, place: Place, flow: Any) -> None:
        """Cut the site out of what flows through its module, keep it, and end the pass after the last."""
        # A forward hook's return value would replace the output, so nothing here returns one.
        if site.kind not in ("module", "pattern"):
            self._require_tokens(site, flow[place.item] if isinstance(flow, tuple | list) else flow)
        self._tensors[site.short] = cut_site(site, place, flow, self._positions)
        if self._stop and len(self._tensors) == len(self.sites):
            raise _AllRead

    def _require_tokens(self, site: Site, tensor: Any) -> None:
        """Refuse a state that has not one vector for each token, so that a position would mean another token."""
        found = tuple(getattr(tensor, "shape", ()))[:2]
        if self._expected is not None and found != self._expected:
            raise WorkbenchError(
                f"Site {site.short!r} holds {list(found)} vectors where {list(self._expected)} tokens were read: this "
                "architecture adds or folds tokens, so no vector is a token's; name a module inside it."
            )


def capture(model: "PreTrainedModel", sites: str | Iterable[str | Site]) -> Capture:
    """Hook a model for the length of a `with` block; the hooks are removed however the block ends.

        with capture(model, ["resid_post", "pattern.0"]) as acts:
            acts.run(ids)                    # no output head, stops after the last site
            vectors = acts["resid_post.2"]   # [B, T, D]

    Calling the model itself inside the block fills `acts` too. While a `pattern` is asked for the model runs
    with written-out attention, and its own kernel is put back afterwards.

    Raises WorkbenchError for a site the model does not have, with the nearest names.
    """
    return Capture(model, sites)


def cut_site(site: Site, place: Place, flow: Any, positions: "torch.Tensor | None" = None) -> "torch.Tensor":
    """The site's tensor out of a module's input or output, at token positions [B, P] where they are given."""
    import torch

    tensor = flow[place.item] if isinstance(flow, tuple | list) else flow
    if not isinstance(tensor, torch.Tensor):
        raise WorkbenchError(
            f"Site {site.short!r} gives a {type(tensor).__name__} where a tensor was expected; "
            "name a module inside it whose output is a tensor."
        )
    if place.cut == "q|k|v":
        tensor = _split_heads(tensor.chunk(3, dim=-1)[place.part], place.heads)
    elif place.cut == "heads(q|k|v)":
        tensor = _split_heads(tensor, place.heads).chunk(3, dim=-1)[place.part]
    elif place.cut == "heads":
        tensor = _split_heads(tensor, place.heads)
    if positions is None:
        return tensor
    if site.kind == "pattern":
        tensor = tensor.transpose(1, 2)  # [B, T, H, T]: the query first, like every other site
    if tensor.ndim < 3 or tensor.shape[0] != positions.shape[0]:
        raise WorkbenchError(
            f"Site {site.short!r} has the shape {tuple(tensor.shape)}, which has no token positions; "
            f"expected [{positions.shape[0]}, tokens, …]; name a module whose output has one vector a token."
        )
    return take_tokens(tensor, positions)


def take_tokens(tensor: "torch.Tensor", positions: "torch.Tensor") -> "torch.Tensor":
    """[B, T, …] at token positions [B, P] → [B, P, …]."""
    import torch

    return tensor[torch.arange(tensor.shape[0], device=tensor.device)[:, None], positions]


def _split_heads(tensor: "torch.Tensor", heads: int) -> "torch.Tensor":
    """[B, T, H · width] → [B, T, H, width]."""
    return tensor.reshape(*tensor.shape[:-1], heads, -1)


def reaches_head(model: "PreTrainedModel", sites: Iterable[Site]) -> bool:
    """Whether a site lies outside the base model (such as `module:lm_head`), so that all of it must run."""
    inside = {id(module) for module in model.base_model.modules()}
    return any(id(find_module(model, site, locate(site, model.config))) not in inside for site in sites)


def find_module(model: "PreTrainedModel", site: Site, place: Place) -> "nn.Module":
    """The module of a place, from the base model or, for a module path, from the model itself.

    Raises WorkbenchError where there is no such module, with the nearest paths.
    """
    for root in (model, model.base_model) if site.kind == "module" else (model.base_model,):
        modules: dict[str, nn.Module] = dict(root.named_modules())
        if place.path in modules:
            return modules[place.path]
    names = [name for name, _ in model.named_modules() if name]
    raise WorkbenchError(
        f"Site {site.short!r}: the model has no module {place.path!r}; {nearest_names(place.path, names)}."
    )
