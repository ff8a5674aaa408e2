"""Small pieces of HTML: text made safe, figures with their data inside, commands to copy."""

import html
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go

from workbench.claims.markup import Part


def escape(text: object) -> str:
    """Text made safe for HTML, quotes included."""
    return html.escape(str(text))


def render(part: Part) -> str:
    """HTML of a piece of a page that others show, too."""

    def make(tag: str, children: list[str], attributes: dict[str, str], style: dict[str, str]) -> str:
        styled = {"style": ";".join(f"{name}:{value}" for name, value in style.items())} if style else {}
        told = "".join(f' {name}="{escape(value)}"' for name, value in {**attributes, **styled}.items())
        return f"<{tag}{told}>{''.join(children)}</{tag}>"

    return str(part.build(make, escape))


def embed_json(content: str) -> str:
    """JSON that may stand inside a <script>: no closing tag can occur in it."""
    return content.replace("</", "<\\/")


def figure_box(variants: Mapping[str, go.Figure], group: str = "") -> str:
    """A figure's place on the page with its data; the first of several variants is shown at first."""
    scripts, heights = [], []
    for name, figure in variants.items():
        spec = json.loads(figure.to_json())
        spec["layout"].pop("template", None)  # the page chooses the light or the dark one
        heights.append(int(spec["layout"].get("height", 400)))
        data = embed_json(json.dumps(spec, separators=(",", ":"), ensure_ascii=False))
        scripts.append(f'<script type="application/json" data-variant="{escape(name)}">{data}</script>')
    return (
        f'<div class="figure" data-show="{escape(next(iter(variants)))}" data-group="{escape(group)}">'
        f'<div class="plot" style="min-height:{max(heights)}px"></div>{"".join(scripts)}</div>'
    )


def switch(group: str, labels: Mapping[str, str]) -> str:
    """Buttons that choose which variant all figures of a group show: variant → label."""
    buttons = [
        f'<button value="{escape(value)}" data-group="{escape(group)}" aria-pressed="{str(not i).lower()}">'
        f"{escape(label)}</button>"
        for i, (value, label) in enumerate(labels.items())
    ]
    return f'<span class="switch" role="group">{"".join(buttons)}</span>'


def card(title: str, *content: str, sub: str = "") -> str:
    """A framed part: a name, a line below it, and whatever follows."""
    below = f'<p class="sub">{escape(sub)}</p>' if sub else ""
    return f'<article class="card"><h3 class="name">{escape(title)}</h3>{below}{"".join(content)}</article>'


def grid(*cards: str) -> str:
    """Cards side by side where there is room, below each other on a phone."""
    return f'<div class="grid">{"".join(cards)}</div>'


def section(title: str, *content: str) -> str:
    """A part of the page with its heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(content)}</section>"


def details(summary: str, *content: str) -> str:
    """A part that is folded at first."""
    return f"<details><summary>{escape(summary)}</summary>{''.join(content)}</details>"


def preformatted(text: str) -> str:
    """Text in which every space counts."""
    return f"<pre><code>{escape(text)}</code></pre>"


def table(rows: Mapping[str, object]) -> str:
    """Two columns: what, value."""
    body = "".join(f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>" for key, value in rows.items())
    return f"<table>{body}</table>"


def matrix(corner: str, heads: Sequence[str], rows: Mapping[str, Sequence[object]]) -> str:
    """Rows × columns, each with its heading."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in (corner, *heads))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(value)}</td>" for value in values)}</tr>'
        for name, values in rows.items()
    )
    return f'<div class="scroll"><table class="matrix"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def line_of(*words: str | Path) -> str:
    """Words as one command line, quoted where the shell needs it."""
    return shlex.join(str(word) for word in words)


def command(what: str, line: str) -> str:
    """A command line to copy, with what it is for."""
    return (
        f'<div class="command"><p>{escape(what)}</p><pre><code>{escape(line)}</code></pre>'
        '<button type="button">copy</button></div>'
    )


def missing(what: str, line: str) -> str:
    """What stands where a part has not been made yet: the command that makes it."""
    return f'<div class="missing"><p>{escape(what)}</p>{preformatted(line)}</div>'
