"""What a study holds, in words and numbers."""

from typing import Any

from workbench.facts.dependence import find_dependent
from workbench.facts.entities import split_mask
from workbench.studies.table_study import TableStudy
from workbench.tokens.targets import make_targets


def describe_study(study: TableStudy) -> dict[str, Any]:
    """One sentence (`words`), the places read, which attribute `follows` from which, and for every target that can be
    probed its classes and chance."""
    corpus = study.corpus
    in_test = split_mask(corpus.entities, "test")
    models = len(study.checkpoints)
    words = (
        f"{models} model{'s' if models > 1 else ''} ({study.model_words}), {len(corpus.entities):,} "
        f"{study.schema.nouns} ({int((~in_test).sum()):,} train, {int(in_test.sum()):,} test), "
        f"{len(corpus.entries):,} texts, "
        f"{len(corpus.questions):,} questions, read at {', '.join(study.read)}; texts start with {study.start}"
    )
    return {
        "words": words,
        "models": models,
        "entities": len(corpus.entities),
        "texts": len(corpus.entries),
        "questions": len(corpus.questions),
        "read": list(study.read),
        "follows": find_dependent(corpus.schema, corpus.entities),
        "targets": {
            target.name: {"classes": len(target.classes), "chance": round(target.chance(in_test), 4)}
            for target in make_targets(corpus.entities, corpus.schema, study.tokenizer, told=True)
        },
    }
