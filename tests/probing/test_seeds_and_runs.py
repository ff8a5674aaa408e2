"""Several seeds and several runs in one call; the name's tokens; progress while probing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.probing.probed_runs import PROBING, train_micro
from tests.probing.test_confusion import linked
from workbench.errors import WorkbenchError
from workbench.figures.cells import describe_cells, select_cells
from workbench.figures.tables import table_text
from workbench.probing.name_tokens import NAME_PLACES, find_name_places
from workbench.probing.pooling import group_by_recipe, pool_results, pool_runs
from workbench.probing.request import ProbeRequest
from workbench.probing.runner import run_probes
from workbench.recipes.recipe import TokensRecipe
from workbench.results.storing import list_results, load_result, result_path
from workbench.studies.runs import Run
from workbench.tokens.encoding import encode_names
from workbench.tokens.tokenizers import make_tokenizer


@pytest.fixture(scope="session")
def other_seed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`single_run` with another seed."""
    return train_micro(tmp_path_factory.mktemp("other") / "single", seed=1, **PROBING)


def test_several_seeds_are_the_single_ones_side_by_side(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    last = run.checkpoints[-1:]
    (both,) = run_probes(run, last, ProbeRequest(kind="q", seeds=(0, 3)), device="cpu")
    assert both["accuracy"].dims == ("position", "target", "seed")
    for seed in (0, 3):
        (one,) = run_probes(run, last, ProbeRequest(kind="q", seeds=(seed,)), device="cpu")
        xr.testing.assert_equal(both.sel(seed=seed, drop=True), one)
    assert json.loads(both.attrs["settings"])["seed"] == [0, 3]
    assert [f.family for f in list_results(run.path)] == [
        "embedding",
        "embedding+seed3",
        "embedding+seeds0-3",
    ]
    kept = result_path(run.path, "q", "embedding", last[0].step, "seeds0-3")
    before = kept.stat().st_mtime_ns
    run_probes(run, last, ProbeRequest(kind="q", seeds=(0, 3)), device="cpu")
    assert kept.stat().st_mtime_ns == before  # not made twice
    xr.testing.assert_identical(load_result(kept), both)


def test_tables_say_mean_and_spread_over_seeds(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    (both,) = run_probes(run, run.checkpoints[-1:], ProbeRequest(kind="q", seeds=(0, 3)), device="cpu")
    cells = select_cells(both, dims=("target",))
    accuracy = both["accuracy"].isel(position=0)
    np.testing.assert_allclose(cells["accuracy"], accuracy.mean("seed"))
    np.testing.assert_allclose(
        cells["highest"] - cells["lowest"], accuracy.max("seed") - accuracy.min("seed")
    )
    assert (cells["n"] == both["n"].isel(seed=0, position=0)).all()  # the same entities twice
    text = table_text(both)
    assert "lowest–highest" in text
    assert "mean over 2 seeds, which differ by" in text


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_seeds_that_make_no_sense_are_refused(seeds: tuple[int, ...]) -> None:
    with pytest.raises(WorkbenchError, match=r"The seeds are \[.*\]; give different numbers from 0"):
        ProbeRequest(seeds=seeds)


def test_runs_of_several_seeds_are_pooled(
    single_run: Run, permuted_run: Run, other_seed: Run, tmp_path: Path
) -> None:
    runs = [single_run, permuted_run, other_seed]
    assert group_by_recipe(runs) == [[0, 2], [1]]
    of_seed: list[Any] = []
    for number, original in enumerate((single_run, other_seed)):
        run = linked(original, tmp_path / str(number))
        of_seed += run_probes(run, run.checkpoints[-1:], ProbeRequest(family="nearest-mean"), device="cpu")
    pooled = pool_runs([single_run, other_seed], of_seed)
    assert pooled["seed"].values.tolist() == [0, 1]
    cells = select_cells(pooled.sel(layer="final"))
    expected = sum(part["accuracy"].sel(layer="final") for part in of_seed) / 2
    xr.testing.assert_allclose(cells["accuracy"], expected, check_dim_order=False)
    assert (cells["n"] == sum(part["n"].sel(layer="final") for part in of_seed)).all()  # different entities
    assert "mean over 2 runs" in table_text(pooled.sel(layer="final"))


def test_each_word_of_a_name_has_its_place(single_run: Run) -> None:
    tokenizer = single_run.tokenizer
    names = [entity.name for entity in single_run.corpus.entities]
    encoded = encode_names(tokenizer, names)
    places = find_name_places(tokenizer, names, encoded)
    for n, name in enumerate(names):
        ids = encoded.text_ids(n)
        read = dict(zip(NAME_PLACES, places[n], strict=True))
        assert ids[read["start"]] == ids[read["end"]] == tokenizer.eos_token_id
        assert read["end"] == len(ids) - 1
        words = [tokenizer.decode(ids[1 : read[word] + 1]) for word in ("first", "middle", "last")]
        assert words == [name.split()[0], " ".join(name.split()[:2]), name]
    first, middle, last = names[0].split()
    short = [f"{first} {last}", last, f"{first} {middle} {middle} {last}"]
    found = find_name_places(tokenizer, short, encode_names(tokenizer, short))
    assert found.tolist() == [[0, 1, -1, 2, 3], [0, -1, -1, 1, 2], [0, 1, 3, 4, 5]]


def test_a_word_of_several_tokens_is_read_at_its_last_one() -> None:
    """Byte pairs learned from other names cut most words of these in pieces."""
    tokenizer = make_tokenizer(
        TokensRecipe(tokenizer="bpe", vocabulary_size=300, restrict=False),
        ["Abe Bob Cody", "Dan Eve Fay"] * 9,
    )
    names = ["Abednego Bartholomew Codington", "Dan Evelyn", "Fay"]
    encoded = encode_names(tokenizer, names)
    assert (encoded.lengths > 2 + np.array([3, 2, 1])).any()
    for n, (name, places) in enumerate(zip(names, find_name_places(tokenizer, names, encoded), strict=True)):
        words = name.split()
        where = {1: [3], 2: [1, 3], 3: [1, 2, 3]}[len(words)]
        for number, place in enumerate(where, 1):
            read = tokenizer.decode(encoded.text_ids(n)[1 : places[place] + 1])
            assert read.strip() == " ".join(words[:number])


def test_probes_on_activations_read_a_name_token_by_token(single_run: Run, tmp_path: Path) -> None:
    """The start token knows nobody: its cells answer the same for all, and its confusion has one column."""
    run = linked(single_run, tmp_path / "run")
    (found,) = run_probes(run, run.checkpoints[-1:], ProbeRequest(kind="q", family="ridge"), device="cpu")
    assert found["position"].values.tolist() == list(NAME_PLACES)
    said = found["confusion"].sel(position="start").sum("true_value")
    assert ((said > 0).sum("said_value") == 1).all()
    assert (found["n"] == found["n"].isel(layer=0, position=0, target=0)).all()
    text = table_text(found.isel(layer=-1))
    assert text.splitlines()[1].split()[2:] == [*NAME_PLACES, "n"]


def test_a_learning_curve_is_a_result_of_its_own(single_run: Run, tmp_path: Path) -> None:
    run = linked(single_run, tmp_path / "run")
    request = ProbeRequest(family="nearest-mean", learning_curve=True, layers=("final",), seeds=(0, 1))
    (curve,) = run_probes(run, run.checkpoints[-1:], request, device="cpu")
    assert curve["accuracy"].dims == ("train_entities", "layer", "position", "target", "seed")
    assert [(f.kind, f.family) for f in list_results(run.path)] == [
        ("p_curve", "nearest-mean+layers-final+seeds0-1")
    ]
    (whole,) = run_probes(
        run, run.checkpoints[-1:], ProbeRequest(family="nearest-mean", layers=("final",)), device="cpu"
    )
    last = curve.isel(train_entities=-1).sel(seed=0)
    xr.testing.assert_allclose(last["accuracy"].drop_vars(("train_entities", "seed")), whole["accuracy"])
    with pytest.raises(WorkbenchError, match="--learning-curve does not go with the family 'embedding'"):
        ProbeRequest(learning_curve=True)


def pooled_by_hand(*accuracies: list[float], converged: list[bool] | None = None) -> list[xr.Dataset]:
    """A result a run: one position, targets `a/whole` and `b/whole`, its own chance."""
    return [
        xr.Dataset(
            {
                "accuracy": (("position", "target"), [values]),
                "ci_low": (("position", "target"), [[0.0, 0.0]]),
                "ci_high": (("position", "target"), [[1.0, 1.0]]),
                "n": (("position", "target"), [[0 if np.isnan(value) else 50 for value in values]]),
                "chance": ("target", [0.1 * (place + 1)] * 2),
                "converged": ("target", converged or [True, True]),
            },
            coords={"position": [0], "target": ["a/whole", "b/whole"]},
        )
        for place, values in enumerate(accuracies)
    ]


def test_a_mean_over_runs_says_of_how_many_it_is() -> None:
    nan = float("nan")
    results = pooled_by_hand([0.5, 0.5], [0.7, nan], [0.9, 0.7])
    cells = select_cells(pool_results(results, ["x", "y", "z"], [0, 1, 2]))
    assert cells["averaged"].values.tolist() == [[3, 2]]
    np.testing.assert_allclose(cells["accuracy"].values, [[0.7, 0.6]])
    np.testing.assert_allclose(  # of the runs that have the value: .1, .2, .3 and .1, .3
        cells["chance"].transpose("position", "target").values, [[0.2, 0.2]]
    )
    results = pooled_by_hand([0.5, nan], [0.7, 0.5], [0.9, 0.7])
    cells = select_cells(pool_results(results, ["x", "y", "z"], [0, 1, 2]))
    np.testing.assert_allclose(cells["chance"].transpose("position", "target").values, [[0.2, 0.25]])
    hover = describe_cells(cells.isel(position=0), ("target",), str).tolist()
    assert "mean over 3 runs: 50.0–90.0" in hover[0]
    assert "mean over 2 of 3 runs: 50.0–70.0" in hover[1]


def test_a_run_one_of_whose_probe_seeds_did_not_converge_has_not_converged() -> None:
    missed, done = (pooled_by_hand([0.5, 0.5], converged=[flag, True])[0] for flag in (False, True))
    of_seeds = xr.concat([missed, done], dim=xr.Variable("seed", [0, 1]), data_vars="all")
    cells = select_cells(pool_results([of_seeds, of_seeds], ["x", "y"], [0, 1]))
    assert cells["converged"].values.tolist() == [False, True]
