"""The recipe's section of the network: its shape."""

from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator
from workbench_models import ModelShape, load_preset

from workbench.worlds.sections import Section

SHAPE_KEYS = (
    "n_layers", "d_model", "n_heads", "max_length", "mlp_ratio", "tied", "experts", "active_experts",
)  # fmt: skip


class ModelRecipe(Section):
    """What is trained; `preset` gives the shape and the other keys override it."""

    preset: str = "tiny"
    architecture: Literal["gpt2", "gpt2-rotary", "llama", "mistral", "mixtral", "gbert"] = "gpt2-rotary"
    n_layers: int | None = Field(None, gt=0)
    d_model: int | None = Field(None, gt=0)
    n_heads: int | None = Field(None, gt=0)
    max_length: int | None = Field(None, gt=0)
    mlp_ratio: float | None = Field(
        None,
        ge=0,
        description="inner width of the feed-forward part in widths: 1 = a quarter of GPT-2's, 0 = none",
    )
    tied: bool | None = Field(None, description="input and output embedding are one matrix; default: yes")
    experts: int | None = Field(
        None, gt=1, description="architecture `mixtral`: how many experts; default: 8"
    )
    active_experts: int | None = Field(None, gt=1, description="how many of them read a token; default: 2")
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check_shape(self) -> "ModelRecipe":
        _ = self.shape  # an impossible one is refused here, before any work
        if self.architecture != "mixtral" and (self.experts or self.active_experts):
            raise ValueError(f"experts belong to architecture 'mixtral', not to {self.architecture!r}")
        return self

    @property
    def shape(self) -> ModelShape:
        """The preset's shape with this recipe's own keys in place of the preset's."""
        own = {key: getattr(self, key) for key in SHAPE_KEYS}
        preset = load_preset(self.preset, self.architecture)
        return replace(preset, **{key: value for key, value in own.items() if value is not None})
