"""How many bits a checkpoint holds: losses of facts, the estimator, the parameters, and how near to all it is."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import text_config

from workbench.capacity.bits import (
    Choices,
    RandomValues,
    learned_bits,
    learned_bits_of_values,
    most_bits,
    most_bits_of_values,
)
from workbench.capacity.contexts import CHUNK, NAME, Contexts, make_contexts
from workbench.capacity.losses import span_losses
from workbench.capacity.pools import COUNTED, choices_of_biographies, count_choices
from workbench.capacity.quantising import quantise
from workbench.errors import WorkbenchError
from workbench.facts.entities import count_known
from workbench.field_checks import check_fields
from workbench.minutes import Show
from workbench.results.provenance import make_attrs
from workbench.results.storing import find_result, result_path, save_result
from workbench.seeds import make_rng
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.runs import Run
from workbench.studies.study import Study
from workbench.tokens.encoding import encode_entries
from workbench.training.devices import Execution, choose_device
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.values.sections import ValuesRecipe

if TYPE_CHECKING:
    import xarray as xr
    from transformers import PreTrainedModel

KIND, FAMILY = "capacity", "bits"
ENTITIES = 2000


@dataclass(frozen=True)
class CapacityRequest:
    """entities: how many are scored, drawn by the run's seed (losses are means, so a sample estimates them).

    quantisation: `int8` or `int4` of the blocks' weights; empty for the weights as they are.
    """

    entities: int = ENTITIES
    quantisation: str = ""
    again: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"entities": 2})


@dataclass(frozen=True)
class Material:
    """What all checkpoints of a run are measured on."""

    n_entities: int
    contexts: Contexts
    choices: Choices
    shape: RandomValues | None
    used_tokens: int
    note: str


def make_material(study: Study, request: CapacityRequest) -> Material:
    """Choose entities, contexts and pools; a bidirectional model, which has no such losses, is refused."""
    if study.bidirectional:
        raise WorkbenchError(
            f"{study.path} holds a bidirectional model; bits are counted from the losses of a causal one."
        )
    corpus = study.corpus
    n = len(corpus.entities)
    scored = np.sort(make_rng(study.seed, "capacity").permutation(n)[: request.entities])
    recipe = study.recipe if isinstance(study, Run) else None
    values = None if recipe is None else recipe.values
    shape = None
    if recipe is not None and values is not None:
        shape = RandomValues(
            values.attributes, values.chunks, values.diversity, values.length, values.alphabet
        )
        each = dict.fromkeys(corpus.schema.keys, float(values.diversity) ** values.chunks)
        choices = Choices(float(load_pools(None, values.pool_sizes or {}).n_names), each)
    elif recipe is not None and recipe.world == "biographies" and recipe.biographies.corpus is None:
        choices = choices_of_biographies(recipe)
    else:
        choices = count_choices(corpus.schema, corpus.entities)
    contexts = make_contexts(
        study.tokenizer,
        corpus,
        scored.tolist(),
        names=choices.names is not None,
        chunks=values is not None,
        start=study.start,
    )
    if values is not None:
        _require_whole_chunks(study, contexts, values)
    else:
        stated = {key: choices.values[key] for key in contexts.facts if key != NAME}
        choices = Choices(choices.names, stated, choices.known)
    used = len(study.tokenizer) if _is_made_for_it(study) else count_used_tokens(study)
    note = COUNTED if choices.names is None else ""
    return Material(n, contexts, choices, shape, used, note)


def _is_made_for_it(study: Study) -> bool:
    """Whether the vocabulary was made for the study's texts, or restricted to them: then it is used whole."""
    if not isinstance(study, Run):
        return False
    return study.recipe.tokens.tokenizer == "word" or study.recipe.tokens.restrict


def count_used_tokens(study: Study) -> int:
    """How many rows of the vocabulary the study's texts use, those about entities that are not scored too."""
    encoded = encode_entries(study.tokenizer, study.corpus.entries, study.schema, study.start)
    return len(np.unique(encoded.ids))


def _require_whole_chunks(study: Study, contexts: Contexts, values: ValuesRecipe) -> None:
    """Refuse a tokenizer that merges symbols: chunks must end with tokens, or p₃ is no loss of a chunk."""
    spans = contexts.spans
    chunks = np.array([contexts.facts[fact].endswith(CHUNK) for fact in contexts.fact_N])
    lengths = (spans.ends - spans.starts)[chunks]
    if (lengths != values.length).any():
        raise WorkbenchError(
            f"The tokenizer of {study.path} makes {int(lengths.max())} tokens of {values.length} symbols; "
            "bits of random values need one token a symbol: use tokens.tokenizer = 'word'."
        )


