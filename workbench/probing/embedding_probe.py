"""The paper's probe: a frozen network, a low-rank trainable update of its input embedding, and a linear head.

A probe of target k reads the final hidden state at a text's places, after the network has run on
E[ids] + A_k[ids] @ B_k instead of E[ids] (section 5.1: rank 2, LayerNorm; section 5.2: rank 16, BatchNorm).
All targets train together: their updated embeddings are stacked along the batch, so one forward and one
backward pass of the frozen network serve all of them.

Shapes: K targets, B texts of a batch, T tokens, P places per text, D width, R rank, V vocabulary, C classes,
N texts.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from workbench_models import text_config

from workbench.errors import WorkbenchError
from workbench.minutes import Minutes
from workbench.probing.probe_batches import ProbeBatch, Readings, make_batch, used_lengths
from workbench.probing.probe_manner import find_probe_manner, read_embedded
from workbench.seeds import make_rng, seed_torch
from workbench.tokens.packing import IGNORED, group_by_length
from workbench.tokens.targets import Target
from workbench.training.devices import Execution
from workbench.training.pipelining import LateNumbers, make_ahead

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Norm = Literal["layer", "batch"]
UPDATE_INIT_STD = 0.1


@dataclass(frozen=True)
class ProbeSettings:
    """How embedding probes are trained; recorded with every result.

    rank: of the embedding update, 0 for none. norm: before the head, `layer` (P) or `batch` (Q).
    lr, lr_embedding: peak rates of the head and of the two factors, falling linearly to 0.
    dropout: whether the frozen network's own dropout stays on while the probe trains, as in the paper.
    """

    rank: int
    norm: Norm
    steps: int
    texts_per_step: int
    lr: float
    lr_embedding: float
    weight_decay: float
    dropout: bool
    seed: int = 0


class ProbeParts(nn.Module):
    """The trainable parts of K probes.

    unit: what an embedding update of 1 adds. With the root mean square of the network's own embeddings, a learning
    rate means the same for every network; with 1, it acts more strongly the smaller those embeddings are.
    """

    def __init__(
        self,
        n_classes: list[int],
        width: int,
        vocabulary: int,
        settings: ProbeSettings,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        n_targets, most = len(n_classes), max(n_classes)
        generator = torch.Generator().manual_seed(settings.seed)
        self.rank, self.unit = settings.rank, unit
        if self.rank:
            self.tokens_VX = nn.Parameter(
                torch.zeros(vocabulary, n_targets * self.rank)
            )  # X = K·R: one lookup
            directions = torch.randn(n_targets, self.rank, width, generator=generator) * UPDATE_INIT_STD
            self.directions_KRD = nn.Parameter(directions)
        self.batch_norm = nn.BatchNorm1d(n_targets * width) if settings.norm == "batch" else None
        self.scale_KD = nn.Parameter(torch.ones(n_targets, width))
        self.shift_KD = nn.Parameter(torch.zeros(n_targets, width))
        self.head_KDC = nn.Parameter(torch.randn(n_targets, width, most, generator=generator) * width**-0.5)
        self.bias_KC = nn.Parameter(torch.zeros(n_targets, most))
        absent = torch.arange(most)[None] >= torch.tensor(n_classes)[:, None]
        self.absent_KC: torch.Tensor
        self.register_buffer("absent_KC", absent)

    def embed(self, embedding_BTD: torch.Tensor, ids_BT: torch.Tensor) -> torch.Tensor:
        """The input embeddings of all targets, stacked: [K·B, T, D]."""
        n_targets = len(self.scale_KD)
        if not self.rank:
            return embedding_BTD.repeat(n_targets, 1, 1)
        factors_BTKR = functional.embedding(ids_BT, self.tokens_VX).unflatten(-1, (n_targets, self.rank))
        update_KBTD = torch.einsum("btkr,krd->kbtd", factors_BTKR, self.unit * self.directions_KRD)
        return (embedding_BTD + update_KBTD).flatten(0, 1)

    def classify(self, hidden_KMD: torch.Tensor) -> torch.Tensor:
        """Logits [K, M, C] of hidden states [K, M, D]; classes a target lacks get -inf."""
        if self.batch_norm is not None:
            n_targets, _, width = hidden_KMD.shape
            flat_MKD = self.batch_norm(hidden_KMD.transpose(0, 1).flatten(1))
            normed_KMD = flat_MKD.unflatten(1, (n_targets, width)).transpose(0, 1)
        else:
            normed_KMD = functional.layer_norm(hidden_KMD, hidden_KMD.shape[-1:])
        scaled_KMD = normed_KMD * self.scale_KD[:, None] + self.shift_KD[:, None]
        logits_KMC = torch.baddbmm(self.bias_KC[:, None], scaled_KMD, self.head_KDC)
        return logits_KMC.masked_fill(self.absent_KC[:, None], float("-inf"))


def has_converged(losses: np.ndarray) -> bool:
    """Whether the loss of training, one number a step, fell by less than 5 % between its last two tenths."""
    tenth = max(1, len(losses) // 10)
    before, last = losses[-2 * tenth : -tenth].mean(), losses[-tenth:].mean()
    return bool(before - last < 0.05 * max(before, 0.02))


@dataclass(frozen=True)
class FittedProbes:
    """Trained probes of one checkpoint. losses: mean training loss of every step.

    whole: texts are read to their end, with a mask of their padding, instead of up to their last place.
    """

    probes: ProbeParts
    model: "PreTrainedModel"
    execution: Execution
    losses: np.ndarray
    whole: bool = False

    @property
    def converged(self) -> bool:
        """Whether the loss had come to rest."""
        return has_converged(self.losses)

    @property
    def final_loss(self) -> float:
        """Mean training loss over the last twentieth of the steps."""
        return float(self.losses[-max(1, len(self.losses) // 20) :].mean())

    def predict(self, readings: Readings, texts: np.ndarray, texts_per_batch: int = 32) -> np.ndarray:
        """The most probable class at every place of the chosen texts: int [K, len(texts), P], -1 without place."""
        return self.answer(readings, texts, texts_per_batch)[0]

    @torch.inference_mode()
    def answer(
        self, readings: Readings, texts: np.ndarray, texts_per_batch: int = 32
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `predict` gives, and the probability of each answer: float32 of the same shape, NaN without place."""
        self.probes.eval()
        n_targets, n_places = len(readings.labels_KN), readings.places_NP.shape[1]
        predicted = np.full((n_targets, len(texts), n_places), -1, np.int64)
        sure = np.full(predicted.shape, np.nan, np.float32)
        order = np.argsort(used_lengths(readings)[texts], kind="stable")
        for start in range(0, len(order), texts_per_batch):
            here = order[start : start + texts_per_batch]
            batch = make_batch(readings, texts[here], not self.whole, self.execution.device)
            hidden_KBPD = _read(self.probes, self.model, self.execution, batch)
            logits_KMC = self.probes.classify(hidden_KBPD.flatten(1, 2))
            best_KM, class_KM = logits_KMC.max(-1)
            sure_KM = (best_KM - logits_KMC.logsumexp(-1)).exp()
            for kept, found_KM in ((predicted, class_KM), (sure, sure_KM)):
                kept[:, here] = found_KM.unflatten(1, (len(here), n_places)).cpu().numpy()
        there_NP = readings.places_NP[texts] >= 0
        return np.where(there_NP, predicted, -1), np.where(there_NP, sure, np.nan)


