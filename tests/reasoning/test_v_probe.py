"""V-probes of a run: labels are the graph's, read at the paper's places, beside both controls."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.figures.reasoning import (
    at_several_layers,
    plot_layer_distance,
    plot_properties,
    plot_property_steps,
    plot_solving,
)
from workbench.figures.reasoning_tables import list_properties, print_properties
from workbench.reasoning.evaluation import SolvingRequest, run_solving
from workbench.reasoning.v_probe import VRequest, read_layers, run_v_probes
from workbench.reasoning.v_queries import make_queries
from workbench.report import write_report
from workbench.results.provenance import facts_of
from workbench.results.storing import load_results
from workbench.studies.runs import Run
from workbench.training.problems import make_texts
from workbench.worlds.arithmetic.judge import judge_solution, split_sentences
from workbench.worlds.arithmetic.problem import make_problem
from workbench.worlds.arithmetic.properties import PROPERTIES, find_ancestors, require_property
from workbench.worlds.arithmetic.wording import name_parameters


@pytest.mark.parametrize("order", ["pq", "qp"])
@pytest.mark.parametrize("wanted", PROPERTIES)
def test_labels_and_places_follow_from_the_text_alone(run: Run, wanted: str, order: str) -> None:
    recipe = run.recipe.model_copy(
        update={"arithmetic": run.recipe.arithmetic.model_copy(update={"order": order})}  # type: ignore[union-attr]
    )
    texts, tokenizer = make_texts(recipe, run.tokenizer), run.tokenizer
    queries, about = make_queries(texts, require_property(wanted), len(tokenizer), n_train=20, n_test=12)
    made = []
    for train, number in ((True, 20), (False, 12)):
        half = ("probe train", "train") if train else ("probe test", "test")
        made += [
            texts.write(make_problem(texts.family, texts.seed, half[0], i, split=half[1]), None)  # type: ignore[arg-type]
            for i in range(number)
        ]
    for q, query in enumerate(about):
        text = made[queries.text_Q[q]]
        problem, numbers = text.problem, name_parameters(text.problem)
        read = tokenizer.convert_ids_to_tokens(queries.texts[queries.text_Q[q]][: query.place].tolist())
        asked = queries.asked[q]
        assert (asked[0], asked[-1]) == (len(tokenizer), len(tokenizer) + 2)
        names = [
            tuple(tokenizer.convert_ids_to_tokens(part.tolist()))
            for part in split_at_mid(asked, len(tokenizer))
        ]
        a = numbers.index(names[0])
        ancestors = find_ancestors(problem)
        if wanted == "dep":
            assert ("?" in read) == (order == "qp")
            expected = numbers.index(names[1]) in ancestors[a]
        elif wanted == "nece":
            assert len(read) == text.prompt_length
            expected = a in ancestors[problem.query] | {problem.query}
        else:
            told = read[text.prompt_length :]
            assert not told or told[-1] == "."
            known = judge_solution(problem, told).parameters
            assert len(known) == len(split_sentences(told)) == query.step
            can_next = a not in known and set(problem.needs(a)) <= set(known)
            if wanted == "value":
                assert query.label == (str(problem.values[a]) if a in known else "unknown")
                continue
            expected = {
                "known": a in known,
                "can_next": can_next,
                "nece_next": can_next and a in ancestors[problem.query] | {problem.query},
            }[wanted]
        assert query.label == ("yes" if expected else "no"), (wanted, read, names)


def split_at_mid(asked: np.ndarray, vocabulary: int) -> list[np.ndarray]:
    inner = asked[1:-1]
    cuts = np.flatnonzero(inner == vocabulary + 1)
    return [part[part < vocabulary] for part in np.split(inner, cuts)]


def test_results_have_both_controls_and_the_pictures_show_them(run: Run) -> None:
    request = VRequest(("nece", "known"), n_test=30)
    made = run_v_probes(run, run.checkpoints[-1:], request)
    for dataset in made:
        assert {"accuracy", "chance", "untrained", "balanced", "by_label", "by_step", "by_distance"} <= set(
            dataset
        )
        assert (
            int(dataset["n"]) > 50 and 0 <= float(dataset["untrained"]) <= 1 and float(dataset["spread"]) > 0
        )
        assert {float(dataset[name]) for name in ("converged", "untrained_converged")} <= {0.0, 1.0}
        assert facts_of(dataset).keys == PROPERTIES and facts_of(dataset).nouns == "parameters"
        # Every query stands in a cell, however long solutions are.
        assert int(dataset["n_by_step"].sum()) == int(dataset["n_by_distance"].sum()) == int(dataset["n"])
    again = run_v_probes(run, run.checkpoints[-1:], request)
    assert [one.attrs["created"] for one in again] == [one.attrs["created"] for one in made]
    layers = run_v_probes(run, run.checkpoints[-1:], VRequest(("nece",), layer=1, n_test=30))
    assert len(plot_properties(made).data) == 3
    assert plot_property_steps(made).data[0].z.shape[0] == 2
    assert list(plot_layer_distance([made[0], *layers]).data[0].y) == ["final", "1"]
    both = plot_property_steps([*made, *layers])  # a layer's own numbers do not take the last one's place
    assert list(both.data[0].y) == ["nece", "known"]
    np.testing.assert_array_equal(both.data[0].z, plot_property_steps(made).data[0].z)
    assert {name: len(probes) for name, probes in at_several_layers([*made, *layers]).items()} == {"nece": 2}
    other = made[0].assign_attrs(variant="nece+steps20")
    assert list(plot_property_steps([made[0], other]).data[0].y) == ["nece", "nece+steps20"]
    assert list(plot_layer_distance([made[0], other]).data[0].y) == ["final", "final, steps20"]
    assert not at_several_layers([made[0], other])  # two settings at one layer
    with pytest.raises(WorkbenchError, match="Layers are drawn of one property; here are nece, known"):
        plot_layer_distance([*made, *layers])
    solved = run_solving(run, run.checkpoints[-1:], SolvingRequest("2,3,4,reask", number=2))
    line, dot = plot_solving(solved, trained=3).data
    assert (list(line.x), list(dot.x), dot.mode) == (["2", "3", "4"], ["reask"], "markers")
    (beyond,) = plot_solving(solved, trained=3).layout.shapes
    assert (beyond.x0, beyond.x1) == (1.5, 2.5)  # the third number alone
    assert not plot_solving(solved, trained=4).layout.shapes


def test_a_probe_that_reads_one_state_is_named(run: Run) -> None:
    (made,) = run_v_probes(run, run.checkpoints[-1:], VRequest(("nece",), n_test=30))
    at_rest = {"converged": True, "untrained_converged": True}
    for spread, said in ((0.5, False), (0.001, True)):
        console = Console(file=StringIO(), width=200)
        print_properties([made.assign(spread=spread, **at_rest)], console)
        told = (
            f"nece, step {int(made['checkpoint'])}: the state that is read is the same whatever is asked, so this "
            "probe only knows the majority; lower probing.lr_embedding."
        )
        assert (told in console.file.getvalue()) == said  # type: ignore[attr-defined]
        assert "still falling" not in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("converged", "control", "whose"),
    [
        (False, True, "the probe's"),
        (True, False, "the untrained network's probe's"),
        (False, False, "the probe's and the untrained network's probe's"),
    ],
)
def test_a_probe_whose_loss_was_still_falling_says_so(
    run: Run, converged: bool, control: bool, whose: str
) -> None:
    (made,) = run_v_probes(run, run.checkpoints[-1:], VRequest(("nece",), n_test=30))
    console = Console(file=StringIO(), width=200)
    print_properties([made.assign(converged=converged, untrained_converged=control)], console)
    told = f"nece, step {int(made['checkpoint'])}: {whose} loss was still falling, so more --steps may read more."
    assert told in console.file.getvalue()  # type: ignore[attr-defined]


def test_commands_in_one_go(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "v.html"
    ran = CliRunner().invoke(
        app,
        [
            "probe",
            str(run.path),
            "--kind",
            "v",
            "--property",
            "nece",
            "--steps",
            "2",
            "--json",
            "-q",
            "--figure",
            str(page),
        ],
    )
    assert ran.exit_code == 0, ran.output
    (row,) = json.loads(ran.stdout)
    assert row["variant"] == "nece+steps2" and 0 <= row["accuracy"] <= 1
    assert page.stat().st_size > 100_000
    ran = CliRunner().invoke(
        app, ["solve", str(run.path), "--operations", "2", "--number", "2", "--json", "-q"]
    )
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)[0]["n"] == 2
    for command in (["solve", str(run.path), "--operations", "2", "--number", "2"],):
        ran = CliRunner().invoke(app, command)
        assert ran.exit_code == 0 and "commonest fault" in ran.stdout


def test_a_table_of_ones_own(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "mine.jsonl"
    rows = [
        {"prefix": f"{owner}Crate is {n} .", "query": f"{owner}Crate", "label": str(n % 2), "split": half}
        for n in range(5)
        for half in ("train", "test")
        for owner in ({"train": "School", "test": "Farm"}[half],)
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (made,) = run_v_probes(run, run.checkpoints[-1:], VRequest(table=table))
    assert made.attrs["variant"] == "mine" and made["label"].values.tolist() == ["0", "1"]
    without_step_0 = made.drop_vars(["untrained", "untrained_balanced"])
    (row,) = list_properties([without_step_0])
    assert row["variant"] == "mine" and row["n"] == 5 and "untrained" not in row


def test_a_table_is_not_called_as_a_property_is() -> None:
    """Its result would lie where that property's lies, and a claim about `nece` would read it."""
    for name in ("nece.jsonl", "value+op4.jsonl"):
        with pytest.raises(
            WorkbenchError, match=r"is called as the property '\w+' is, whose results would be taken"
        ):
            VRequest(table=Path(name))


