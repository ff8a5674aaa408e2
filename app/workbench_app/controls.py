"""The controls of a page. Each writes one key of the address (assets/selection.js) and holds no state of its own."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from workbench.figures.cells import target_label
from workbench_app.cards import extra
from workbench_app.folding import fold_choices, members_of
from workbench_app.glossary import with_terms
from workbench_app.metrics import METRICS
from workbench_app.view import Component, View

# in the name of a result set: `steps150`, `layers-0-final`
SETTING = re.compile(r"(steps|rank|seeds?|entries|window|heads|packed)(\d[\d-]*)|(layers|roles)-(.+)")
MOST_SEGMENTS = 12
LONGEST_SEGMENT = 12
LONGEST_CHOICE = 20  # letters that a list shows without being made wider


def control_id(key: str) -> dict[str, str]:
    """The id by which the browser knows which key of the address a control writes."""
    return {"type": "control", "key": key}


def bar(*controls: Component | None) -> Component:
    """Controls in a row that wraps."""
    return html.Div(
        [item for item in controls if item is not None],
        className="controls",
        role="group",
        **extra({"aria-label": "What is shown"}),
    )


def runs_control(view: View) -> Component:
    """Which runs stand side by side."""
    return dmc.MultiSelect(
        id=control_id("runs"),
        label="Runs",
        data=[{"value": entry.id, "label": entry.id} for entry in view.entries.values()],
        value=list(view.selection.runs),
        searchable=True,
        maxValues=12,
        hidePickedOptions=True,
        size="sm",
        className="control runs-control",
        limit=100,
        comboboxProps={"withinPortal": False},
    )


def fold_control(view: View) -> Component | None:
    """Which runs are shown as one."""
    return select("fold", "Fold", fold_choices(members_of(view.runs)), view.fold)


def metric_words(metric: str) -> Component:
    """What the chosen quantity is, below the bar."""
    words = f"{METRICS[metric].label}: {METRICS[metric].words}"
    return html.P(with_terms(words), className="sub metric-words")


def metric_control(names: Sequence[str], value: str) -> Component | None:
    """Which quantity the cells show."""
    return segmented("metric", "Cells show", [(name, METRICS[name].label) for name in names], value)


def segmented(key: str, label: str, options: Sequence[tuple[str, str]], value: str) -> Component | None:
    """A choice of a few; nothing where there is no choice."""
    if len(options) < 2:
        return None
    name = f"label-{key}"
    return html.Div(
        [
            html.Span(label, className="control-label", id=name),
            dmc.SegmentedControl(
                id=control_id(key),
                data=[{"value": option, "label": text} for option, text in options],
                value=value,
                size="xs",
            ),
        ],
        className="control",
        role="group",
        **extra({"aria-labelledby": name}),
    )


def select(
    key: str,
    label: str,
    options: Sequence[tuple[str, str]],
    value: str,
    *,
    clearable: bool = False,
    least: int = 2,
    placeholder: str = "",
) -> Component | None:
    """A choice of many; nothing where there are fewer than `least`. placeholder: what stands there without a choice."""
    if len(options) < least:
        return None
    longest = max(len(text) for _, text in options)
    wide: dict[str, Any] = {"w": min(360, 9 * longest + 40)} if longest > LONGEST_CHOICE else {}
    return dmc.Select(
        id=control_id(key),
        label=label,
        data=[{"value": option, "label": text} for option, text in options],
        value=value or None,
        clearable=clearable,
        placeholder=placeholder,
        allowDeselect=False,
        searchable=len(options) > 8,
        size="sm",
        className="control",
        comboboxProps={"withinPortal": False},
        **wide,
    )


def target_control(targets: Sequence[str], value: str) -> Component | None:
    """Which target (attribute and form)."""
    return select("target", "Target", [(target, target_label(target)) for target in targets], value)


def position_control(
    positions: Sequence[int], value: int, names: Mapping[int, str] | None = None
) -> Component | None:
    """Which P-probing position; names: what a study calls its places."""
    options = [(str(p), (names or {}).get(p, str(p))) for p in positions]
    if len(options) > MOST_SEGMENTS or any(len(text) > LONGEST_SEGMENT for _, text in options):
        return select("position", "Position", options, str(value))
    return segmented("position", "Position", options, str(value))


def set_control(names: Sequence[str], value: str) -> Component | None:
    """Which result set: the probe's family and variant."""
    return select("set", "Probe", [(name, set_label(name)) for name in names], value)


def describe_probe(name: str, layer: str = "") -> str:
    """Which probe made a number, in words: `p-logistic`, layer `final` → `logistic probe on activations, layer final
    (after the last norm)`."""
    if not name:
        return ""
    family, *variant = name.partition("-")[2].split("+")
    kind = {"embedding": "the paper's probe, trained through the network"}.get(
        family, f"{family} probe on activations"
    )
    depth = f"layer {layer}{' (after the last norm)' if layer == 'final' else ''}" if layer else ""
    return ", ".join(part for part in (kind, *map(spell_setting, variant), depth) if part)


def set_label(name: str) -> str:
    """`p-embedding+rank4` → `embedding, rank 4`; `qa-lora+lora`, a finetune called by its method → `lora`."""
    return ", ".join(dict.fromkeys(map(spell_setting, name.partition("-")[2].split("+"))))


def spell_setting(part: str) -> str:
    """A part of a result set's name in words: `steps150` → `150 steps`; one that is no setting as it is."""
    found = SETTING.fullmatch(part)
    if found is None:
        return part
    word, value = found[1] or found[3], (found[2] or found[4]).replace("-", ", ")
    return f"{value} steps" if word == "steps" else f"{word} {value}"


def describe_steps(steps: Sequence[int]) -> str:
    """`step 512`, `steps 64 and 512`, `9 checkpoints up to step 512`."""
    told = [f"{step:,}" for step in steps]
    if len(told) > 3:
        return f"{len(told)} checkpoints up to step {told[-1]}"
    words = " and ".join([*([", ".join(told[:-1])] if told[:-1] else []), *told[-1:]])
    return f"step{'s' if len(told) > 1 else ''} {words}"
