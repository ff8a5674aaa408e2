"""The report's pictures: heatmaps side by side, the paper's, training, the name alone."""

from collections.abc import Mapping, Sequence

import xarray as xr

from workbench.figures import (
    paper_p_probe,
    paper_q_probe,
    plot_difference,
    plot_emergence,
    plot_heatmap_series,
    plot_layer_heatmap,
    plot_learning_curve,
    plot_probe_heatmap,
    plot_probe_over_training,
    plot_q_bars,
    plot_seen_partners,
    plot_seen_sets,
    plot_training_curves,
)
from workbench.figures.cells import target_label
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.paper import TARGETS
from workbench.figures.reading import read_warnings
from workbench.figures.sets import partner_gain
from workbench.figures.tables import table_text
from workbench.report.markup import (
    card,
    details,
    escape,
    figure_box,
    grid,
    line_of,
    matrix,
    missing,
    preformatted,
    section,
    switch,
)
from workbench.report.parts import FAMILY, RunParts, probe_words

Parts = Sequence[RunParts]
FORMS = {"accuracy": "all entries", "accuracy_not_next": "without “it is the very next value”"}


def heatmaps(parts: Parts) -> str:
    """The P-probe of each run side by side, on one scale."""
    return section(
        "Where each fact can be read",
        "<p>A probe looks at the hidden state just before the first, second, … value of a text is stated "
        "(positions 0, 1, …; of a study, at the places it reads) and guesses each attribute that has <b>not yet</b> "
        "been stated. Cells are the share of entities, none of them seen by the probe, for whom it is right, in "
        "percent.</p>",
        _legend(switch("p", FORMS) if any(part.p is not None for part in parts) else ""),
        grid(*(_heatmap_card(part) for part in parts)),
    )


def _heatmap_card(part: RunParts) -> str:
    if part.p is None:
        absent = missing("Not probed yet.", line_of("workbench", "probe", part.run.path, *part.who))
        return card(part.name, absent, sub=part.line_below())
    variants = {
        name: plot_probe_heatmap(part.p, variable=name, colour_bar=False, titles=False)
        for name in FORMS
        if name in part.p
    }
    text = details("the same as text", preformatted(table_text(part.p)))
    notes = "".join(
        f'<p class="sub">Note: {escape(warning)}</p>' for warning in read_warnings(part.p.isel(checkpoint=-1))
    )
    below = [f"step {int(part.p['checkpoint'].values[-1]):,}", *filter(None, [probe_words(part.p)])]
    return card(part.name, figure_box(variants, "p"), notes, text, sub=part.line_below(*below))


def paper(parts: Parts) -> str:
    """The paper's own heatmap for the same augmentation, and ours minus theirs folded below."""
    known = [part for part in parts if part.in_paper]
    if not known:
        return ""
    return section(
        "The paper, beside",
        "<p>Figures 5 and 13(c) of Allen-Zhu and Li, <i>Physics of Language Models: Part 3.1</i> (arXiv 2309.14316), "
        "for the same augmentations, same scale. Chance differs where the pools of values do.</p>",
        _legend(),
        grid(*(_paper_card(part) for part in known)),
    )


def _paper_card(part: RunParts) -> str:
    theirs = paper_p_probe(part.augmentation)
    content = [figure_box({"accuracy": plot_probe_heatmap(theirs, colour_bar=False, titles=False)})]
    if part.p is not None and part.p.attrs["family"] == FAMILY:
        difference = plot_difference(part.p, theirs).update_layout(coloraxis_showscale=False)
        note = "<p class='sub'>Percentage points; blue: ours reads more, brown: less.</p>"
        content.append(details(f"{part.name} minus the paper", note, figure_box({"difference": difference})))
    return card(f"bioS {part.augmentation}", *content, sub="GPT-2, 124M parameters · 100,000 entities")


def training(parts: Parts) -> str:
    """Loss, recitation, and how the probe's picture came about."""
    probed = [part for part in parts if part.p is not None and part.p.sizes["checkpoint"] > 1]
    several = [part for part in parts if part.trained_here or len(part.steps) > 1]
    if not several:  # one model of elsewhere: nothing is known of how it came about
        return ""
    over = [
        card(
            part.name,
            figure_box({"p": plot_probe_over_training(part.p, form="whole")}),
            sub=", ".join(filter(None, [f"P-probe at {_first_place(part.p)}", probe_words(part.p)])),
        )
        for part in probed
        if part.p is not None
    ]
    emerged = [
        card(
            part.name,
            figure_box({"emergence": plot_emergence(part.p.sel(target=targets_of_form(part.p, "whole")))}),
            sub="; ".join(
                filter(
                    None,
                    [
                        "first step at which the 95 % interval of the P-probe lies above chance",
                        "(100): not clear again at a later checkpoint",
                        "hatched: never, or no value",
                        probe_words(part.p),
                    ],
                )
            ),
        )
        for part in probed
        if part.p is not None and "ci_low" in part.p
    ]
    return section(
        "While it was trained",
        "<p>How well each model says the first token of a value, in texts it has read and in answers to questions; "
        "train and test entities are the two halves the probes use. Models trained on these texts alone have never "
        "seen a question, so their answers stay near zero. Of models from elsewhere only the probes are known.</p>",
        grid(*(_curves_card(part) for part in parts if part.trained_here)),
        grid(*over)
        if over
        else _missing_each(several, "When does each fact arrive?", "--checkpoints", "all"),
        grid(*emerged) if emerged else "",
        *(
            details(
                f"{part.name}: the heatmap at every checkpoint",
                figure_box({"p": plot_heatmap_series(part.p)}),
            )
            for part in probed
            if part.p is not None
        ),
    )


