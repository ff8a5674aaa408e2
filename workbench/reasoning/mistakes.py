"""Does the model know that it erred? What probes say at the first fault, and of what was not needed (Figure 8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.probing.query_probe import FittedQueryProbe
from workbench.reasoning.regret import ask, read_before
from workbench.reasoning.solving import Solved
from workbench.worlds.arithmetic.properties import NO, label_names
from workbench.worlds.arithmetic.wording import name_parameters


@dataclass(frozen=True)
class Told:
    """How often a probe said no, out of n."""

    said_no: int
    n: int

    @property
    def share(self) -> float:
        """NaN where nothing was asked."""
        return self.said_no / self.n if self.n else float("nan")


def ask_at_first_fault(
    can_next: FittedQueryProbe, solved: Sequence[Solved], encode: Callable[[list[str]], list[int]]
) -> Told:
    """`can_next` of the parameter of the first wrong sentence, right before that sentence; wrong solutions only."""
    read, names = [], []
    for one in solved:
        verdict = one.verdict
        if verdict.right or verdict.parameter is None or verdict.sentence is None:
            continue
        read.append(read_before(one, verdict.sentence, encode))
        names.append(encode(list(name_parameters(one.text.problem)[verdict.parameter])))
    said = ask(can_next, read, names, tuple(label_names("can_next", 0)))
    return Told(sum(answer == NO for answer in said), len(said))


def ask_of_unnecessary(
    nece: FittedQueryProbe, solved: Sequence[Solved], encode: Callable[[list[str]], list[int]]
) -> Told:
    """`nece`, behind the problem, of the unnecessary parameters that right solutions computed."""
    read, names = [], []
    for one in solved:
        if not one.verdict.right:
            continue
        for parameter in one.verdict.unnecessary:
            read.append(read_before(one, 0, encode))
            names.append(encode(list(name_parameters(one.text.problem)[parameter])))
    said = ask(nece, read, names, tuple(label_names("nece", 0)))
    return Told(sum(answer == NO for answer in said), len(said))
