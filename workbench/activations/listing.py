"""Which sites a model has, with the shapes of their vectors: from its config alone, no weights are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench_models import ONE_NETWORK_AT_A_TIME, ModelError, context_length, list_sites, site_axes

from workbench.errors import WorkbenchError, first_line
from workbench.studies.loading import load_config
from workbench.studies.series import as_checkpoint


@dataclass(frozen=True)
class ListedSite:
    """A site and the axes of its vector at one token, such as `head` 4 × `head_width` 32."""

    name: str
    short: str
    axes: tuple[str, ...]
    shape: tuple[int, ...] | None

    @property
    def text(self) -> str:
        """`head 4 × head_width 32`, or the kind of module where no shape is known."""
        if self.shape is None:
            return self.axes[0]
        return " × ".join(f"{axis} {size}".strip() for axis, size in zip(self.axes, self.shape, strict=True))


def list_model_sites(model: str | Path, revision: str = "main") -> list[ListedSite]:
    """The sites of a run's, folder's or hub model; of an unknown architecture all module paths.

    Raises WorkbenchError where there is no readable config.
    """
    config = load_config(as_checkpoint(model)) if Path(model).exists() else _hub_config(str(model), revision)
    try:
        sites = list_sites(config)
    except ModelError:
        return _list_modules(config)
    found = []
    for site in sites:
        axes, shape = site_axes(site, config)
        if site.kind == "pattern":
            axes, shape = (
                (*axes, "key"),
                (*shape, context_length(config) or 0),
            )
        found.append(ListedSite(site.name, site.short, axes, shape))
    return found


def _list_modules(config: Any) -> list[ListedSite]:
    """Every module of an architecture that is not in the table, by the path it can be read under."""
    import torch
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    try:
        with ONE_NETWORK_AT_A_TIME, torch.device("meta"):
            model = loader.from_config(config)
    except ValueError as error:
        raise WorkbenchError(f"This config makes no causal language model ({first_line(error)}).") from error
    return [
        ListedSite(f"module:{name}", f"module:{name}", (type(module).__name__,), None)
        for name, module in model.named_modules()
        if name
    ]


def _hub_config(name: str, revision: str) -> Any:
    """The config of a hub model."""
    from transformers import AutoConfig

    loader: Any = AutoConfig
    try:
        return loader.from_pretrained(name, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise WorkbenchError(
            f"{name!r} is no local folder and its config could not be had from the Hugging Face hub "
            f"({first_line(error)})."
        ) from error