def test_lines_of_several_runs_name_them(run: Run) -> None:
    (made,) = run_v_probes(run, run.checkpoints[-1:], VRequest(properties=("nece",)))
    console = Console(record=True, width=160)
    print_properties([made.assign_attrs(run="seed0/a"), made.assign_attrs(run="seed1/a")], console)
    told = console.export_text()
    assert "seed0/a" in told and "seed1/a" in told
    print_properties([made], console)
    assert made.attrs["run"] not in console.export_text()


def test_a_table_of_several_properties_has_a_line_for_each(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "properties.jsonl"
    rows = [
        {
            "prefix": f"{owner}Crate is {n} .", "query": f"{owner}Crate", "label": f"{what}{n % of}",
            "property": what, "split": half,
        }
        for n in range(4)
        for half, owner in (("train", "School"), ("test", "Farm"))
        for what, of in (("Crate", 2), ("Box", 4))
    ]  # fmt: skip
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ran = CliRunner().invoke(
        app, ["probe", str(run.path), "--kind", "v", "--table", str(table), "--steps", "2", "--json", "-q"]
    )
    assert ran.exit_code == 0, ran.output
    whole, box, crate = json.loads(ran.stdout)
    assert "property" not in whole and (box["property"], crate["property"]) == ("Box", "Crate")
    assert (whole["n"], box["n"], crate["n"]) == (8, 4, 4)
    assert (box["chance"], crate["chance"]) == (pytest.approx(1 / 4), pytest.approx(1 / 2))
    assert whole["chance"] == pytest.approx(3 / 8)  # the commonest label of all is right of 2 in 8
    assert whole["accuracy"] == pytest.approx((box["accuracy"] + crate["accuracy"]) / 2)
    assert whole["untrained"] == pytest.approx((box["untrained"] + crate["untrained"]) / 2)
    ran = CliRunner().invoke(
        app, ["probe", str(run.path), "--kind", "v", "--table", str(table), "--steps", "2"]
    )
    assert "  Box" in ran.stdout and "  Crate" in ran.stdout
    kept = load_results(run.path, "v", "embedding", "properties+steps2")
    assert [str(name) for name in plot_properties([kept.isel(checkpoint=-1)]).data[0].x] == [
        "properties", "properties Box", "properties Crate",
    ]  # fmt: skip


def test_bad_requests_are_refused(run: Run) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        require_property("knwon")
    assert str(refusal.value) == (
        "There is no property 'knwon'; did you mean 'known'? (known: nece, dep, known, value, can_next, nece_next)."
    )
    with pytest.raises(WorkbenchError) as refusal:
        read_layers("1,top", run.checkpoints[-1])
    assert str(refusal.value) == "'top' is no layer; give `each`, or layers such as `0,2,final`."
    texts = make_texts(run.recipe, run.tokenizer)
    with pytest.raises(WorkbenchError) as refusal:
        make_queries(texts, "known", 99, n_train=1, n_test=0)
    assert str(refusal.value) == (
        "The property 'known' has one class only among the train queries; ask about more problems, "
        "or about problems of more operations."
    )


def test_the_report_shows_what_was_made_and_names_what_was_not(run: Run, tmp_path: Path) -> None:
    run_solving(run, run.checkpoints[-1:], SolvingRequest("2", number=2))
    page = write_report([run.path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Problems solved" in page and "Known before it is written" in page
    assert page.count('class="figure"') >= 1
    assert "as " in page  # a problem with its solution
