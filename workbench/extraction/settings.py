"""How a model is finetuned on questions; what is not given follows the paper's appendix, or the model's size."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.extraction.batches import Loss

Method = Literal["lora", "full"]
NARROW = 256  # up to this width a model takes, and needs, larger rates: measured in docs/extraction.md
PAPER_STEPS = 50_000


@dataclass(frozen=True)
class FinetuneSettings:
    """One finetuning, completely.

    method: `lora`, or `full` (all weights; both ranks are 0). rank: of each query and value update, its reach
    into attention. embedding_rank: of the input embedding's; it decides how far names can be re-read. lr: peak,
    falling on a cosine to a tenth, without warm-up. loss: on the `answer` with its full stop, or on `all` tokens,
    which also teaches the questions' wording. evaluate_every: steps between measurements on `people_measured`
    people of each half; the best of them is kept beside the last.
    """

    method: Method = "lora"
    rank: int = 8
    embedding_rank: int = 128
    lr: float = 3e-4
    weight_decay: float = 0.01
    steps: int = PAPER_STEPS
    questions_per_step: int = 48
    loss: Loss = "answer"
    seed: int = 0
    group: str | None = None
    evaluate_every: int = 1000
    people_measured: int = 100

    @property
    def name(self) -> str:
        """What it is called where the user gives no name: method, group and seed."""
        parts = [
            self.method,
            *([self.group] if self.group else []),
            *([f"seed{self.seed}"] if self.seed else []),
        ]
        return "-".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)


def choose_settings(width: int, **given: Any) -> FinetuneSettings:
    """Settings for a model of this width: what is given (not None), and defaults of its size for the rest.

    From 512 on the paper's: lr 3e-4 and embedding rank 128 for `lora`, 1e-4 for `full`, 50,000 steps of 48.
    """
    chosen = {key: value for key, value in given.items() if value is not None}
    method = chosen.get("method", "lora")
    if method not in ("lora", "full"):
        raise WorkbenchError(f"The finetuning method {method!r} does not exist; expected 'lora' or 'full'.")
    if (loss := chosen.get("loss", "answer")) not in ("answer", "all"):
        raise WorkbenchError(f"The loss {loss!r} does not exist; expected 'answer' or 'all'.")
    defaults: dict[str, Any] = {}
    if width <= NARROW:
        defaults = {"embedding_rank": 32, "lr": 3e-3, "steps": 1500, "questions_per_step": 96}
    if method == "full":
        defaults |= {"rank": 0, "embedding_rank": 0, "lr": 1e-3 if width <= NARROW else 1e-4}
        if chosen.get("rank") or chosen.get("embedding_rank"):
            raise WorkbenchError("Full finetuning changes every weight and has no rank; leave the ranks out.")
    merged = defaults | chosen
    steps = int(merged.get("steps", PAPER_STEPS))
    merged.setdefault("evaluate_every", max(1, steps // 10))
    return FinetuneSettings(**merged)
