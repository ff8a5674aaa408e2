"""The probe with a query in the text (V-probe of Part 2.1, section 4): a prefix, a named query behind it, a label.

Behind the first `place` tokens of a text stands `[START] name [END]` (or `[START] a [MID] b [END]`); the label is read
at [END]. All is frozen but a low-rank update of the input embedding and a linear head, as in the embedding probe;
the three markers are new tokens, whose embeddings start as the mean of all others.

The update is counted in units of the network's own embeddings. [END] is updated at every query and read at every
query; where its update outgrows what attention writes there, the state is the same whatever is asked, and only the
bias still learns. Without the unit, a rate that suits a trained network does that to an untrained one, whose
embeddings are smaller, and the control is too low.

All queries of a text share one row: each sees the prefix up to its own place and itself, and stands at the positions
that follow, so that the numbers are those of rows of their own, at a fraction of the cost.

Shapes: B texts of a batch, T tokens of a row, D width, Q queries, R rank, V vocabulary, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from workbench_models import text_config

from workbench.errors import WorkbenchError
from workbench.probing.embedding_probe import ProbeParts, ProbeSettings, frozen
from workbench.seeds import make_rng, seed_torch
from workbench.studies.manner import agree, tolerance
from workbench.tokens.packing import row_width

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from workbench.training.devices import Execution

N_MARKERS = 3  # start, mid, end: the ids after the vocabulary
Observer = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Queries:
    """Queries behind prefixes of texts.

    texts: token ids of each text. text_Q: whose prefix; place_Q: its length in tokens; asked: the ids between the
    markers, with the mid marker where there are two names; label_Q: index into `classes`; train_Q: which half.
    property_Q: what each one asks, by name; None where all ask the same.
    """

    texts: Sequence[np.ndarray]
    text_Q: np.ndarray
    place_Q: np.ndarray
    asked: Sequence[np.ndarray]
    label_Q: np.ndarray
    train_Q: np.ndarray
    classes: tuple[str, ...]
    property_Q: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.text_Q)


def join_names(names: Sequence[Sequence[int]], vocabulary: int) -> np.ndarray:
    """The ids of a query, markers included: one name or two."""
    start, mid, end = vocabulary, vocabulary + 1, vocabulary + 2
    ids = [start]
    for n, name in enumerate(names):
        ids += [mid] if n else []
        ids += name
    return np.array([*ids, end], np.int64)


@dataclass(frozen=True)
class PackedRows:
    """Rows in which every text's queries follow its prefix.

    sees_BTT: which tokens each token attends to; position_BT: where it stands; end_Q: flat index [B·T] of each query's
    last marker; query_Q: which query that is.
    """

    ids_BT: torch.Tensor
    position_BT: torch.Tensor
    sees_BTT: torch.Tensor
    end_Q: torch.Tensor
    query_Q: np.ndarray


def pack_rows(queries: Queries, chosen: Sequence[np.ndarray]) -> PackedRows:
    """One row for each entry of `chosen`: indices of queries of one text."""
    prefixes = [int(queries.place_Q[of_text].max()) for of_text in chosen]
    lengths = [
        prefix + sum(len(queries.asked[q]) for q in of_text)
        for prefix, of_text in zip(prefixes, chosen, strict=True)
    ]
    width = row_width(max(lengths))
    ids_BT = np.zeros((len(chosen), width), np.int64)
    position_BT = np.zeros((len(chosen), width), np.int64)
    sees_BTT = np.tile(np.tri(width, dtype=bool), (len(chosen), 1, 1))
    ends, order = [], []
    for b, (of_text, prefix) in enumerate(zip(chosen, prefixes, strict=True)):
        ids_BT[b, :prefix] = queries.texts[queries.text_Q[of_text[0]]][:prefix]
        position_BT[b, :prefix] = np.arange(prefix)
        at = prefix
        for q in of_text:
            size, place = len(queries.asked[q]), int(queries.place_Q[q])
            here = slice(at, at + size)
            ids_BT[b, here] = queries.asked[q]
            position_BT[b, here] = np.arange(place, place + size)
            sees_BTT[b, here, place:at] = False
            at += size
            ends.append(b * width + at - 1)
            order.append(q)
    tensors = [torch.from_numpy(array) for array in (ids_BT, position_BT, sees_BTT, np.array(ends))]
    return PackedRows(tensors[0], tensors[1], tensors[2], tensors[3], np.array(order))


def by_text(queries: Queries, members: np.ndarray) -> list[np.ndarray]:
    """The queries `members` grouped by text."""
    order = members[np.argsort(queries.text_Q[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(queries.text_Q[order])) + 1
    return np.split(order, cuts) if len(order) else []


@dataclass(frozen=True)
class FittedQueryProbe:
    """A trained probe.

    layer: after which block it reads, None after the last norm. losses: of every step. spread: how much the read
    states of the last step's queries differ, as a share of their length; below LEAST_SPREAD the
    update has drowned what the network writes, and one state is read whatever is asked.
    """

    parts: ProbeParts
    model: "PreTrainedModel"
    execution: "Execution"
    layer: int | None
    losses: np.ndarray
    spread: float

    @torch.inference_mode()
    def predict(self, queries: Queries, members: np.ndarray, texts_per_batch: int = 64) -> np.ndarray:
        """The class of each of the queries `members`: int [len(members)]."""
        self.parts.eval()
        self.model.eval()
        said_Q = np.full(len(queries), -1, np.int64)
        groups = sorted(by_text(queries, members), key=lambda group: queries.place_Q[group].max())
        for start in range(0, len(groups), texts_per_batch):
            rows = pack_rows(queries, groups[start : start + texts_per_batch])
            logits_QC = read_rows(self.parts, self.model, self.execution, rows, self.layer)
            said_Q[rows.query_Q] = logits_QC.argmax(-1).cpu().numpy()
        return np.asarray(said_Q[members])


def fit_query_probe(
    model: "PreTrainedModel",
    queries: Queries,
    settings: ProbeSettings,
    execution: "Execution",
    *,
    layer: int | None = None,
    observer: Observer | None = None,
) -> FittedQueryProbe:
    """Train a probe on the train half; each step reads `texts_per_step` texts with all of their queries. Raises
    WorkbenchError where the train half has one class only or there is no other, and for a missing layer."""
    members = np.flatnonzero(queries.train_Q)
    seen = np.unique(queries.label_Q[members])
    if len(seen) < 2:
        only = f"only {queries.classes[seen[0]]!r}" if len(seen) else "no query"
        told = f"A probe needs two classes to tell apart, but the train half has {only}"
        raise WorkbenchError(f"{told}; ask about more texts, or about something that varies.")
    if len(members) == len(queries):
        raise WorkbenchError(
            "All queries are in the train half; put some of other texts into the split `test`."
        )
    depth = int(text_config(model.config).num_hidden_layers)
    if layer is not None and not 0 <= layer <= depth:
        raise WorkbenchError(f"Layer {layer} does not exist; the model has layers 0 to {depth}.")
    vocabulary = int(text_config(model.config).vocab_size) + N_MARKERS
    unit = measure_unit(model)
    parts = ProbeParts(
        [len(queries.classes)], text_config(model.config).hidden_size, vocabulary, settings, unit
    ).to(execution.device)
    require_packing(parts, model, queries, members, execution, layer)
    low_rank = [p for name, p in parts.named_parameters() if name.startswith(("tokens", "directions"))]
    rest = [
        p for name, p in parts.named_parameters() if not name.startswith(("tokens", "directions", "batch"))
    ]
    groups = [{"params": rest, "peak": settings.lr}, {"params": low_rank, "peak": settings.lr_embedding}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], weight_decay=settings.weight_decay, fused=True
    )
    rng = make_rng(settings.seed, "query probe batches")
    of_text = by_text(queries, members)
    order: list[int] = []
    losses, hidden_QD = np.zeros(settings.steps), torch.zeros(1)
    with frozen(model, training=settings.dropout):
        for step in range(settings.steps):
            while len(order) < settings.texts_per_step:
                order += rng.permutation(len(of_text)).tolist()
            batch, order = order[: settings.texts_per_step], order[settings.texts_per_step :]
            seed_torch(settings.seed, "probe dropout", step)
            rows = pack_rows(queries, [of_text[n] for n in batch])
            hidden_QD = read_states(parts, model, execution, rows, layer)
            logits_QC = parts.classify(hidden_QD[None])[0]
            labels_Q = torch.from_numpy(queries.label_Q[rows.query_Q]).to(logits_QC.device)
            loss = functional.cross_entropy(logits_QC, labels_Q)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * (1 - step / settings.steps)
            optimizer.step()
            losses[step] = loss.item()
            if observer:
                observer(step + 1, settings.steps, losses[step])
    return FittedQueryProbe(parts, model, execution, layer, losses, measure_spread(hidden_QD.detach()))


@torch.inference_mode()
def require_packing(
    parts: ProbeParts,
    model: "PreTrainedModel",
    queries: Queries,
    members: np.ndarray,
    execution: "Execution",
    layer: int | None,
) -> None:
    """Refuse a network in which queries that share a row are not what each is in a row of its own.

    Tried on some queries of two texts before anything is trained: an architecture may not heed the masks and positions.
    """
    untyped: Any = model
    table_VD = torch.cat([untyped.get_input_embeddings().weight, _markers(model)])
    chosen = [of_text[:3] for of_text in by_text(queries, members)[:2]]
    with frozen(model, training=False), execution.autocast():
        rows = pack_rows(queries, chosen)
        packed_QD = read_states(parts, model, execution, rows, layer)
        for state_D, q in zip(packed_QD, rows.query_Q, strict=True):
            prefix = queries.texts[queries.text_Q[q]][: int(queries.place_Q[q])]
            ids_1T = torch.from_numpy(np.concatenate([prefix, queries.asked[q]]).astype(np.int64))[None]
            embedded = functional.embedding(ids_1T.to(execution.device), table_VD)
            out = untyped.base_model(inputs_embeds=embedded, output_hidden_states=layer is not None)
            own_BTD = out.last_hidden_state if layer is None else out.hidden_states[layer]
            precision = "bfloat16" if execution.bf16 else None
            if not agree({"": state_D}, {"": own_BTD[0, -1].float()}, tolerance(model, precision)):
                raise WorkbenchError(
                    f"In the architecture {text_config(model.config).model_type!r} a query behind a text that shares a "
                    "row with others is not what it is in a row of its own, so V-probes would read the wrong states; "
                    "use an architecture such as gpt2, gpt2-rotary or llama."
                )


def _markers(model: "PreTrainedModel") -> torch.Tensor:
    """[3, D]: where the embeddings of the markers begin, the mean of all others."""
    table_VD: Any = model.get_input_embeddings().weight
    markers: torch.Tensor = table_VD.detach().mean(0, keepdim=True).expand(N_MARKERS, -1)
    return markers


def measure_unit(model: "PreTrainedModel") -> float:
    """Root mean square of the input embeddings."""
    table_VD: Any = model.get_input_embeddings().weight
    return float(table_VD.detach().float().square().mean().sqrt())


def measure_spread(hidden_QD: torch.Tensor) -> float:
    """Root mean square distance of states from their mean, as a share of the mean's length."""
    mean_D = hidden_QD.mean(0)
    return float((hidden_QD - mean_D).square().sum(-1).mean().sqrt() / mean_D.norm())


