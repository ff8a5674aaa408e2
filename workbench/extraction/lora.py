"""Low-rank adapters of the query and value projections and of the input embedding (LoRA, arXiv 2106.09685).

The base network stays frozen; a projection W gives W x + U (D x), the embedding E[i] + A[i] B. U and A start at
zero, so a fresh adapter changes nothing. Architectures that keep q, k and v in one matrix get the update on the
rows of q and v alone. With tied embeddings the output layer keeps the base's matrix.

Shapes: B batch, T tokens, D width, O output features of a projection, R rank, V vocabulary.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from workbench_models import ModelError, Place, locate, text_config

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PARTS = ("q", "v")
EMBEDDING_STD = 0.1  # of the fixed start of B: how far the embedding moves at a given learning rate


class LowRank(nn.Module):
    """A change of rank R to a matrix [O, D], zero at first."""

    def __init__(self, n_out: int, n_in: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down_RD = nn.Parameter(torch.randn(rank, n_in, generator=generator) * n_in**-0.5)
        self.up_OR = nn.Parameter(torch.zeros(n_out, rank))


class ProjectionUpdate(nn.Module):
    """The change of one projection module: of all its rows, or of the rows that hold q and v in a fused one.

    path: the module below `model.base_model`. rows: part (`q`, `v`) → the output features it fills.
    """

    def __init__(
        self,
        path: str,
        module: nn.Module,
        rows: dict[str, torch.Tensor],
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.path = path
        n_out, n_in = _matrix_shape(module)
        for part_rows in rows.values():
            _require_rank("rank", rank, (len(part_rows), n_in))
        self.parts = nn.ModuleDict(
            {part: LowRank(len(part_rows), n_in, rank, generator) for part, part_rows in rows.items()}
        )
        # Row o of the whole update is row source_O[o] of the stacked parts; one more row, of zeros, serves k.
        source = torch.full((n_out,), sum(map(len, rows.values())))
        filled = 0
        for part_rows in rows.values():
            source[part_rows] = torch.arange(filled, filled + len(part_rows))
            filled += len(part_rows)
        self.source_O: torch.Tensor
        self.register_buffer("source_O", source, persistent=False)

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The update as a product: up [O, X], down [X, D], X the ranks of all parts together."""
        parts: list[Any] = list(self.parts.values())
        down_XD = torch.cat([part.down_RD for part in parts])
        up_OX = torch.block_diag(*[part.up_OR for part in parts])
        up_OX = torch.cat([up_OX, up_OX.new_zeros(1, up_OX.shape[1])])
        return up_OX[self.source_O], down_XD

    def forward(self, input_BTD: torch.Tensor) -> torch.Tensor:
        up_OX, down_XD = self.factors()
        return functional.linear(functional.linear(input_BTD, down_XD), up_OX)


