"""The parts of the report, top to bottom. Each takes the runs' parts and gives HTML."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from workbench.figures import (
    paper_p_probe,
    plot_difference,
    plot_probe_heatmap,
    plot_probe_over_training,
    plot_q_bars,
    plot_training_curves,
)
from workbench.figures.cells import attribute_label, select_cells
from workbench.figures.reading import read_heatmap
from workbench.figures.training import recitation
from workbench.recipe import recipe_to_toml
from workbench.report.markup import (
    card,
    command,
    details,
    escape,
    figure_box,
    grid,
    missing,
    preformatted,
    section,
    switch,
    table,
)
from workbench.report.parts import RunParts, sample_entry
from workbench.results import weights_digests
from workbench.tables import table_text

Parts = Sequence[RunParts]
FORMS = {"accuracy": "all entries", "accuracy_not_next": "without “it is the very next value”"}


def header(parts: Parts) -> str:
    """Title and one paragraph: how many models, what they learned, what is compared."""
    names = " · ".join(f"<b>{escape(part.augmentation)}</b>" for part in parts)
    people = sorted({part.people for part in parts})
    amount = " or ".join(f"{number:,}" for number in people)
    models = "One language model" if len(parts) == 1 else f"{_number(len(parts))} language models"
    learned = "learned" if len(parts) == 1 else "each learned"
    return (
        '<p class="eyebrow">Knowledge Probing Workbench</p>'
        "<h1>What a model knows before it says it</h1>"
        f'<p class="lead">{models} {learned} the biographies of {amount} made-up people by heart, '
        f"from scratch. Every fact is known to us, so we can ask where in the text each fact can be read from the "
        f"model’s hidden state. What differs is how the biographies were written: {names}.</p>"
    )


def summary(parts: Parts) -> str:
    """One card a run: recitation, what the name alone tells, and what that means."""
    return grid(*(_summary_card(part) for part in parts))


def _summary_card(part: RunParts) -> str:
    recited = recitation(part.rows).get("mean", float("nan"))
    numbers = [(_percent(recited), "of first tokens recited in biographies")]
    sentence = ""
    if part.p is not None:
        reading = read_heatmap(part.p)
        what = f"read from the name alone, birth date apart (chance {_percent(reading.others_chance)})"
        numbers.append((_percent(reading.others_at_start), what))
        if np.isnan(reading.own_sentence):
            numbers.append((_percent(reading.at_start), "the same with birth date: mean over all attributes"))
        else:
            numbers.append(
                (_percent(reading.own_sentence), "read where the attribute’s own sentence is written")
            )
        sentence = f"<p>{escape(reading.sentences[-1])}</p>"
    boxes = "".join(
        f'<div><span class="value">{value}</span><span class="what">{escape(what)}</span></div>'
        for value, what in numbers
    )
    model = part.run.recipe.model
    sub = _below(
        part,
        f"{model.architecture} {model.preset}",
        f"{part.people:,} people",
        f"seed {part.run.recipe.seed}",
    )
    problems = "".join(f'<div class="problem">{escape(problem)}</div>' for problem in part.problems)
    return card(part.name, f'<div class="numbers">{boxes}</div>', sentence, problems, sub=sub)


def heatmaps(parts: Parts) -> str:
    """The P-probe of each run side by side, on one scale."""
    cards = []
    for part in parts:
        if part.p is None:
            cards.append(
                card(
                    part.name,
                    missing("Not probed yet.", "workbench", "probe", part.run.path),
                    sub=_below(part),
                )
            )
            continue
        variants = {
            name: plot_probe_heatmap(part.p, variable=name, colour_bar=False, titles=False)
            for name in FORMS
            if name in part.p
        }
        text = details("the same as text", preformatted(table_text(part.p)))
        step = int(part.p["checkpoint"].values[-1])
        cards.append(card(part.name, figure_box(variants, "p"), text, sub=_below(part, f"step {step:,}")))
    return section(
        "Where each fact can be read",
        "<p>A probe looks at the hidden state just before the first, second, … sixth attribute of a biography is stated "
        "(positions 0–5) and guesses each attribute that has <b>not yet</b> been stated. Cells are the share of people, "
        "none of them seen by the probe, for whom it is right, in percent.</p>",
        _legend(switch("p", FORMS) if any(part.p is not None for part in parts) else ""),
        grid(*cards),
    )


def how_to_read(parts: Parts) -> str:
    """A real biography with its positions, and the two patterns to look for."""
    entries = [(part, entry) for part in parts if (entry := sample_entry(part))]
    cards = [
        card(part.name, _marked(entry.text, entry.values, entry.names), sub=_below(part))
        for part, entry in entries
    ]
    points = (
        "<b>A staircase</b> — bright only on the diagonal. The value can be read when its own sentence is being "
        "written and not before: the fact is stored, but tied to the words around it. Such a model recites and yet "
        "cannot be taught to answer questions.",
        "<b>Flat rows</b> — bright from position 0 on. Once the name has been read everything about the person is at "
        "hand; this is what later makes facts extractable.",
        "<b>Chance</b> stands beside each row: what always naming the commonest value among the test people would "
        "score. A cell near chance means that the probe found nothing.",
        "<b>Shuffled biographies</b> hide an artefact: at position <i>i</i> an attribute is the very next one in 1/(6−<i>i</i>) "
        "of the entries, where anything is known. The switch above leaves these entries out.",
    )
    return section(
        "How to read it",
        "<p>One biography from each run. A number marks a position: the probe reads the token just before it.</p>",
        grid(*cards) if cards else "",
        f"<ul style='margin-top:26px'>{''.join(f'<li>{point}</li>' for point in points)}</ul>",
    )


def paper(parts: Parts) -> str:
    """The paper's own heatmap for the same augmentation, and ours minus theirs folded below."""
    known = [part for part in parts if part.in_paper]
    if not known:
        return ""
    cards = []
    for part in known:
        theirs = paper_p_probe(part.augmentation)
        content = [figure_box({"accuracy": plot_probe_heatmap(theirs, colour_bar=False, titles=False)})]
        if part.p is not None:
            difference = plot_difference(part.p, theirs).update_layout(coloraxis_showscale=False)
            note = "<p class='sub'>Percentage points; blue: ours reads more, brown: less.</p>"
            content.append(
                details(f"{part.name} minus the paper", note, figure_box({"difference": difference}))
            )
        cards.append(
            card(f"bioS {part.augmentation}", *content, sub="GPT-2, 124M parameters · 100,000 people")
        )
    return section(
        "The paper, beside",
        "<p>Figures 5 and 13(c) of Allen-Zhu and Li, <i>Physics of Language Models: Part 3.1</i> (arXiv 2309.14316), for the "
        "same augmentations, same scale. Chance differs because the paper’s pools of values are larger.</p>",
        _legend(""),
        grid(*cards),
    )


