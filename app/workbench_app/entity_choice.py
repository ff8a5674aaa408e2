"""Which entity, target, layer, block and head the Entity page and the detail of a pattern's cell are about."""

from dataclasses import dataclass

from workbench_app.entity_results import EntityView, list_entities, load_entity
from workbench_app.selection import choose
from workbench_app.view import View

TARGETS = ("birth_city/whole", "birth_city/first")


@dataclass(frozen=True)
class EntityChoice:
    """What is shown, and what there is to choose from.

    entities: those stored, by number: (full name, half). found: what each run has of the entity, `views` only what
    can be shown.
    """

    number: int
    entities: dict[int, tuple[str, str]]
    found: dict[str, EntityView | None]
    views: dict[str, EntityView]
    targets: list[str]
    target: str
    layers: list[str]
    layer: str
    blocks: list[str]
    block: str
    heads: list[str]
    head: str

    def look(self, run: str) -> tuple[int, int]:
        """Block and head in a run, which may have fewer than the first."""
        sizes = self.views[run].newest.sizes
        return min(int(self.block), sizes["block"] - 1), min(int(self.head), sizes["head"] - 1)

    def reading(self, run: str) -> tuple[str, str]:
        """Target and layer that this very run has."""
        one = self.views[run]
        layers = [str(name) for name in one.newest["layer"].values.tolist()]
        return choose(self.target, one.targets), choose(self.layer, layers, layers[-1])


def choose_entity(view: View) -> EntityChoice:
    """What the address asks for, or the nearest there is."""
    entities = {id: words for entry in view.runs for id, words in list_entities(view, entry).items()}
    chosen = view.selection.entity
    number = chosen if chosen is not None else next(iter(entities), 0)
    found = {entry.id: load_entity(view, entry, number, view.selection.set) for entry in view.runs}
    views = {run: one for run, one in found.items() if one is not None and one.by_step}
    targets, layers, blocks, heads = _choices(view, next(iter(views.values()), None))
    default = next((target for target in TARGETS if target in targets), "")
    return EntityChoice(
        number,
        entities,
        found,
        views,
        targets,
        choose(view.selection.target, targets, default),
        layers,
        choose(view.selection.layer, layers, layers[-1] if layers else ""),
        blocks,
        choose(view.selection.at.get("block", ""), blocks, blocks[-1] if blocks else ""),
        heads,
        choose(view.selection.at.get("head", ""), heads),
    )


def _choices(view: View, one: EntityView | None) -> tuple[list[str], list[str], list[str], list[str]]:
    """Targets, layers, blocks and heads there are to choose from."""
    if one is not None:
        names = ("layer", "block", "head")
        layers, blocks, heads = ([str(v) for v in one.newest[name].values.tolist()] for name in names)
        return one.targets, layers, blocks, heads
    for entry in view.runs:
        name = next(iter(entry.sets_of("p")), "")
        data = view.cells(entry, name)[0] if name else None
        if data is not None:
            return [str(target) for target in data["target"].values.tolist()], [], [], []
    return [], [], [], []
