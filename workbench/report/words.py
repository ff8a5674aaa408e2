"""The report's words: what is being seen, how to read it, what to run next, what made it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from workbench.figures.cells import attribute_label
from workbench.figures.reading import read_heatmap
from workbench.figures.training import recitation
from workbench.report.markup import (
    card,
    command,
    details,
    escape,
    grid,
    line_of,
    preformatted,
    section,
    table,
)
from workbench.report.parts import RunParts, probe_words, sample_entry
from workbench.results.storing import weights_digests
from workbench.studies.runs import Run

Parts = Sequence[RunParts]
TO_TRY = (
    "single+fullname",
    "single+permute5",
    "multi5",
    "multi5+permute",
    "multi5+permute+fullname",
    "couple5",
    "multi2",
)
AUGMENTED = ("biographies", "own")  # worlds whose section of the recipe says how texts are written
BY_HEART = 0.95  # first-token accuracy from which a model may be said to recite


def header(parts: Parts) -> str:
    """Title and one paragraph: how many models, what they learned, what is compared."""
    read = " or ".join(dict.fromkeys(_what_was_read(part) for part in parts))
    models = "One language model" if len(parts) == 1 else f"{_number(len(parts))} language models"
    recited = all(recitation(part.rows).get("mean", 0.0) >= BY_HEART for part in parts)
    each = "" if len(parts) == 1 else "each "
    was = "was" if len(parts) == 1 else "were"
    verb = f"{each}learned by heart" if recited else f"{was} trained on"
    names = " · ".join(f"<b>{escape(part.augmentation)}</b>" for part in parts)
    only = _differ_by_writing_alone(parts)
    ways = "How the texts were written is all that differs" if only else "Texts"
    if not all(isinstance(part.run, Run) for part in parts):
        studied = "; ".join(
            f"<b>{escape(part.name)}</b>: {escape(part.run.model_words)}, {part.entities:,} "
            f"{escape(part.run.schema.nouns)}, read at {escape(', '.join(part.run.read))}"
            for part in parts
        )
        return (
            plain_header("What a model knows before it says it")
            + f'<p class="lead">Models and facts of your own. {studied}. What they were trained on we do not know; the '
            "table says what is true of each entity, and half of the entities teach the probes.</p>"
        )
    return (
        plain_header("What a model knows before it says it")
        + f'<p class="lead">{models}, started from nothing, {verb} {read}. Every '
        "fact is known to us, so we can ask where in the text each fact can be read from the model’s hidden state. "
        f"{ways}: {names}.</p>"
    )


def _what_was_read(part: RunParts) -> str:
    """`the biographies of 1,500 made-up people`, and of facts of other kinds `texts about 300 towns`."""
    if isinstance(part.run, Run) and part.run.recipe.world == "biographies":
        return f"the biographies of {part.entities:,} made-up {part.run.schema.nouns}"
    return f"texts about {part.entities:,} {part.run.schema.nouns}"


def plain_header(title: str) -> str:
    """Whose page it is, and its title."""
    return f'<p class="eyebrow">Knowledge Probing Workbench</p><h1>{escape(title)}</h1>'


def _differ_by_writing_alone(parts: Parts) -> bool:
    """Whether the recipes are alike but for the augmentation."""
    rest = [_beside_texts(part) for part in parts]
    return len(parts) > 1 and rest[0] is not None and all(recipe == rest[0] for recipe in rest)


def _beside_texts(part: RunParts) -> dict[str, Any] | None:
    """A recipe without what says how its texts are written; None of a series that was trained elsewhere."""
    run = part.run
    return (
        run.recipe.model_dump(exclude={"name": True, "biographies": True, "own": {"augmentation"}})
        if isinstance(run, Run)
        else None
    )


def summary(parts: Parts) -> str:
    """One card a run: recitation, what the name alone tells, and what that means."""
    return grid(*(_summary_card(part) for part in parts))


def _summary_card(part: RunParts) -> str:
    recited = recitation(part.rows).get("mean", float("nan"))
    numbers = [(_percent(recited), "of first tokens recited")] if part.trained_here else []
    sentence = ""
    if part.p is not None and part.trained_here:
        reading = read_heatmap(part.p)
        apart = f", {reading.left_out} apart" if reading.left_out else ""
        what = f"read from the name alone{apart} (chance {_percent(reading.others_chance)})"
        numbers.append((_percent(reading.others_at_start), what))
        if np.isnan(reading.own_sentence):
            if reading.left_out:
                told = f"the same with {reading.first}: mean over all attributes"
                numbers.append((_percent(reading.at_start), told))
        else:
            numbers.append(
                (_percent(reading.own_sentence), "read where the attribute’s own sentence is written")
            )
        sentence = f"<p>{escape(reading.sentences[-1])}</p>"
    boxes = "".join(
        f'<div><span class="value">{value}</span><span class="what">{escape(what)}</span></div>'
        for value, what in numbers
    )
    sub = part.line_below(
        part.run.model_words, f"{part.entities:,} {part.run.schema.nouns}", f"seed {part.run.seed}"
    )
    problems = "".join(f'<div class="problem">{escape(problem)}</div>' for problem in part.problems)
    told = f'<div class="numbers">{boxes}</div>' if boxes else ""
    return card(part.name, told, sentence, problems, sub=sub)


def how_to_read(parts: Parts) -> str:
    """A real text with its positions, and the two patterns to look for."""
    entries = [(part, entry) for part in parts if (entry := sample_entry(part))]
    cards = [
        card(
            part.name,
            _marked(entry.text, entry.values, entry.names, numbered=part.trained_here),
            sub=part.line_below(),
        )
        for part, entry in entries
    ]
    points = (
        "<b>A staircase</b>: high only on the diagonal. The value can be read when its own sentence is being "
        "written and not before: the fact is stored, but tied to the words around it. Such a model recites and yet "
        "cannot be taught to answer questions.",
        "<b>Flat rows</b>: high from position 0 on. Once the name has been read everything about the entity is at "
        "hand; this is what later makes facts extractable.",
        "<b>Chance</b> stands beside each row: what always naming the commonest value among the test entities would "
        "score. A cell near chance means that the probe found nothing.",
        "<b>Shuffled texts</b> hide an artefact: where a text states <i>k</i> values, at position <i>i</i> an "
        "attribute is the very next one in 1/(<i>k</i>−<i>i</i>) of the texts, where anything is known. The switch "
        "above leaves these texts out.",
    )
    return section(
        "How to read it",
        "<p>One text from each. A number marks a position: the probe reads the token just before it.</p>",
        grid(*cards) if cards else "",
        f"<ul style='margin-top:26px'>{''.join(f'<li>{point}</li>' for point in points)}</ul>",
    )


def recipes(parts: Parts) -> str:
    """What determines each run, and what made each number."""
    folded = [details(f"{part.name}: recipe", preformatted(part.run.to_toml())) for part in parts]
    folded += [details(f"{part.name}: provenance", table(_provenance(part))) for part in parts]
    return section(
        "Recipes and provenance",
        "<p>A recipe with its seed determines a run completely. Results are tied to the bytes of the weights they were "
        "measured on.</p>",
        *folded,
    )


def next_steps(parts: Parts) -> str:
    """Commands worth running now, most telling first."""
    last = parts[-1]
    path, folder = last.run.path, last.run.path.parent
    commands = [
        ("Look around: every run, probe and checkpoint, in the browser.", line_of("workbench", "ui", folder))
    ]
    # through a network of somebody else's, thirty blocks deep, the paper's own probe would take days
    quick = () if isinstance(last.run, Run) else ("--family", "logistic")
    if len(last.run.checkpoints) > 1 and (last.p is None or last.p.sizes["checkpoint"] < 2):
        line = line_of("workbench", "probe", path, "--checkpoints", "all", *quick)
        commands.append(("Watch the knowledge arrive: probe every checkpoint.", line))
    if last.q is None:
        line = line_of("workbench", "probe", path, "--kind", "q", *quick)
        commands.append(("Ask the bare name: the paper’s Q-probe.", line))
    if isinstance(last.run, Run):
        recipe = path / "recipe.toml"
        other = next(a for a in TO_TRY if all(p.augmentation != a for p in parts))
        if last.run.recipe.world in AUGMENTED and len(last.run.groups) == 1:
            changed = f"{last.run.recipe.world}.augmentation={other}"
            line = line_of("workbench", "train", recipe, "--set", changed, "--out", folder / other)
            commands.append(("Try another way of writing the texts.", line))
        commands.append(("Start a recipe of your own.", line_of("cp", recipe, "mine.toml")))
    line = line_of("workbench", "report", *(part.run.path for part in parts))
    commands.append(("Make this page again after any of these.", line))
    return section("What to run next", *(command(what, line) for what, line in commands))


def footer() -> str:
    """When and by what the page was made."""
    try:
        made_by = f"probing-workbench {version('probing-workbench')}"
    except PackageNotFoundError:
        made_by = "probing-workbench"
    now = datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    return f"<footer>Made by {escape(made_by)} on {now}. This page is one file and needs no network.</footer>"


def _marked(
    text: str, values: Mapping[Any, tuple[int, int]], names: Sequence[tuple[int, int]], *, numbered: bool
) -> str:
    """The entry's text with its name set off, its values shaded and, in a run's, the positions numbered."""
    spans = [(start, end, "who", "") for start, end in names[:1]]
    ordered = sorted(values.items(), key=lambda item: item[1])
    for position, (attribute, (start, end)) in enumerate(ordered):
        mark = f'<span class="pos" title="{attribute_label(attribute)}">{position}</span>' if numbered else ""
        spans.append((start, end, "value", mark))
    out, done = [], 0
    for start, end, kind, mark in sorted(spans):
        out += [escape(text[done:start]), mark, f'<span class="{kind}">{escape(text[start:end])}</span>']
        done = end
    return f'<p class="entry">{"".join(out)}{escape(text[done:])}</p>'


def _provenance(part: RunParts) -> dict[str, object]:
    status = part.run.status
    rows: dict[str, object] = {
        "folder": part.run.path,
        "state": status.get("state", "unknown"),
        "recipe digest": part.run.digest,
        "checkpoints": ", ".join(f"{step:,}" for step in part.steps) or "none yet",
        "results": "; ".join(f"{kind}-{family} at {len(steps)} steps" for kind, family, steps in part.results)
        or "none yet",
    }
    for label, result in (("P-probe", part.p), ("Q-probe", part.q)):
        if result is None:
            continue
        rows[f"{label} made"] = result.attrs["created"]
        rows[f"{label} family"] = probe_words(result) or str(result.attrs["family"])
        settings = json.loads(result.attrs["settings"])
        rows[f"{label} settings"] = ", ".join(f"{key} {value}" for key, value in settings.items())
        rows[f"{label} weights"] = ", ".join(
            f"step {s}: {d[:16]}…" for s, d in weights_digests(result).items()
        )
        versions = json.loads(result.attrs["versions"])
        rows[f"{label} versions"] = ", ".join(f"{key} {value}" for key, value in versions.items())
    return rows


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"


def _number(n: int) -> str:
    return {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}.get(n, str(n))