class EmbeddingUpdate(nn.Module):
    """The change of the input embedding: tokens_VR @ directions_RD."""

    def __init__(self, vocabulary: int, width: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        _require_rank("embedding rank", rank, (vocabulary, width))
        self.tokens_VR = nn.Parameter(torch.zeros(vocabulary, rank))
        self.directions_RD = nn.Parameter(torch.randn(rank, width, generator=generator) * EMBEDDING_STD)

    def forward(self, ids_BT: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids_BT, self.tokens_VR) @ self.directions_RD


class NewWords(nn.Module):
    """The rows of words that were put behind the model's vocabulary (see `grow_vocabulary`), all of them trained: how
    they are read, and how they are said. Both are changes of the rows that the model was grown by, zero at first.
    """

    def __init__(self, vocabulary: int, number: int, width: int) -> None:
        super().__init__()
        self.first = vocabulary - number
        self.read_ND = nn.Parameter(torch.zeros(number, width))
        self.said_ND = nn.Parameter(torch.zeros(number, width))

    def forward(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """What reading these tokens adds to their embedding."""
        own_BT = ids_BT - self.first
        return functional.embedding(own_BT.clamp(min=0), self.read_ND) * (own_BT >= 0)[..., None]

    def say(self, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        """A forward hook of the output layer: the logits of the new words, changed."""
        return torch.cat(
            [output[..., : self.first], output[..., self.first :] + inputs[0] @ self.said_ND.T], -1
        )


class Adapter(nn.Module):
    """All updates of one model. Rank 0 leaves the projections, or the embedding, as they are.

    new_words: how many of the vocabulary's last rows the model was grown by; they are trained whole.
    The start is a function of the seed. Raises WorkbenchError where a rank is larger than its matrix, or both
    are 0, or for an architecture whose queries and values have no known place.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        rank: int,
        embedding_rank: int,
        seed: int = 0,
        new_words: int = 0,
    ) -> None:
        super().__init__()
        if not (rank or embedding_rank):
            raise WorkbenchError("An adapter of rank 0 and embedding rank 0 has nothing to train; raise one.")
        generator = torch.Generator().manual_seed(seed)
        self.rank, self.embedding_rank = rank, embedding_rank
        self.embedding = None
        weight: Any = model.get_input_embeddings().weight
        if embedding_rank:
            self.embedding = EmbeddingUpdate(weight.shape[0], weight.shape[1], embedding_rank, generator)
        self.words = NewWords(weight.shape[0], new_words, weight.shape[1]) if new_words else None
        self.blocks = nn.ModuleList()
        for block in range(text_config(model.config).num_hidden_layers if rank else 0):
            self.blocks.append(nn.ModuleList(_block_updates(model, block, rank, generator)))

    @property
    def projections(self) -> list[ProjectionUpdate]:
        """The updates of all blocks' projections."""
        return [update for block in self.blocks for update in block]  # type: ignore[attr-defined]

    def tensors(self) -> dict[str, torch.Tensor]:
        """The trained numbers under names that are the same for every architecture: `blocks.0.q.down`."""
        return {name: parameter.detach().cpu().contiguous() for name, parameter in self._named()}

    def load_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what `tensors` gave; other names or shapes are refused."""
        own = dict(self._named())
        given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if given != {name: tuple(parameter.shape) for name, parameter in own.items()}:
            name = next(n for n in {**given, **own} if n not in own or given.get(n) != tuple(own[n].shape))
            wanted = tuple(own[name].shape) if name in own else "none"
            raise WorkbenchError(
                f"The adapter's tensor {name} has shape {given.get(name, 'none')} but this model needs {wanted}."
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(tensors[name])

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        if self.embedding is not None:
            yield "embedding.tokens", self.embedding.tokens_VR
            yield "embedding.directions", self.embedding.directions_RD
        if self.words is not None:
            yield "words.read", self.words.read_ND
            yield "words.said", self.words.said_ND
        for number, block in enumerate(self.blocks):
            for update in block:  # type: ignore[attr-defined]
                for part, low_rank in update.parts.items():
                    yield f"blocks.{number}.{part}.down", low_rank.down_RD
                    yield f"blocks.{number}.{part}.up", low_rank.up_OR


@contextmanager
def attached(model: "PreTrainedModel", adapter: Adapter) -> Iterator[None]:
    """Run the model with the adapter inside this block; the model itself is not changed."""
    handles = []
    try:
        for update in adapter.projections:
            module = model.base_model.get_submodule(update.path)
            handles.append(module.register_forward_hook(partial(_add, update)))
        embedding: Any = model.get_input_embeddings()
        if adapter.embedding is not None:
            handles.append(embedding.register_forward_hook(partial(_add, adapter.embedding)))
        if adapter.words is not None:
            handles.append(embedding.register_forward_hook(partial(_add, adapter.words)))
            handles.append(model.get_output_embeddings().register_forward_hook(adapter.words.say))
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def merge(model: "PreTrainedModel", adapter: Adapter) -> "PreTrainedModel":
    """Add the adapter to the model's own weights (in place): the same logits without any code of ours.

    An update of tied embeddings unties them, in the weights and in the config: what is read changes, what is
    said does not.
    """
    for update in adapter.projections:
        module: Any = model.base_model.get_submodule(update.path)
        up_OX, down_XD = update.factors()
        change_OD = up_OX @ down_XD
        module.weight += change_OD if isinstance(module, nn.Linear) else change_OD.T
    output: Any = model.get_output_embeddings()
    embedding: Any = model.get_input_embeddings()
    if (adapter.embedding or adapter.words) and output.weight is embedding.weight:
        output.weight = nn.Parameter(output.weight.detach().clone())
        model.config.tie_word_embeddings = False
    if adapter.embedding is not None:
        embedding.weight += adapter.embedding.tokens_VR @ adapter.embedding.directions_RD
    if adapter.words is not None:
        embedding.weight[adapter.words.first :] += adapter.words.read_ND
        output.weight[adapter.words.first :] += adapter.words.said_ND
    return model


@torch.no_grad()
def grow_vocabulary(model: "PreTrainedModel", size: int) -> int:
    """Give the model rows for a vocabulary of `size` tokens, in place; returns how many are new.

    A new row is the mean of the old ones and noise a tenth as wide, the same every time; other rows stay as they are.
    """
    weight: Any = model.get_input_embeddings().weight
    old = int(weight.shape[0])
    if size <= old:
        return 0
    model.resize_token_embeddings(size, mean_resizing=False)
    generator = torch.Generator().manual_seed(0)
    noise_ND = torch.randn(size - old, int(weight.shape[1]), generator=generator)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        rows: Any = layer.weight
        rows[old:] = rows[:old].mean(0) + 0.1 * rows[:old].std() * noise_ND.to(rows)
    return size - old


def _add(update: nn.Module, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    """A forward hook: the module's output and the update of its input."""
    changed: torch.Tensor = output + update(inputs[0])
    return changed


def _block_updates(
    model: "PreTrainedModel", block: int, rank: int, generator: torch.Generator
) -> list[ProjectionUpdate]:
    """One update per module that holds q or v: one for a fused projection, two for separate ones."""
    rows: dict[str, dict[str, torch.Tensor]] = {}
    for part in PARTS:
        try:
            place = locate(f"{part}.{block}", model.config)
        except ModelError as error:
            kind = text_config(model.config).model_type
            raise WorkbenchError(
                f"Low-rank adapters change what makes queries and values, and the architecture {kind!r} has no module "
                "known for these alone; finetune all weights (--method full), or the embedding only (--rank 0)."
            ) from error
        n_out, _ = _matrix_shape(model.base_model.get_submodule(place.path))
        rows.setdefault(place.path, {})[part] = _rows_of(place, n_out)
    return [
        ProjectionUpdate(path, model.base_model.get_submodule(path), parts, rank, generator)
        for path, parts in rows.items()
    ]


def _rows_of(place: Place, n_out: int) -> torch.Tensor:
    """The output features of a projection that belong to the place's part (q, k or v)."""
    every_O = torch.arange(n_out)
    match place.cut:
        case "q|k|v":
            return every_O.view(3, -1)[place.part]
        case "heads(q|k|v)":
            return every_O.view(place.heads, 3, -1)[:, place.part].flatten()
    return every_O


def _matrix_shape(module: Any) -> tuple[int, int]:
    """(outputs, inputs) of a linear layer; GPT-2's Conv1D stores its matrix the other way round."""
    first, second = module.weight.shape
    return (first, second) if isinstance(module, nn.Linear) else (second, first)


def _require_rank(name: str, rank: int, shape: tuple[int, int]) -> None:
    if rank > min(shape):
        raise WorkbenchError(
            f"The {name} {rank} is larger than the matrix it updates ({shape[0]} × {shape[1]}); "
            f"choose at most {min(shape)}."
        )