def read_rows(
    parts: ProbeParts, model: "PreTrainedModel", execution: "Execution", rows: PackedRows, layer: int | None
) -> torch.Tensor:
    """Logits [Q, C] of the packed queries, float32."""
    logits_QC: torch.Tensor = parts.classify(read_states(parts, model, execution, rows, layer)[None])[0]
    return logits_QC


def read_states(
    parts: ProbeParts, model: "PreTrainedModel", execution: "Execution", rows: PackedRows, layer: int | None
) -> torch.Tensor:
    """States [Q, D] at the last markers of the packed queries, float32."""
    device = execution.device
    ids_BT = rows.ids_BT.to(device)
    table_VD: Any = model.get_input_embeddings().weight
    network: Any = model.base_model
    markers_MD = _markers(model)
    with execution.autocast():
        known_BTD = functional.embedding(ids_BT, torch.cat([table_VD, markers_MD]))
        out = network(
            inputs_embeds=parts.embed(known_BTD, ids_BT),
            attention_mask=rows.sees_BTT[:, None].to(device),
            position_ids=rows.position_BT.to(device),
            use_cache=False,
            output_hidden_states=layer is not None,
        )
    hidden_BTD = out.last_hidden_state if layer is None else out.hidden_states[layer]
    hidden_QD: torch.Tensor = hidden_BTD.flatten(0, 1)[rows.end_Q.to(device)].float()
    return hidden_QD
