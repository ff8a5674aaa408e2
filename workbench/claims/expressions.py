"""A claim as it is written: `p("multi5+permute", "company/whole") - p("single", "company/whole") >= 30`.

A sum of measured terms with numbers before them, compared with a number. Shares are in percent. Nothing is executed:
the text is parsed and walked.
"""

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workbench.claims.decision import Relation
from workbench.errors import WorkbenchError, nearest
from workbench.studies.metrics_file import CURVES

MEAN = "mean"  # the cell that stands for all: attributes, tasks, numbers of operations
CORRELATED = ("p", "q", "answers")
EXAMPLE = '`answers("multi5+permute") - answers("single") >= 30`'


@dataclass(frozen=True)
class MeasureKind:
    """What a measure may be asked for.

    says: in words. stage: the kind of stage that makes it (`train` for what every run tells). cell: what the second
    word names; None where there is no second. selectors: what may stand behind a point, such as `.chance`. options:
    further keywords. unit: of the number.
    """

    says: str
    stage: str
    cell: str | None
    selectors: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    unit: str = "%"


MEASURES: dict[str, MeasureKind] = {
    "p": MeasureKind(
        "P-probe at a position of biographies (0: the name has just been read), test entities", "p",
        "a target such as `company/whole`, or `mean`: whole values, of the first attribute the first token",
        ("train", "chance", "not_next"), ("position",),
    ),
    "q": MeasureKind(
        "Q-probe on the bare name, test entities", "q", "a target, or `mean`", ("train", "chance")
    ),
    "answers": MeasureKind(
        "questions about test entities answered", "answers", "an attribute, or `mean`",
        ("train", "chance", "first", "train_first", "first_chance"), ("group",),
    ),
    "recites": MeasureKind(
        "first tokens of values said right in biographies at the end of training, all entities", "train",
        "an attribute, or `mean`",
    ),
    "reaches": MeasureKind(
        "entries seen per entity until the first tokens of `biographies` or `answers` are right in `share` % (50), "
        "of the half `split` (`test`)",
        "train", "`biographies` or `answers`", (), ("split", "share"), "exposures",
    ),
    "tasks": MeasureKind(
        "answers to a task, test entities", "tasks", "a task such as `inverse`, or `mean`",
        ("train", "chance", "predicted", "hints"), ("mode",),
    ),
    "solved": MeasureKind(
        "test problems solved", "solve", "operations such as `4`, `reask`, `within`, `beyond` or `mean`",
        ("fault_told", "retries"),
    ),
    "v": MeasureKind(
        "V-probe of a property, test problems", "v", "a property such as `nece`",
        ("chance", "untrained"),
    ),
    "bits": MeasureKind(
        "learned bits a parameter", "capacity", None, ("most",), (), "bits/parameter"
    ),
    "learned": MeasureKind("learned bits, of all that there are", "capacity", None),
    "correlation": MeasureKind(
        "Pearson's r of two measures over all arms that have both, by attribute", "", None, (), (), "r"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Term:
    """One measured number: a measure, the arm it is of, the cell, options, and what is selected of it."""

    measure: str
    arm: str
    cell: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    selector: str = ""

    def option(self, key: str, default: Any = None) -> Any:
        """An option's value."""
        return dict(self.options).get(key, default)

    @property
    def kind(self) -> MeasureKind:
        return MEASURES[self.measure]

    def __str__(self) -> str:
        words = [f'"{self.arm}"', *([f'"{self.cell}"'] if self.cell else [])]
        words += [f"{key}={value!r}".replace("'", '"') for key, value in self.options]
        return f"{self.measure}({', '.join(words)})" + (f".{self.selector}" if self.selector else "")


@dataclass(frozen=True)
class Inequality:
    """Σ coefficient × term `relation` bound. text: as it was written."""

    terms: tuple[tuple[float, Term], ...]
    relation: Relation
    bound: float
    text: str

    @property
    def arms(self) -> list[str]:
        """The arms it is about, in order; none for a correlation over all."""
        return list(dict.fromkeys(term.arm for _, term in self.terms if term.kind.stage))


def parse_inequality(text: str) -> Inequality:
    """Read one inequality; raises WorkbenchError with what is wrong in it."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or "too deep"
        raise WorkbenchError(f"{text!r} is not understood ({reason}); write e.g. {EXAMPLE}.") from error
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        raise WorkbenchError(f"{text!r} is no inequality; write e.g. {EXAMPLE}.")
    relations: dict[type, Relation] = {ast.GtE: ">=", ast.LtE: "<="}
    relation = relations.get(type(tree.ops[0]))
    if relation is None:
        raise WorkbenchError(f"{text!r} compares in a way that is not known; use >= or <=.")
    gathered: dict[Term, float] = {}
    bound = 0.0
    for side, sign in ((tree.left, 1.0), (tree.comparators[0], -1.0)):
        for factor, term in _walk(side, sign, text):
            if term is None:
                bound -= factor
            else:
                gathered[term] = gathered.get(term, 0.0) + factor
    terms = tuple((factor, term) for term, factor in gathered.items() if factor)
    if not terms:
        raise WorkbenchError(f"{text!r} measures nothing; write e.g. {EXAMPLE}.")
    if not all(map(math.isfinite, (bound, *(factor for factor, _ in terms)))):
        raise WorkbenchError(f"{text!r} has a number that is too large; write e.g. {EXAMPLE}.")
    return Inequality(terms, relation, bound, " ".join(text.split()))


def _walk(node: ast.expr, factor: float, text: str) -> Iterator[tuple[float, Term | None]]:
    """The summands of an expression; None stands for plain numbers."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _walk(node.left, factor, text)
        yield from _walk(node.right, factor if isinstance(node.op, ast.Add) else -factor, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from _walk(node.operand, -factor, text)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        left, right = _number(node.left), _number(node.right)
        if isinstance(node.op, ast.Mult) and left is not None:
            yield from _walk(node.right, factor * left, text)
        elif isinstance(node.op, ast.Mult) and right is not None:
            yield from _walk(node.left, factor * right, text)
        elif isinstance(node.op, ast.Div) and right:
            yield from _walk(node.left, factor / right, text)
        else:
            raise WorkbenchError(
                f"{text!r} multiplies or divides by something that is no number above or below 0; only sums of "
                "measured terms with numbers before them can be decided."
            )
    elif (number := _number(node)) is not None:
        yield factor * number, None
    else:
        yield factor, _term(node, text)


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
        return None
    try:
        return float(node.value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf


def _option(key: str, value: Any, text: str) -> Any:
    """An option's value, of the kind that it must be."""
    is_right, wanted = {
        "position": (type(value) is int, "a whole number such as 0"),
        "share": (type(value) in (int, float) and 0 < value <= 100, "percent, above 0 and at most 100"),
        "split": (value in ("train", "test"), '"train" or "test"'),
    }.get(key, (isinstance(value, str), "a word in quotes"))
    if not is_right:
        raise WorkbenchError(f"{text!r}: {key} is {wanted}, not {value!r}.")
    return value


def _term(node: ast.expr, text: str) -> Term:
    selector = ""
    if isinstance(node, ast.Attribute):
        selector, node = node.attr, node.value
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise WorkbenchError(f"{text!r}: {ast.unparse(node)!r} is no measured term; write e.g. {EXAMPLE}.")
    name = node.func.id
    if name not in MEASURES:
        raise WorkbenchError(
            f"{text!r}: there is no measure {name!r}{nearest(name, list(MEASURES)) or '.'} "
            f"Known: {', '.join(MEASURES)}."
        )
    kind = MEASURES[name]
    words = [
        word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)
    ]
    most = 2 if kind.cell or not kind.stage else 1
    if len(words) < len(node.args) or not 1 <= len(words) <= most:
        takes = "an arm" + (f", then {kind.cell}" if kind.cell else "") if kind.stage else "two measures"
        raise WorkbenchError(f"{text!r}: {name}(…) takes {takes}, each in quotes; got {ast.unparse(node)!r}.")
    options = {}
    for keyword in node.keywords:
        if keyword.arg not in (*kind.options, "stage") or not isinstance(keyword.value, ast.Constant):
            known = ", ".join((*kind.options, "stage"))
            raise WorkbenchError(f"{text!r}: {name}(…) has no option {keyword.arg!r} (known: {known}).")
        options[keyword.arg] = _option(keyword.arg, keyword.value.value, text)
    if selector and selector not in kind.selectors:
        known = ", ".join(f".{known}" for known in kind.selectors) or "nothing"
        raise WorkbenchError(f"{text!r}: behind {name}(…) may stand {known}, not .{selector}.")
    cell = words[1] if len(words) > 1 else (MEAN if kind.cell else "")
    named = {"reaches": CURVES, "correlation": CORRELATED}.get(name, ())
    for word in words[1:] if name == "reaches" else words:
        if named and word not in named:
            raise WorkbenchError(f"{text!r}: {name}(…) is about {' or '.join(named)}, not {word!r}.")
    if named and len(words) < 2:
        raise WorkbenchError(f"{text!r}: {name}(…) takes two words; the second is {' or '.join(named)}.")
    return Term(name, words[0], cell, tuple(sorted(options.items())), selector)
