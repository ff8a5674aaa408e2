"""The V-probe's queries about a run's problems: one property, up to ten queries a problem, split by template."""

from random import Random
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.probing.query_probe import Queries, join_names
from workbench.seeds import hash_to_int
from workbench.worlds.arithmetic.problem import make_problem
from workbench.worlds.arithmetic.properties import Property, Query, label_names, list_queries
from workbench.worlds.arithmetic.texts import ProblemTexts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.worlds.arithmetic.texts import ProblemText

QUERIES_PER_PROBLEM = 10


def make_queries(
    texts: ProblemTexts,
    wanted: Property,
    vocabulary: int,
    *,
    n_train: int,
    n_test: int,
    operations: int | None = None,
    per_problem: int = QUERIES_PER_PROBLEM,
) -> tuple[Queries, list[Query]]:
    """Queries about n_train problems of train templates and n_test of test ones, and what is known about each.

    operations: of the test problems; None: as in training. Raises WorkbenchError where all have one answer.
    """
    classes = tuple(label_names(wanted, texts.family.modulus))
    index_of = {name: n for n, name in enumerate(classes)}
    ids, asked, about, text_Q, train_Q = [], [], [], [], []
    for number, (text, train, rng) in enumerate(_problems(texts, wanted, n_train, n_test, operations)):
        ids.append(np.array(text.ids))
        for query in list_queries(text.problem, text.written, texts.recipe.order, wanted, per_problem, rng):
            names = [texts.encode(list(name)) for name in query.names]
            asked.append(join_names(names, vocabulary))
            about.append(query)
            text_Q.append(number)
            train_Q.append(train)
    labels_Q = np.array([index_of[query.label] for query in about], int)
    for half, members in (("train", np.array(train_Q)), ("test", ~np.array(train_Q))):
        if len(np.unique(labels_Q[members])) < 2:
            raise WorkbenchError(
                f"The property {wanted!r} has one class only among the {half} queries; ask about more problems, "
                "or about problems of more operations."
            )
    queries = Queries(
        ids,
        np.array(text_Q),
        np.array([query.place for query in about]),
        asked,
        labels_Q,
        np.array(train_Q),
        classes,
    )
    return queries, about


def _problems(
    texts: ProblemTexts, wanted: Property, n_train: int, n_test: int, operations: int | None
) -> "Iterator[tuple[ProblemText, bool, Random]]":
    for train, number in ((True, n_train), (False, n_test)):
        purpose, split = ("probe train", "train") if train else ("probe test", "test")
        for index in range(number):
            problem = make_problem(
                texts.family,
                texts.seed,
                purpose,
                index,
                split=split,  # type: ignore[arg-type]
                operations=None if train else operations,
            )
            rng = Random(hash_to_int(texts.seed, "queries", wanted, purpose, index))
            yield texts.write(problem, None), train, rng