def training(parts: Parts) -> str:
    """Loss, recitation, and how the probe's picture came about."""
    curves = []
    for part in parts:
        sub = "first-token accuracy; dotted lines are checkpoints"
        if part.rows:
            figure = plot_training_curves(part.rows, part.steps)
            curves.append(card(part.name, figure_box({"curves": figure}), sub=sub))
        else:
            words = ("workbench", "train", part.run.path / "recipe.toml", "--out", part.run.path, "--resume")
            curves.append(card(part.name, missing("Not measured yet.", *words)))
    over = []
    for part in parts:
        if part.p is not None and part.p.sizes["checkpoint"] > 1:
            form = (
                "whole" if bool((select_cells(part.p)["accuracy"].sel(position=0).notnull()).any()) else None
            )
            figure = plot_probe_over_training(part.p, form=form)
            over.append(card(part.name, figure_box({"p": figure}), sub="P-probe at position 0, whole values"))
    later = (
        grid(*over)
        if over
        else _missing_each(
            parts,
            "When does each fact arrive? Probe every checkpoint to see it here.",
            "--checkpoints",
            "all",
        )
    )
    return section(
        "While it was trained",
        "<p>How well each model says the first token of a value, in biographies it has read and in answers to "
        "questions; train and test people are the two halves the probes use. Models trained on biographies alone have "
        "never seen a question, so their answers stay at zero.</p>",
        grid(*curves),
        later,
    )


def from_the_name(parts: Parts) -> str:
    """The Q-probe: what the bare name gives away."""
    probed = {part.name: part.q for part in parts if part.q is not None}
    figure = figure_box({"q": plot_q_bars(probed)}) if probed else ""
    absent = [part for part in parts if part.q is None]
    rest = (
        _missing_each(absent, "The Q-probe reads the bare name, without any biography.", "--kind", "q")
        if absent
        else ""
    )
    return section(
        "From the name alone",
        "<p>The strictest test: the model reads nothing but the full name, and a probe guesses the attributes. In the paper "
        "this accuracy predicts almost exactly how well the model can be finetuned to answer questions.</p>",
        f'<div class="grid"><div class="card">{figure}</div></div>' if figure else "",
        rest,
    )


