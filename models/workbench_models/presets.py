"""The sizes of models this project trains, as plain data: no torch is imported here."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from workbench_models.errors import ModelError, nearest_names

Architecture = Literal["gpt2", "gpt2-rotary", "llama", "mistral", "mixtral", "gbert"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


@dataclass(frozen=True)
class ModelShape:
    """Everything about a model's size; the vocabulary is left out because it belongs to the tokenizer.

    architecture: `gpt2` (learned positions), `gpt2-rotary` (the paper's), `llama` (gated feed-forward part), `mistral`
                  (a wider one, keys and values shared by four heads where they divide), `mixtral` (a mixture of
                  experts) or `gbert` (bidirectional).
    n_layers:     blocks; each adds one attention and one feed-forward update to the residual stream.
    d_model:      width of the residual stream, a multiple of n_heads.
    n_heads:      attention heads; the head width d_model / n_heads must be a multiple of 8 where positions
                  rotate a quarter of it (`gpt2-rotary`, `gbert`) and of 2 where they rotate all (`llama`,
                  `mistral`, `mixtral`).
    max_length:   longest row in tokens; `gpt2` cannot read beyond it at all, the others were not trained to.
    mlp_ratio:    inner width of the feed-forward part in widths d_model; 0 leaves its output bias, or nothing;
                  None is the architecture's own (4; gated: 8/3 and up to the next 64; `mistral` 3.5; an expert 1).
    tied:         whether input and output embedding are one matrix.
    experts:      of `mixtral`: how many; `active_experts` of them read a token. At least 2, because this architecture
                  divides their weights by their sum: a single one would weigh 1, and nothing would teach the router.

    Raises ModelError for a shape no model can have.
    """

    architecture: Architecture
    n_layers: int
    d_model: int
    n_heads: int
    max_length: int
    mlp_ratio: float | None = None
    tied: bool = True
    experts: int = 8
    active_experts: int = 2

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            hint = nearest_names(str(self.architecture), ARCHITECTURES)
            raise ModelError(f"architecture {self.architecture!r} does not exist; {hint}")
        for name in ("n_layers", "d_model", "n_heads", "max_length"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} is {getattr(self, name)}; expected a whole number of at least 1")
        if self.d_model % self.n_heads:
            raise ModelError(
                f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}; "
                f"choose a width such as {self.n_heads * max(1, round(self.d_model / self.n_heads))}"
            )
        if self.mlp_ratio is not None and (self.mlp_ratio < 0 or self.d_mlp != self.mlp_ratio * self.d_model):
            raise ModelError(
                f"mlp_ratio {self.mlp_ratio} of d_model {self.d_model} is no whole number of neurons; "
                f"choose a ratio such as {max(0, round(self.mlp_ratio * self.d_model)) / self.d_model:g}"
            )
        if self.mlp_ratio == 0 and self.architecture in ("gpt2", "mixtral"):
            other = "gpt2-rotary" if self.architecture == "gpt2" else "llama"
            raise ModelError(
                f"mlp_ratio 0 does not work in {self.architecture}, whose layers cannot be empty; use {other}"
            )
        if not 2 <= self.active_experts <= self.experts:
            raise ModelError(
                f"active_experts is {self.active_experts} of {self.experts} experts; expected 2 to {self.experts}"
            )
        unit = {"gpt2": 1, "llama": 2, "mistral": 2, "mixtral": 2}.get(self.architecture, 8)
        if self.d_head % unit:
            raise ModelError(
                f"head width {self.d_head} (d_model {self.d_model} / n_heads {self.n_heads}) cannot "
                f"rotate in pairs; {self.architecture} needs a multiple of {unit}: change d_model or n_heads"
            )

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def d_mlp(self) -> int:
        """Inner width of the feed-forward part, or of one expert."""
        if self.mlp_ratio is not None:
            return round(self.mlp_ratio * self.d_model)
        if self.architecture == "llama":
            # Three matrices of 8/3 D weigh as much as GPT-2's two of 4 D; hardware likes multiples of 64.
            return -(-8 * self.d_model // 3 // 64) * 64
        return round({"mistral": 3.5, "mixtral": 1.0}.get(self.architecture, 4.0) * self.d_model)

    @property
    def n_key_value_heads(self) -> int:
        """Heads of keys and values: `mistral` shares them among the heads, as Part 3.3 does."""
        if self.architecture != "mistral":
            return self.n_heads
        return next(groups for groups in (4, 2, 1) if self.n_heads % groups == 0)


PRESETS: dict[str, ModelShape] = {
    "tiny": ModelShape("gpt2-rotary", n_layers=3, d_model=128, n_heads=4, max_length=128),
    "small": ModelShape("gpt2-rotary", n_layers=8, d_model=512, n_heads=8, max_length=512),
    "paper": ModelShape("gpt2-rotary", n_layers=12, d_model=768, n_heads=12, max_length=512),
    "paper-bioR": ModelShape("gpt2-rotary", n_layers=12, d_model=1280, n_heads=20, max_length=512),
}


def load_preset(name: str, architecture: Architecture | None = None) -> ModelShape:
    """The named size, with another architecture where one is given.

    Raises ModelError for an unknown name, offering the nearest.
    """
    if name not in PRESETS:
        raise ModelError(f"model preset {name!r} does not exist; {nearest_names(name, tuple(PRESETS))}")
    shape = PRESETS[name]
    return replace(shape, architecture=architecture) if architecture else shape
