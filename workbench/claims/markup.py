"""A decided claim as a page shows it: verdict, sentence, each interval beside its bound. Written once for the report,
which makes HTML of it, and for the app, which makes components; both have the styles of claims.css.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.claims.axis import number, place, tell
from workbench.claims.kept import KeptInequality, KeptVerdict

STYLES = "claims.css"


@dataclass(frozen=True)
class Part:
    """An element of a page. children: text and other elements; style: properties such as `left`."""

    tag: str
    children: tuple["Part | str", ...] = ()
    classes: str = ""
    style: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def build(
        self,
        make: Callable[[str, list[Any], dict[str, str], dict[str, str]], Any],
        text: Callable[[str], Any] = str,
    ) -> Any:
        """The element that a page is made of: `make(tag, children, attributes, style)`, children first; `text` makes
        text safe."""
        children = [text(one) if isinstance(one, str) else one.build(make, text) for one in self.children]
        attributes = {**({"class": self.classes} if self.classes else {}), **self.attributes}
        return make(self.tag, children, attributes, dict(self.style))


def claim(one: KeptVerdict, beside: Sequence[Part] = ()) -> Part:
    """One claim. beside: what a page adds to the line of its source, such as links to the runs."""
    about = [Part("span", (one.source,), "told"), *beside]
    if one.chance is not None and all(inequality.chance is None for inequality in one.holds):
        about.append(Part("span", (f"chance {one.chance:.1f}",), "told"))
    if one.reason:
        about.append(Part("span", (f"{one.reason[0].upper()}{one.reason[1:]}.",), "told reason"))
    says = Part("div", (Part("p", (one.says,)), Part("div", tuple(about), "claim-about")))
    inequalities = Part("div", tuple(map(_inequality, one.holds)), "inequalities")
    name = f"claim-{one.experiment}-{one.claim}".replace(".", "-")
    verdict = Part("span", (one.verdict,), f"verdict {_class_of(one.verdict)}")
    return Part("article", (verdict, says, inequalities), "claim", attributes={"id": name})


def legend() -> Part:
    """What the marks on the axes are."""
    samples = (
        ("side", "where it holds"),
        ("span", "95 % interval and estimate, ours"),
        ("papers", "the paper"),
    )
    told = [Part("span", (Part("i", classes=f"sample {mark}"), words)) for mark, words in samples]
    last = Part("span", ("shares in percent, differences in points; each row has its own axis",))
    return Part("div", (*told, last), "legend claim-legend")


def _inequality(one: KeptInequality) -> Part:
    """What is claimed, the interval on its own axis, and the numbers."""
    told: list[Part | str] = [
        Part("b", (number(one.estimate),)),
        f" ({number(one.low)} to {number(one.high)})",
    ]
    if one.paper is not None:
        told.append(f" · paper {number(one.paper)}")
    if one.difference is not None:
        apart, low, high = map(number, one.difference)
        told.append(f" · ours − paper {apart} ({low} to {high})")
    if one.chance is not None:
        told.append(f" · chance {number(one.chance)}")
    if one.entities is not None:
        told.append(f" · n {one.entities:,}")
    parts = (Part("code", (one.inequality,)), _axis(one), Part("span", tuple(told), "told num"))
    return Part("div", parts, f"inequality {_class_of(one.verdict)}")


def _axis(one: KeptInequality) -> Part:
    """Bound, interval, estimate and the paper's number on one axis; an empty one where nothing was measured."""
    axis = place(one)
    if axis is None:
        return Part("span", classes="axis")
    marks = [
        Part("i", classes="side", style=_across(*axis.side)),
        Part("i", classes="bound", style={"left": f"{axis.bound}%"}),
        Part("i", classes="span", style=_across(axis.low, axis.high)),
        Part("i", classes="estimate", style={"left": f"{axis.estimate}%"}),
    ]
    if axis.paper is not None:
        marks.append(Part("i", classes="papers", style={"left": f"{axis.paper}%"}))
    words = tell(one)
    return Part("span", tuple(marks), "axis", attributes={"title": words, "role": "img", "aria-label": words})


def _across(start: float, end: float) -> dict[str, str]:
    return {"left": f"{start}%", "width": f"{end - start:.2f}%"}


def _class_of(verdict: str) -> str:
    return verdict.replace(" ", "-")
