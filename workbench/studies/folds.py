"""Runs shown as one: seeds of one experiment, or runs that share the value of a key of their recipes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from workbench.errors import WorkbenchError, nearest
from workbench.files import digest_json
from workbench.recipes.differences import flatten_sections
from workbench.recipes.recipe import Recipe
from workbench.studies.runs import Run
from workbench.studies.study import Study

SEED = "seed"  # fold by it: runs that differ in their seed alone
MOST_NAMED = 3


@dataclass(frozen=True)
class Fold:
    """One or several runs shown as one. members: their places in what was folded; differ: keys in which they do."""

    name: str
    members: tuple[int, ...]
    differ: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What the runs are and how they differ: `3 runs that differ in seed`."""
        named = ", ".join(self.differ[:MOST_NAMED])
        more = f" and {len(self.differ) - MOST_NAMED} more keys" if len(self.differ) > MOST_NAMED else ""
        return f"{len(self.members)} runs that differ in {named or 'nothing'}{more}"


def fold_runs(names: Sequence[str], recipes: Sequence[Recipe | None], by: str = SEED) -> list[Fold]:
    """The runs as they are shown, in the order of their first members.

    by: `seed` folds those whose recipes differ in name and seed at most, each seed once; any other key of a recipe
    (`biographies.augmentation`) folds those with the same value of it, whatever else differs. A run without a recipe,
    or without the key, stays alone. Raises WorkbenchError for a key that no recipe has.
    """
    flat = [None if recipe is None else flatten_sections(recipe.to_json()) for recipe in recipes]
    known = sorted({key for one in flat if one is not None for key in one} - {"name"})
    if by not in known:
        raise WorkbenchError(
            f"No recipe has the key {by!r}{nearest(by, known)} (`seed`, or any other key of a recipe, e.g. "
            "`biographies.augmentation`)."
        )
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(flat):
        alone = f"alone {place}"
        if one is None or by not in one:
            groups[alone] = [place]
        elif by == SEED:
            key = digest_json({key: value for key, value in one.items() if key not in ("name", SEED)})
            groups.setdefault(key, []).append(place)
        else:
            groups.setdefault(digest_json(one[by]), []).append(place)
    found = []
    for members in groups.values():
        apart = by != SEED or _each_once([flat[place] for place in members])
        for part in [members] if apart else [[place] for place in members]:
            found.append(_fold(part, names, flat, by))
    found.sort(key=lambda fold: fold.members[0])
    told = [fold.name for fold in found]
    return [
        replace(fold, name=f"{fold.name}, {names[fold.members[0]]}") if told.count(fold.name) > 1 else fold
        for fold in found
    ]


def recipe_of(study: Study) -> Recipe | None:
    """A run's recipe; None of a study of models that stand elsewhere."""
    return study.recipe if isinstance(study, Run) else None


def _each_once(recipes: Sequence[dict | None]) -> bool:
    """Whether no seed is there twice (copies of a run are no seeds of an experiment)."""
    seeds = [one[SEED] for one in recipes if one is not None]
    return len(set(seeds)) == len(seeds)


def _fold(members: list[int], names: Sequence[str], flat: Sequence[dict | None], by: str) -> Fold:
    if len(members) == 1:
        return Fold(names[members[0]], (members[0],))
    recipes = [one for place in members if (one := flat[place]) is not None]
    keys = dict.fromkeys(key for one in recipes for key in one if key != "name")
    differ = tuple(key for key in keys if len({digest_json(one.get(key)) for one in recipes}) > 1)
    if by != SEED:
        return Fold(f"{by.rpartition('.')[2]} {recipes[0][by]}", tuple(members), differ)
    return Fold(_common([names[place] for place in members]), tuple(members), differ)


def _common(names: Sequence[str]) -> str:
    """What the names of a fold's runs have in common: `single-s0`, `single-s1` → `single`; else the first's."""
    letters = list(takewhile(lambda alike: len(set(alike)) == 1, zip(*names, strict=False)))
    shared = names[0][: len(letters)].rstrip("0123456789")
    for ending in ("-seed", "_seed", " seed", "-s", "_s"):
        shared = shared.removesuffix(ending)
    return shared.rstrip("-_. ") or names[0]
