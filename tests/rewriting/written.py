"""Texts to check: a small corpus of the biographies world, and a checker that knows it."""

from functools import cache

from workbench.facts.entities import Entity
from workbench.recipes.recipe import load_recipe
from workbench.rewriting.checking import Checker
from workbench.rewriting.contexts import learn_contexts
from workbench.rewriting.mentions import Mentions
from workbench.rewriting.wordings import Wordings
from workbench.studies.corpus import Corpus, make_corpus


@cache
def make_people() -> Corpus:
    """150 people with the full pools and all templates, five shuffled entries each."""
    recipe = load_recipe(
        "tiny",
        [
            "biographies.augmentation=multi5+permute",
            "people.number=150",
            "people.pool_sizes={}",
            "biographies.templates=50",
        ],
    )
    return make_corpus(recipe)


@cache
def make_checker(declared: bool = False) -> Checker:
    """A checker that learned from the first 100 people's entries."""
    corpus = make_people()
    wordings = Wordings(
        rules={"birth_date": ("date",), "birth_city": ("us-state",)} if declared else {},
        lists={"university": {"Massachusetts Institute of Technology": ("MIT",)}} if declared else {},
    )
    contexts = learn_contexts(corpus.schema, corpus.entries[:500])
    return Checker(corpus.schema, Mentions(corpus.schema, corpus.entities, wordings), contexts, (10, 150))


PERSON = Entity(
    0,
    "everyone",
    "Esther Beckett Nunez",
    "she",
    {
        "birth_date": "October 2, 1996",
        "birth_city": "Princeton, NJ",
        "university": "Massachusetts Institute of Technology",
        "major": "Communications",
        "company": "Meta Platforms",
        "company_city": "Menlo Park, CA",
    },
    "train",
)
GOOD = (
    "Esther Beckett Nunez was born on October 2, 1996 in Princeton, NJ. She attended Massachusetts Institute of "
    "Technology, where she studied Communications. After graduating she joined Meta Platforms in Menlo Park, CA."
)