def more_probes(parts: Parts) -> str:
    """What else has been probed: by what has been said, layer by layer, over the number of entities; else empty."""
    boxes = []
    for part in parts:
        if part.seen is not None:
            figures = {"sets": plot_seen_sets(part.seen)}
            boxes.append(details(f"{part.name}: read by what has been said before", figure_box(figures)))
            if bool(partner_gain(part.seen).notnull().any()):
                figures = {"partners": plot_seen_partners(part.seen)}
                boxes.append(details(f"{part.name}: what each value hangs on", figure_box(figures)))
        if part.layers is not None:
            maps = [
                figure_box({"layers": plot_layer_heatmap(part.layers, target)})
                for target in targets_of_form(part.layers, "whole")
            ]
            boxes.append(details(f"{part.name}: layer by layer, logistic probe on activations", *maps))
        if part.curve is not None:
            figures = {"curve": plot_learning_curve(part.curve)}
            family = part.curve.attrs["family"]
            boxes.append(details(f"{part.name}: learning curve of the {family} probe", figure_box(figures)))
    return section("More probes", *boxes) if boxes else ""


def _curves_card(part: RunParts) -> str:
    if not part.rows and (base := part.run.status.get("finetuned_from")) is not None:
        return card(part.name, f"<p>Finetuned from {escape(base)}, whose curves these would be.</p>")
    if not part.rows:
        recipe, out = part.run.path / "recipe.toml", part.run.path
        line = line_of("workbench", "train", recipe, "--out", out, "--resume")
        return card(part.name, missing("Not measured yet.", line), sub=part.line_below())
    figure = plot_training_curves(part.rows, part.steps)
    return card(
        part.name, figure_box({"curves": figure}), sub="first-token accuracy; dotted lines are checkpoints"
    )


def from_the_name(parts: Parts) -> str:
    """The Q-probe: what the bare name gives away."""
    probed = {
        " · ".join(filter(None, [part.name, probe_words(part.q)])): part.q
        for part in parts
        if part.q is not None
    }
    known = {
        part.augmentation: paper_q_probe(part.augmentation, gbert=part.is_gbert)
        for part in parts
        if part.in_paper
    }
    theirs = beside_paper(
        "Figures 7 and 9",
        [target_label(target) for target in TARGETS],
        {
            name: [float(cells["accuracy"].sel(target=target)) for target in TARGETS]
            for name, cells in known.items()
        },
    )
    figure = (
        f'<div class="grid"><div class="card">{figure_box({"q": plot_q_bars(probed)})}{theirs}</div></div>'
        if probed
        else ""
    )
    return section(
        "From the name alone",
        "<p>The strictest test: the model reads nothing but the full name, and a probe guesses the attributes. In the "
        "paper this accuracy predicts almost exactly how well the model can be finetuned to answer questions.</p>",
        figure,
        _missing_each(
            [part for part in parts if part.q is None], "The Q-probe has not been run.", "--kind", "q"
        ),
    )


def _first_place(result: xr.Dataset) -> str:
    """What the first place of a P-probe is called: `position 0`, or a study's own name of it."""
    return (
        str(result["place"].values[0])
        if "place" in result.coords
        else f"position {result['position'].values[0]}"
    )


def beside_paper(figure: str, heads: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    """The paper's numbers for the same augmentations, folded; nothing where it has none. rows: name → shares."""
    if not rows:
        return ""
    percent = {name: [f"{100 * share:.1f}" for share in shares] for name, shares in rows.items()}
    return details(f"The paper’s numbers ({figure}), in %", matrix("augmentation", heads, percent))


def _legend(extra: str = "") -> str:
    return (
        f'<div class="legend">{extra}<span>0 %<span class="bar"></span>100 %</span>'
        '<span><span class="hatch"></span>nothing to read: already stated in every entry</span>'
        '<span class="narrow">in brackets: chance</span></div>'
    )


def _missing_each(parts: Parts, what: str, *options: str) -> str:
    """One box with a command for each of these runs; nothing where there is none."""
    lines = [line_of("workbench", "probe", part.run.path, *options, *part.who) for part in parts]
    return missing(what, "\n".join(lines)) if lines else ""
