"""What a corpus looks like in numbers: sizes, tokens per entry, chance per target."""

from typing import Any

import numpy as np

from workbench.recipes.recipe import Recipe
from workbench.studies.corpus import Corpus
from workbench.tokens.encoding import check_values_tokenize_alike, encode_entries, encode_questions
from workbench.tokens.targets import make_targets
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.biographies.people import split_mask


def describe_corpus(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    """Counts per group and split, token statistics, and for every target its classes and chance.

    Checks the corpus on the way: every span must fall on token borders and every value must tokenize alike in
    biographies and answers.
    """
    tokenizer = make_tokenizer(recipe.tokens, corpus.texts)
    entries = encode_entries(tokenizer, corpus.entries)
    questions = encode_questions(tokenizer, corpus.questions)
    check_values_tokenize_alike(tokenizer, entries, [person.values for person in corpus.people])
    in_test = split_mask(corpus.people, "test")
    groups = {group.name: str(recipe.augmentations[group.name]) for group in recipe.groups}
    return {
        "recipe": recipe.name,
        "people": len(corpus.people),
        "train_people": int((~in_test).sum()),
        "test_people": int(in_test.sum()),
        "groups": {
            name: {
                "people": sum(person.group == name for person in corpus.people),
                "augmentation": augmentation,
            }
            for name, augmentation in groups.items()
        },
        "entries": len(corpus.entries),
        "questions": len(corpus.questions),
        "vocabulary": len(tokenizer),
        "tokens_per_entry": _spread(entries.lengths),
        "tokens_per_question": _spread(questions.lengths),
        "targets": {
            target.name: {"classes": len(target.classes), "chance": round(target.chance(in_test), 4)}
            for target in make_targets(corpus.people, tokenizer)
        },
    }


def _spread(lengths: np.ndarray) -> dict[str, float]:
    return {"mean": round(float(lengths.mean()), 1), "min": int(lengths.min()), "max": int(lengths.max())}
