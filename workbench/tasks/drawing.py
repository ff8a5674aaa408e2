"""Who is asked: entities one by one, and pairs of one half, so that nothing about a test entity is ever trained on."""

from collections.abc import Sequence

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, Split
from workbench.seeds import make_rng
from workbench.tasks.task import Task, TaskQuestion

SPLITS: tuple[Split, ...] = ("train", "test")


def draw_questions(
    tasks: Sequence[Task],
    entities: Sequence[Entity],
    *,
    seed: int,
    train_entities: int | None = None,
    pairs: int | None = None,
) -> list[TaskQuestion]:
    """Every task's questions about both halves, in mode `direct`, task by task.

    A task about one entity asks each of a half; one about two asks `pairs` ordered pairs of those of each half that
    have the value (default: as many as there are of them, or all pairs), drawn by the seed, no pair twice. All entities
    of a question are in its half. train_entities: how many entities of the train half take part; fewer are among the
    more. Raises WorkbenchError for more entities or pairs than there are, and for a task whose answers are all one.
    """
    halves = {split: _draw_half(entities, split, seed, train_entities) for split in SPLITS}
    questions: list[TaskQuestion] = []
    for task in tasks:
        answers: list[str] = []
        for split, half in halves.items():
            for together in _draw_groups(task, half, split, seed, pairs):
                asked = task.ask(*together)
                if asked is not None:
                    ids = tuple(entity.id for entity in together)
                    questions.append(TaskQuestion(task.name, ids, split, asked))
                    answers.append(asked.answer)
        if not answers:
            raise WorkbenchError(
                f"The task {task.name!r} asks nothing of these facts: nobody has its values, or all have the same."
            )
        if len(answers) > 1 and len(set(answers)) == 1:
            raise WorkbenchError(
                f"All {len(answers):,} answers of the task {task.name!r} are {answers[0]!r}, so one need know "
                "nobody to be right; leave it out."
            )
    return questions


def _draw_half(
    entities: Sequence[Entity], split: Split, seed: int, train_entities: int | None
) -> list[Entity]:
    half = [entity for entity in entities if entity.split == split]
    if split == "test" or train_entities is None:
        return half
    if not 1 <= train_entities <= len(half):
        raise WorkbenchError(
            f"{train_entities} train entities are wanted, and the train half has {len(half)}; "
            f"choose 1 to {len(half)}."
        )
    order = make_rng(seed, "train entities").permutation(len(half))[:train_entities]
    return [half[i] for i in sorted(order)]


def _draw_groups(
    task: Task, half: Sequence[Entity], split: Split, seed: int, pairs: int | None
) -> list[tuple[Entity, ...]]:
    """The entities that are asked about together."""
    if task.n_entities == 1:
        return [(entity,) for entity in half]
    having = [entity for entity in half if task.concerns(entity)]
    n = len(having)
    there_are = n * (n - 1)
    if pairs is not None and pairs > there_are:
        raise WorkbenchError(
            f"{pairs} pairs are wanted, and the {split} half's {n} entities make {there_are}; ask for fewer."
        )
    number = min(n if pairs is None else pairs, there_are)
    if not number:
        return []
    codes = make_rng(seed, "pairs", task.name, split).choice(there_are, number, replace=False)
    first_second = [divmod(int(code), n - 1) for code in codes]
    return [(having[i], having[j + (j >= i)]) for i, j in first_second]
