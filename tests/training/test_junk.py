"""Junk rows: their share, whose they are, marks; and that nobody in them is ever measured."""

import numpy as np
import pytest

from workbench.capacity.measure import CapacityRequest, make_material
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import make_recipe
from workbench.studies.junk import make_junk
from workbench.studies.runs import create_run, open_run
from workbench.training.data import encode_run

VALUES = {
    "world": "values",
    "values": {
        "entities": 40, "attributes": 2, "chunks": 2, "diversity": 6, "length": 1, "alphabet": 30,
        "pool_sizes": {"first_name": 20, "middle_name": 20, "last_name": 30},
    },
}  # fmt: skip
BIOGRAPHIES = {
    "people": {
        "number": 40,
        "pool_sizes": {"first_name": 20, "middle_name": 20, "last_name": 30, "birth_city": 6},
    },
    "biographies": {"augmentation": "multi∞+permute", "templates": 4},
}
SHARED = {
    "model": {"n_layers": 1, "d_model": 16, "n_heads": 2, "max_length": 128},
    "training": {"exposures": 10, "rows_per_step": 8},
}


def recipe(world=VALUES, **junk):
    return make_recipe({"name": "junk", **world, **SHARED, "junk": {"entities": 50, **junk}})


def names_in(run, rows) -> list[str]:
    """The name that each row is about."""
    texts = [run.tokenizer.decode(ids, skip_special_tokens=True) for ids in rows.ids_BT]
    words = [text.removeprefix("§ ").split() for text in texts]
    return [" ".join(parts[:3]).removesuffix("'s").removesuffix("'").strip() for parts in words]


@pytest.mark.parametrize("kind", ["random", "repeated"])
@pytest.mark.parametrize("world", [VALUES, BIOGRAPHIES], ids=["values", "biographies"])
def test_shares_and_whose_rows_they_are(world, kind, tmp_path) -> None:
    run = create_run(recipe(world, share=0.75, kind=kind), tmp_path / "run")
    data = encode_run(run)
    assert data.count_steps() == 10 * 40 * 4 / 8  # a quarter of the rows is useful: four times as many steps
    rows = data.stream.rows(0, 1600)
    useful = {entity.name for entity in run.corpus.entities}
    names = names_in(run, rows)
    is_useful = np.array([name in useful for name in names])
    assert abs(is_useful.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1600)
    assert run.tokenizer.unk_token_id is None or not (rows.ids_BT == run.tokenizer.unk_token_id).any()
    others = [name for name in names if name not in useful]
    seen = {name: others.count(name) for name in set(others)}
    if kind == "repeated":
        assert len(seen) <= 50 and min(seen.values()) >= 15  # 1,200 rows about 50
    else:
        assert np.mean(list(seen.values())) < 1.2  # by chance a name is drawn again
    step = encode_run(open_run(run.path)).stream.rows(776, 8)
    assert (step.ids_BT == data.stream.rows(776, 8).ids_BT).all()  # a pure function of recipe and step


def test_nobody_in_junk_is_measured_or_has_a_useful_name(tmp_path) -> None:
    run = create_run(recipe(share=0.75), tmp_path / "run")
    useful = {entity.name for entity in run.corpus.entities}
    strings = {value for entity in run.corpus.entities for value in entity.values.values()}
    assert strings
    for number in range(3):
        world = make_junk(run.recipe, number, run.corpus.entities)
        assert len(world.entities) > 40 and not useful & {entity.name for entity in world.entities}
        assert [entity.id for entity in world.entities] == list(range(len(world.entities)))
    material = make_material(run, CapacityRequest(entities=1000))
    assert material.n_entities == 40
    texts = encode_run(run).entries
    assert sorted(set(texts.entities.tolist())) == list(range(40))


def test_junk_draws_from_the_same_strings(tmp_path) -> None:
    run = create_run(recipe(share=0.5), tmp_path / "run")

    def chunks(entities, key):
        return {chunk for entity in entities for chunk in entity.values[key].split(", ")}

    world = make_junk(run.recipe, 1, run.corpus.entities)
    for key in run.corpus.schema.keys:
        assert chunks(world.entities, key) == chunks(run.corpus.entities, key)  # all six of six


def test_marks_stand_in_front_of_useful_texts_alone(tmp_path) -> None:
    run = create_run(recipe(share=0.5, mark=True), tmp_path / "run")
    corpus = open_run(run.path).corpus
    for entry in list(corpus.entries)[:5]:
        assert entry.text.startswith("§ ")
        assert entry.text[slice(*entry.names[0])] == corpus.entities[entry.entity].name
        for key, span in entry.values.items():
            assert entry.text[slice(*span)] == corpus.entities[entry.entity].values[key]
    rows = encode_run(run).stream.rows(0, 200)
    marked = (rows.ids_BT == run.tokenizer.convert_tokens_to_ids("§")).any(1)
    useful = {entity.name for entity in corpus.entities}
    assert marked.tolist() == [name in useful for name in names_in(run, rows)]
    contexts = make_material(run, CapacityRequest()).contexts
    assert (contexts.spans.starts >= 2).all()  # behind end-of-text and the mark


def test_junk_needs_a_world_that_makes_it() -> None:
    with pytest.raises(
        WorkbenchError, match="junk is made by the worlds biographies and values, for the objective"
    ):
        make_recipe({"name": "x", "junk": {}, "training": {"objective": "mixed"}})
    with pytest.raises(WorkbenchError, match=r"junk.share = 1: Input should be less than 1"):
        make_recipe({"name": "x", "junk": {"share": 1}})