def measure_capacity(model: "PreTrainedModel", material: Material, execution: Execution) -> "xr.Dataset":
    """Learned bits of a model, term by term, beside what there is to learn and what it has parameters for.

    Variables: bits, bits_se (of sampling entities), bits_names, bits_values, bits_diversity, most_bits (everything
    learned), parameters (used ones: all but the rows of tokens that never occur), ratio R and ratio_max (bits a
    parameter), learned (bits / most_bits); over fact: loss (nats), loss_se, chance_loss (of a guess over the pool),
    n (entities scored), known (entities of which the fact is known).
    """
    import xarray as xr

    contexts, choices, n = material.contexts, material.choices, material.n_entities
    losses_N = span_losses(model, contexts.spans, execution)
    by_fact = {fact: losses_N[contexts.of(fact)] for fact in contexts.facts}
    means = {fact: float(values.mean()) for fact, values in by_fact.items()}
    if (shape := material.shape) is None:
        bits = learned_bits(n, choices, means.get(NAME), {fact: means[fact] for fact in choices.values})
        most = most_bits(n, choices)
    else:
        whole, first = (
            float(np.mean([means[f"{key}{tail}"] for key in choices.values])) for tail in ("", CHUNK)
        )
        bits = learned_bits_of_values(n, float(choices.names or 0), shape, means[NAME], whole, first)
        most = most_bits_of_values(n, float(choices.names or 0), shape)
    parameters = count_parameters(model, material.used_tokens)
    pools = {NAME: choices.names or math.nan, **choices.values}
    pools |= {f"{key}{CHUNK}": float(shape.alphabet**shape.length) for key in choices.values if shape}
    numbers: dict[str, Any] = {
        "bits": bits.total,
        "bits_se": n * _error(contexts, losses_N, choices, n, shape) / math.log(2),
        **{f"bits_{name}": value for name, value in asdict(bits).items()},
        "most_bits": most.total,
        "parameters": parameters,
        "ratio": bits.total / parameters,
        "ratio_max": most.total / parameters,
        "learned": bits.total / most.total,
    }
    return xr.Dataset(
        {
            **numbers,
            "loss": ("fact", [means[fact] for fact in contexts.facts]),
            "loss_se": ("fact", [_standard_error(values) for values in by_fact.values()]),
            "chance_loss": ("fact", [math.log(pools[fact]) for fact in contexts.facts]),
            "n": ("fact", [len(values) for values in by_fact.values()]),
            "known": ("fact", [choices.n_known(fact.removesuffix(CHUNK), n) for fact in contexts.facts]),
        },
        coords={"fact": list(contexts.facts)},
    )


def _error(
    contexts: Contexts,
    losses_N: np.ndarray,
    choices: Choices,
    n: int,
    shape: RandomValues | None = None,
) -> float:
    """Standard error of the mean bits of an entity, in nats, by entity: its facts are not independent.

    The bits are a sum of means, Σ N_a/N · mean_a, and a fact's mean is over the entities that are scored on it; so an
    entity counts with Σ (N_a/N) (scored/n_a) (loss − mean_a). Where each has every fact that is its summed loss. The
    first chunk of a random value is in the term of diversity too, D / N of it.
    """
    scored, number_N = np.unique(contexts.entities_N, return_inverse=True)
    off = np.zeros(len(scored))
    for fact in contexts.facts:
        share = choices.n_known(fact, n) / n
        if fact.endswith(CHUNK):
            share = 0.0 if shape is None else shape.diversity / n
        own = contexts.of(fact)
        weight = share * len(scored) / len(own)
        off += np.bincount(
            number_N[own], weight * (losses_N[own] - losses_N[own].mean()), minlength=len(scored)
        )
    return _standard_error(off)


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else float("nan")


def count_parameters(model: "PreTrainedModel", used_tokens: int) -> int:
    """Parameters without the rows of tokens that no text uses (Part 3.3, section 2); tied tensors count once."""
    unused = max(0, int(text_config(model.config).vocab_size) - used_tokens)
    weights: list[Any] = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    tables = {id(weight): int(weight.shape[-1]) for weight in weights}
    return sum(p.numel() for p in model.parameters()) - unused * sum(tables.values())


def capacity_of_study(
    study: Study,
    checkpoints: Sequence[Checkpoint],
    request: CapacityRequest | None = None,
    *,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """Measure checkpoints and keep the results; one that is there for the same weights is not made again.

    `show(what, done, total)` follows the checkpoints.
    """
    request = request or CapacityRequest()
    settings: dict[str, Any] = {"entities": request.entities, "seed": study.seed}
    if known := count_known(study.schema, study.corpus.entities):
        settings["known"] = known  # bits that were counted as if nothing were missing are counted anew
    if not _is_made_for_it(study):
        settings["rows"] = (
            "of all texts"  # and those of parameters that only the scored entities' texts decided
        )
    if isinstance(study, Run) and study.recipe.values is not None:
        settings["bits_se"] = "with diversity"  # and those whose error left that term out
    if request.quantisation:
        settings["quantisation"] = request.quantisation
    found: dict[int, xr.Dataset] = {}
    for checkpoint in checkpoints:
        path = result_path(study.path, KIND, FAMILY, checkpoint.step, request.quantisation)
        kept = None if request.again else find_result(path, checkpoint.weights_digest, settings)
        if kept is not None:
            found[checkpoint.step] = kept
    missing = [checkpoint for checkpoint in checkpoints if checkpoint.step not in found]
    if missing:
        material, chosen = make_material(study, request), choose_device(device)
        execution = Execution(device=chosen, bf16=False, attention="sdpa", compile=False)
        for number, checkpoint in enumerate(missing):
            if show:
                show(f"bits of {study.name}, step {checkpoint.step}", number, len(missing))
            model = load_model(checkpoint, device=chosen)
            if request.quantisation:
                model = quantise(model, request.quantisation)
            dataset = measure_capacity(model, material, execution)
            notes = {"device": chosen, "pools": material.note or "the recipe's"}
            attrs = make_attrs(
                kind=KIND,
                family=FAMILY,
                run=study,
                checkpoint=checkpoint,
                settings=settings,
                variant=request.quantisation,
                notes=notes,
            )
            dataset = dataset.assign_coords(checkpoint=checkpoint.step).assign_attrs(attrs)
            save_result(result_path(study.path, KIND, FAMILY, checkpoint.step, request.quantisation), dataset)
            found[checkpoint.step] = dataset
    return [found[checkpoint.step] for checkpoint in checkpoints]