def fit_embedding_probes(
    model: "PreTrainedModel",
    readings: Readings,
    train: np.ndarray,
    n_classes: list[int],
    settings: ProbeSettings,
    execution: Execution,
    observer: Callable[[int, int, float], None] | None = None,
) -> FittedProbes:
    """Train all K probes on the texts `train` (indices); which texts make up a step follows from the seed.

    The loss of a target is the mean cross-entropy over its valid cells in the batch; targets do not influence
    one another. `observer(step, steps, loss)` is called for each step, on a GPU a few steps later.
    """
    whole = find_probe_manner(model, readings, execution).whole
    device = execution.device
    config = text_config(model.config)
    probes = ProbeParts(n_classes, config.hidden_size, config.vocab_size, settings).to(device)
    embedding_part = [p for name, p in probes.named_parameters() if name.startswith(("tokens", "directions"))]
    rest = [
        p for name, p in probes.named_parameters() if not name.startswith(("tokens", "directions", "batch"))
    ]
    groups = [
        {"params": rest, "lr": settings.lr, "peak": settings.lr},
        {"params": embedding_part, "lr": settings.lr_embedding, "peak": settings.lr_embedding},
    ]
    optimizer = torch.optim.AdamW(
        [g for g in groups if g["params"]], weight_decay=settings.weight_decay, fused=True
    )
    losses, late = np.zeros(settings.steps), LateNumbers(device)
    drawn = list(_draw_batches(train, readings, settings))
    batches = make_ahead(lambda step: make_batch(readings, drawn[step], not whole, device), range(len(drawn)))

    def note(numbers: list[tuple[int, float]]) -> None:
        for step, number in numbers:
            losses[step] = number / len(n_classes)
            if not math.isfinite(number):
                raise WorkbenchError(
                    f"The loss of the probes is {number} at step {step + 1}; lower lr and lr_embedding of [probing], "
                    "or run `workbench verify` on the model."
                )
            if observer:
                observer(step + 1, settings.steps, losses[step])

    minutes = Minutes(
        f"Training {len(n_classes)} probe{'s' * (len(n_classes) > 1)} through the network for {settings.steps} steps",
        "fewer --steps take less, and so do probes on activations (--family logistic)",
        counted=True,
    )
    with frozen(model, training=settings.dropout):
        for step, batch in enumerate(batches):
            if step:  # the first one warms up
                minutes.start()
            seed_torch(settings.seed, "probe dropout", step)
            loss = _loss(probes, _read(probes, model, execution, batch), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * (1 - step / settings.steps)
            optimizer.step()
            note(late.append(step, loss))
            minutes.done(step / settings.steps)
    note(late.flush())
    return FittedProbes(probes, model, execution, losses, whole)


def describe_fit(
    fitted: FittedProbes, targets: list[Target], stands_for: list[int], n_train: int, n_test: int
) -> dict[str, Any]:
    """What is worth knowing of a fit beside its settings, for the result's notes."""
    return {
        "train_examples": n_train,
        "test_examples": n_test,
        "final_loss": round(fitted.final_loss, 4),
        "same_task": {targets[k].name: targets[s].name for k, s in enumerate(stands_for) if s != k},
        **fitted.execution.describe(),
    }


def _draw_batches(train: np.ndarray, readings: Readings, settings: ProbeSettings) -> Iterator[np.ndarray]:
    """Texts of every step: shuffled epochs one after another, texts of like length in the same step."""
    rng = make_rng(settings.seed, "probe batches")
    needed = settings.steps * settings.texts_per_step
    epochs = [rng.permutation(train) for _ in range(-(-needed // len(train)))]
    order = group_by_length(
        np.concatenate(epochs)[:needed], used_lengths(readings), settings.texts_per_step, rng
    )
    yield from order.reshape(settings.steps, settings.texts_per_step)


def _read(
    probes: ProbeParts, model: "PreTrainedModel", execution: Execution, batch: ProbeBatch
) -> torch.Tensor:
    """Final hidden states at the places of a batch of texts, for every target: float32 [K, B, P, D]."""
    with execution.autocast():
        embedded = probes.embed(model.get_input_embeddings()(batch.ids_BT), batch.ids_BT)
        hidden = read_embedded(model, batch, embedded)
    hidden_KBPD: torch.Tensor = hidden.unflatten(0, (len(probes.scale_KD), len(batch.ids_BT)))
    return hidden_KBPD.float()


def _loss(probes: ProbeParts, hidden_KBPD: torch.Tensor, batch: ProbeBatch) -> torch.Tensor:
    """Sum over targets of the mean cross-entropy over each one's valid cells."""
    logits_KMC = probes.classify(hidden_KBPD.flatten(1, 2))
    each_KM = functional.cross_entropy(
        logits_KMC.transpose(1, 2), batch.labels_KM, reduction="none", ignore_index=IGNORED
    )
    return (each_KM.sum(1) / batch.count_K).sum()


@contextmanager
def frozen(model: "PreTrainedModel", training: bool) -> Iterator[None]:
    """The network without gradients of its own, its dropout on or off; put back as it was found."""
    wanted = {p: p.requires_grad for p in model.parameters()}
    was_training = model.training
    model.requires_grad_(False)
    model.train(training)
    try:
        yield
    finally:
        for parameter, flag in wanted.items():
            parameter.requires_grad_(flag)
        model.train(was_training)
