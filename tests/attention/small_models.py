"""Random models of three architectures over a small corpus, and one built by hand in which one head does it all."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from workbench_models import ModelShape, make_model

from workbench.attention.examples import AttentionExamples, make_examples
from workbench.facts.entities import Entity
from workbench.recipes.recipe import TokensRecipe, load_recipe
from workbench.studies.corpus import Corpus, make_corpus
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.entries import Entry

ARCHITECTURES = ("gpt2", "gpt2-rotary", "llama")


@lru_cache
def small_corpus(
    augmentation: str = "multi2+permute", entities: int = 12
) -> tuple[Corpus, PreTrainedTokenizerFast]:
    changes = {"people.number": entities, "biographies.augmentation": augmentation}
    corpus = make_corpus(load_recipe("tiny", changes))
    return corpus, make_tokenizer(TokensRecipe(), corpus.texts)


@lru_cache
def small_examples(augmentation: str = "multi2+permute") -> AttentionExamples:
    corpus, tokenizer = small_corpus(augmentation)
    return make_examples(tokenizer, corpus.entries[:6], SCHEMA)


def random_model(architecture: Any, seed: int = 0) -> Any:
    """Two blocks of four heads, weights large enough for patterns to be far from even."""
    _, tokenizer = small_corpus()
    shape = ModelShape(architecture, n_layers=2, d_model=32, n_heads=4, max_length=256)
    model: Any = make_model(shape, vocab_size=len(tokenizer), seed=seed, eos_token_id=0, pad_token_id=1)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


LAST_NAMES = ("Adler", "Brook", "Crane", "Drake", "Engel", "Frost")
COMPANIES = ("Apex", "Birch", "Cobalt", "Dynamo", "Ember", "Falcon")


@dataclass(frozen=True)
class Planted:
    """Entities whose company follows from their last name, and the model in which head 1.1 carries it.

    train: others, with the same last names and companies.
    """

    entities: list[Entity]
    examples: AttentionExamples
    train: AttentionExamples
    tokenizer: PreTrainedTokenizerFast
    model: Any


@lru_cache
def planted() -> Planted:
    entities: list[Entity] = []
    entries = []
    for i, first in enumerate(["Ann Bo"] * 6 + ["Bo Ann", "Bo Bo", "Ann Ann"] * 6):
        last, company = LAST_NAMES[i % 6], COMPANIES[i % 6]
        name = f"{first} {last}"
        text = f"{name} has an office. She works for {company}."
        at, her = text.index(company), text.index("She")
        split: Any = "test" if i < 6 else "train"
        entities.append(Entity(i, "everyone", name, "she", {"company": company}, split))
        span = {"company": (at, at + len(company))}
        sentence = {"company": (her, len(text))}
        entries.append(Entry(i, 0, text, ((0, len(name)),), ((her, her + 3),), span, sentence))  # type: ignore[arg-type]
    tokenizer = make_tokenizer(TokensRecipe(), [entry.text for entry in entries])
    test, train = (make_examples(tokenizer, half, SCHEMA) for half in (entries[:6], entries[6:]))
    return Planted(entities, test, train, tokenizer, _planted_model(tokenizer))


FLAG, NAME, VALUE, REST, CONSTANT = 0, 1, 7, 13, 62


def _planted_model(tokenizer: PreTrainedTokenizerFast) -> Any:
    """Head 1 of block 1 looks at tokens with the flag of last names and writes the company of the one it sees.

    Residual dimensions: flag, last names, companies, all other tokens. Head 0 of block 0 writes a constant. All
    other heads and both feed-forward parts write nothing; a head without a query looks everywhere alike.
    """
    n = len(LAST_NAMES)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=64, n_layer=2, n_head=2, use_cache=False,
        bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    model: Any = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if ".ln_" in name and name.endswith("weight") else 0.0)
        embedding = model.transformer.wte.weight
        place = REST
        for token, index in tokenizer.get_vocab().items():
            if token in LAST_NAMES:
                embedding[index, FLAG] = embedding[index, NAME + LAST_NAMES.index(token)] = 1.0
            elif token in COMPANIES:
                embedding[index, VALUE + COMPANIES.index(token)] = 1.0
            else:
                embedding[index, place] = 1.0
                place += 1
        assert place <= CONSTANT
        attention, head, width = model.transformer.h[1].attn, 1, 32
        attention.c_attn.bias[head * width] = 20.0  # the query, the same everywhere
        attention.c_attn.weight[FLAG, 64 + head * width] = 20.0  # the key
        for k in range(n):
            attention.c_attn.weight[NAME + k, 128 + head * width + k] = 1.0
            attention.c_proj.weight[head * width + k, VALUE + k] = 5.0
        first = model.transformer.h[0].attn
        first.c_attn.bias[128] = 1.0
        first.c_proj.weight[0, CONSTANT] = 0.5
    return model