def recipes(parts: Parts) -> str:
    """What determines each run, and what made each number."""
    folded = [
        details(f"{part.name}: recipe", preformatted(recipe_to_toml(part.run.recipe))) for part in parts
    ]
    folded += [details(f"{part.name}: provenance", table(_provenance(part))) for part in parts]
    return section(
        "Recipes and provenance",
        "<p>A recipe with its seed determines a run completely. Results are tied to the bytes of the weights they were "
        "measured on.</p>",
        *folded,
    )


def next_steps(parts: Parts) -> str:
    """Commands worth running now, most telling first."""
    first = parts[-1]
    recipe = first.run.recipe
    path, folder = first.run.path, first.run.path.parent
    commands = [
        command("Look around: every run, probe and checkpoint, in the browser.", "workbench", "ui", folder)
    ]
    if first.p is None or first.p.sizes["checkpoint"] < 2:
        words = ("workbench", "probe", path, "--checkpoints", "all")
        commands.append(command("Watch the knowledge arrive: probe every checkpoint.", *words))
    if first.q is None:
        commands.append(
            command("Ask the bare name: the paper’s Q-probe.", "workbench", "probe", path, "--kind", "q")
        )
    other = (
        "single+fullname"
        if not any(part.augmentation == "single+fullname" for part in parts)
        else "multi5+fullname"
    )
    words = (
        "workbench",
        "train",
        recipe.name,
        "--set",
        f"biographies.augmentation={other}",
        "--out",
        str(folder / other),
    )
    commands.append(command("Try another way of writing: the full name in every sentence.", *words))
    words = ("workbench", "recipes", recipe.name)
    commands.append(command("Start a recipe of your own from this one.", *words))
    runs = [part.run.path for part in parts]
    commands.append(command("Make this page again after any of these.", "workbench", "report", *runs))
    return section("What to run next", *commands)


def footer() -> str:
    """When and by what the page was made."""
    try:
        made_by = f"probing-workbench {version('probing-workbench')}"
    except PackageNotFoundError:
        made_by = "probing-workbench"
    now = datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    return f"<footer>Made by {escape(made_by)} on {now}. This page is one file and needs no network.</footer>"


def _marked(text: str, values: dict, names: Sequence[tuple[int, int]]) -> str:
    """The entry's text with its name set off, its values shaded and the positions numbered."""
    spans = [(start, end, "who", "") for start, end in names[:1]]
    ordered = sorted(values.items(), key=lambda item: item[1])
    for position, (attribute, (start, end)) in enumerate(ordered):
        spans.append(
            (start, end, "value", f'<span class="pos" title="{attribute_label(attribute)}">{position}</span>')
        )
    out, done = [], 0
    for start, end, kind, mark in sorted(spans):
        out += [escape(text[done:start]), mark, f'<span class="{kind}">{escape(text[start:end])}</span>']
        done = end
    return f'<p class="entry">{"".join(out)}{escape(text[done:])}</p>'


def _legend(extra: str) -> str:
    return (
        f'<div class="legend">{extra}<span>0 %<span class="bar"></span>100 %</span>'
        '<span><span class="hatch"></span>already stated in every entry, nothing left to read</span></div>'
    )


def _missing_each(parts: Parts, what: str, *words: str) -> str:
    return "".join(
        missing(f"{part.name}: {what}", "workbench", "probe", part.run.path, *words) for part in parts
    )


def _provenance(part: RunParts) -> dict[str, object]:
    status = part.run.status
    rows: dict[str, object] = {
        "folder": part.run.path,
        "state": status.get("state", "unknown"),
        "recipe digest": part.run.recipe.digest,
        "checkpoints": ", ".join(f"{step:,}" for step in part.steps) or "none yet",
        "results": "; ".join(f"{kind}-{family} at {len(steps)} steps" for kind, family, steps in part.results)
        or "none yet",
    }
    for label, result in (("P-probe", part.p), ("Q-probe", part.q)):
        if result is None:
            continue
        rows[f"{label} made"] = result.attrs["created"]
        settings = json.loads(result.attrs["settings"])
        rows[f"{label} settings"] = ", ".join(f"{key} {value}" for key, value in settings.items())
        rows[f"{label} weights"] = ", ".join(
            f"step {s}: {d[:16]}…" for s, d in weights_digests(result).items()
        )
        versions = json.loads(result.attrs["versions"])
        rows[f"{label} versions"] = ", ".join(f"{key} {value}" for key, value in versions.items())
    return rows


def _below(part: RunParts, *facts: str) -> str:
    """The line below a card's name; the augmentation only where the name does not say it already."""
    return " · ".join([*([part.augmentation] if part.augmentation != part.name else []), *facts])


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"


def _number(n: int) -> str:
    return {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}.get(n, str(n))
