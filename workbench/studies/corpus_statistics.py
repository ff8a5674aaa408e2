"""What a corpus looks like in numbers: sizes, tokens per entry, chance per target."""

from typing import Any

import numpy as np

from workbench.facts.dependence import find_dependent
from workbench.facts.entities import count_known, split_mask
from workbench.recipes.recipe import Recipe
from workbench.studies.corpus import Corpus
from workbench.tokens.encoding import check_values_tokenize_alike, encode_entries, encode_questions
from workbench.tokens.targets import make_targets
from workbench.tokens.tokenizers import make_tokenizer


def describe_corpus(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    """Counts per group and split, token statistics, and for every target its classes and chance.

    Checks the corpus on the way: every span must fall on token borders and every value must tokenize alike in
    biographies and answers.
    """
    tokenizer = make_tokenizer(recipe.tokens, corpus.count_words())
    entries = encode_entries(tokenizer, corpus.entries, corpus.schema)
    questions = encode_questions(tokenizer, corpus.questions, corpus.schema)
    check_values_tokenize_alike(tokenizer, entries, [entity.values for entity in corpus.entities])
    in_test = split_mask(corpus.entities, "test")
    groups = {group.name: str(recipe.augmentations[group.name]) for group in recipe.groups}
    return {
        "recipe": recipe.name,
        "entities": len(corpus.entities),
        "train_entities": int((~in_test).sum()),
        "test_entities": int(in_test.sum()),
        "groups": {
            name: {
                "entities": sum(entity.group == name for entity in corpus.entities),
                "augmentation": augmentation,
            }
            for name, augmentation in groups.items()
        },
        "entries": len(corpus.entries),
        "questions": len(corpus.questions),
        "vocabulary": len(tokenizer),
        "tokens_per_entry": _spread(entries.lengths),
        "tokens_per_question": _spread(questions.lengths),
        "missing": {
            key: len(corpus.entities) - known
            for key, known in count_known(corpus.schema, corpus.entities).items()
        },
        "follows": find_dependent(corpus.schema, corpus.entities),
        "targets": {
            target.name: {"classes": len(target.classes), "chance": round(target.chance(in_test), 4)}
            for target in make_targets(corpus.entities, corpus.schema, tokenizer)
        },
    }


def _spread(lengths: np.ndarray) -> dict[str, float]:
    return {"mean": round(float(lengths.mean()), 1), "min": int(lengths.min()), "max": int(lengths.max())}
