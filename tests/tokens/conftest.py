"""A corpus that holds every shipped value, and every kind of tokenizer made from it."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from workbench.facts.entities import PRONOUNS, Entity, split_of
from workbench.recipes.recipe import TokensRecipe
from workbench.studies.corpus import Corpus
from workbench.tasks.questions import make_questions
from workbench.tokens.tokenizers import END, make_tokenizer
from workbench.worlds.augmentation import parse_augmentation
from workbench.worlds.biographies.pools import MONTHS, load_pools
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.biographies.world import load_shipped_templates
from workbench.worlds.texts import TextWorld

N_ENTITIES = 300  # the largest pool of values
KINDS = ["word", "bpe", "bpe restricted", "gpt2", "gpt2 restricted"]


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """300 entities who between them have every shipped city, university, major, company, month and year."""
    pools = load_pools()

    def pick(pool: str, i: int) -> str:
        return pools.values[pool][i % len(pools.values[pool])]

    entities = []
    for i in range(N_ENTITIES):
        name = " ".join(pick(part, i) for part in ("first_name", "middle_name", "last_name"))
        company = pick("company", i)
        values = {
            "birth_date": f"{MONTHS[i % 12]} {i % 28 + 1}, {1900 + i % 200}",
            "birth_city": pick("birth_city", i),
            "university": pick("university", i),
            "major": pick("major", i),
            "company": company,
            "company_city": pools.company_city[company],
        }
        entities.append(Entity(i, "everyone", name, PRONOUNS[i % 3], values, split_of(name, 0)))
    plan = {"everyone": parse_augmentation("single+permute1")}
    entries = list(TextWorld(SCHEMA, entities, plan, load_shipped_templates(), seed=0).entries())
    return Corpus(SCHEMA, entities, entries, make_questions(entities, SCHEMA))


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer file built like GPT-2's (bytes, no leading space, one special token), from other text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    docs = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parents[1].rglob("*.py"))]
    tokenizer.train_from_iterator(docs, trainer)
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session", params=KINDS)
def recipe(request: pytest.FixtureRequest, gpt2_folder: Path) -> TokensRecipe:
    name, _, restricted = request.param.partition(" ")
    return TokensRecipe(
        tokenizer=name, source=str(gpt2_folder), vocabulary_size=800, restrict=bool(restricted)
    )


@pytest.fixture(scope="session")
def tokenizer(recipe: TokensRecipe, corpus: Corpus) -> PreTrainedTokenizerFast:
    return make_tokenizer(recipe, corpus.texts)
