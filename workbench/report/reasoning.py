"""The report about runs of the arithmetic world: problems solved, what is known before it is written."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.reasoning import (
    at_several_layers,
    plot_layer_distance,
    plot_properties,
    plot_property_steps,
    plot_solving,
)
from workbench.report.markup import (
    card,
    details,
    escape,
    figure_box,
    grid,
    line_of,
    missing,
    preformatted,
    section,
)
from workbench.report.words import plain_header
from workbench.results.storing import list_results, load_result, require_same_weights, result_path
from workbench.studies.runs import Run
from workbench.studies.study import Study, name_apart
from workbench.training.problems import make_texts
from workbench.worlds.arithmetic.wording import join_words

Plot = Callable[[Study, Sequence[xr.Dataset]], go.Figure]


def is_arithmetic(study: Study) -> bool:
    """Whether it is a run that read problems."""
    return isinstance(study, Run) and study.recipe.arithmetic is not None


def reasoning(runs: Sequence[Study]) -> str:
    """The body of the page; what has not been made yet says which command makes it."""
    found = {run.path: read_results(run) for run in runs}
    called = name_apart(runs)
    names = " · ".join(f"<b>{escape(name)}</b>" for name in called)
    return "\n".join(
        [
            plain_header("What a model works out before it writes")
            + f'<p class="lead">Arithmetic problems whose every quantity is known to us: {names}.</p>',
            section(
                "Problems solved",
                "<p>A solution is right when every sentence of it is. Numbers of operations beyond those of training "
                "come last; <i>reask</i> asks something else about problems of the most operations.</p>",
                _cards(runs, found, "solving", _plot_solved, "solve"),
            ),
            section(
                "Known before it is written",
                "<p>A probe reads a named variable behind a prefix of the text. Beside it the same probe on the "
                "untrained network, and the commonest answer.</p>",
                _cards(runs, found, "v", _of_any(plot_properties), "probe", "--kind", "v"),
                _cards(runs, found, "v", _of_any(plot_property_steps), "probe", "--kind", "v"),
                *_distances(runs, found),
            ),
            section("A problem", grid(*map(_problem, runs, called))),
        ]
    )


def read_results(run: Study) -> dict[str, list[xr.Dataset] | str]:
    """The results of solving and V-probes, by kind, the control's beside each; a damaged one is a sentence."""
    found: dict[str, list[xr.Dataset] | str] = {}
    digests = {checkpoint.step: checkpoint.weights_digest for checkpoint in run.checkpoints}
    try:
        for kind, family, steps in list_results(run.path):
            if kind not in ("solving", "v"):
                continue
            plain, _, variant = family.partition("+")
            loaded = {step: load_result(result_path(run.path, kind, plain, step, variant)) for step in steps}
            for step, dataset in loaded.items():
                require_same_weights(dataset, digests)
                if kind == "v" and 0 in loaded and step:
                    dataset = dataset.assign(untrained=float(loaded[0]["accuracy"]))
                if kind == "solving" or step == max(loaded):
                    made = found.setdefault(kind, [])
                    assert isinstance(made, list)
                    made.append(dataset)
    except WorkbenchError as error:
        return {"solving": str(error), "v": str(error)}
    probes = [one for one in found.get("v", []) if isinstance(one, xr.Dataset)]
    newest = max((int(one["checkpoint"]) for one in probes), default=0)
    if probes:  # one that was last probed earlier would stand beside them as if it were of that step
        found["v"] = [one for one in probes if int(one["checkpoint"]) == newest]
    return found


def _of_any(plot: Callable[[Sequence[xr.Dataset]], go.Figure]) -> Plot:
    """A picture that needs nothing of the run but its results."""
    return lambda _, datasets: plot(datasets)


def _plot_solved(run: Study, datasets: Sequence[xr.Dataset]) -> go.Figure:
    section = run.recipe.arithmetic if isinstance(run, Run) else None
    return plot_solving(datasets, section.problems.operations if section else None)


def _cards(
    runs: Sequence[Study],
    found: dict,
    kind: str,
    plot: Plot,
    *command: str,
) -> str:
    cards = []
    for run, name in zip(runs, name_apart(runs), strict=True):
        results = found[run.path].get(kind, [])
        if isinstance(results, str):
            cards.append(card(name, f'<div class="problem">{escape(results)}</div>'))
        elif plain := [dataset for dataset in results if "+layer" not in dataset.attrs["variant"]]:
            cards.append(card(name, figure_box({kind: plot(run, plain)})))
        else:
            line = line_of("workbench", command[0], run.path, *command[1:])
            cards.append(card(name, missing("Not made yet.", line)))
    return grid(*cards)


def _distances(runs: Sequence[Study], found: dict) -> list[str]:
    """Layer by distance from the query, of each property that was probed at several layers."""
    boxes = []
    for run, called in zip(runs, name_apart(runs), strict=True):
        results = found[run.path].get("v", [])
        for name, layers in at_several_layers([] if isinstance(results, str) else results).items():
            title = f"{called}: {name} by layer and distance"
            boxes.append(details(title, figure_box({"d": plot_layer_distance(layers)})))
    return boxes


def _problem(run: Study, called: str) -> str:
    """One test problem with its shortest solution."""
    assert isinstance(run, Run)
    texts = make_texts(run.recipe, run.tokenizer)
    text = texts.test("shown", 0, min(4, texts.family.operations))
    prompt = join_words(text.written.prompt(texts.recipe.order))
    solution = join_words([word for sentence in text.written.solution for word in sentence])
    return card(called, f"<p>{escape(prompt)}</p>", preformatted(solution), sub=run.model_words)
