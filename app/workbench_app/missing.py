"""What a run lacks, why, and the exact command that makes it."""

import shlex
from collections.abc import Sequence

from dash import html

from workbench_app import cards
from workbench_app.index import RunEntry
from workbench_app.selection import PAGES
from workbench_app.view import Component, Page, View

EVERY = ("--checkpoints", "all")
OPTIONS = (
    "rank",
    "steps",
    "seeds",
    "seed",
    "group-",
    "layers-",
)  # of a probe, as they begin its variant's parts


def missing(
    view: View, entry: RunEntry, text: str, *commands: Sequence[str], title: str | None = None
) -> Component:
    """A card that says what is not there (`text`) and the commands that make it, one after the other.

    A run whose recipe is broken says so instead; one without a checkpoint has to be trained first; the demo has no
    weights, so there the commands are those for a run of one's own.
    """
    title = entry.id if title is None else title
    if entry.fault:
        return cards.card(title, cards.faults([entry.fault], "Broken"))
    if not entry.steps:
        if entry.in_training:
            text = "Being trained right now; no checkpoint has been saved yet. Once there is one:"
        else:
            text, commands = "This run has not been trained yet.", (train_command(entry), *commands)
    if not view.writable:
        text = f"{text.rstrip('.:')}. The demo comes without weights; for a run of your own:"
        own = f"runs/{entry.id}"
        commands = tuple(
            [own if word == str(entry.path) else word for word in command] for command in commands
        )
    line = " && ".join(shlex.join([str(word) for word in command]) for command in commands)
    return cards.card(title, html.Div([html.P(text), cards.command_line(line)], className="empty"))


def no_runs(view: View) -> Page:
    """Any page of a folder that holds no run."""
    text = f"There are no runs in {view.folder} yet. The first two, with their probes, take minutes:"
    return Page(
        [
            cards.heading(PAGES[view.selection.page], "Runs show up here as soon as they are there."),
            cards.empty(text, "workbench", "quickstart", "--out", view.folder),
        ]
    )


def train_command(entry: RunEntry) -> list[str]:
    """The command that trains a run, or goes on with it."""
    return ["workbench", "train", str(entry.path / "recipe.toml"), "--out", str(entry.path), "--resume"]


def probe_command(entry: RunEntry, set_name: str = "p-embedding") -> list[str]:
    """The command that makes a result set (`p-logistic+rank4`) at every checkpoint."""
    kind, _, name = set_name.partition("-")
    family, *variant = name.split("+")
    options = [] if kind == "p" else ["--kind", kind]
    options += [] if family == "embedding" else ["--family", family]
    for part in variant:
        option = next((option for option in OPTIONS if part.startswith(option)), "")
        if option:
            value = part.removeprefix(option)
            options += [f"--{option.rstrip('-')}", value if option == "group-" else value.replace("-", ",")]
    return ["workbench", "probe", str(entry.path), *options, *EVERY]
