"""From a run's checkpoints to results of solving: greedy, by beam, drawn, or with regret; one file a checkpoint."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.field_checks import check_fields
from workbench.minutes import Show
from workbench.reasoning.mistakes import ask_at_first_fault, ask_of_unnecessary
from workbench.reasoning.regret import make_detector, solve_with_regret
from workbench.reasoning.solving import (
    Solved,
    choose_sets,
    make_set,
    make_solving_dataset,
    score_solved,
    solve,
)
from workbench.reasoning.v_probe import VRequest, fit_v_probe
from workbench.results.storing import find_result, result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.runs import Run
from workbench.training.devices import choose_device
from workbench.training.problems import make_texts
from workbench.worlds.arithmetic.properties import label_names
from workbench.worlds.arithmetic.texts import ProblemText

if TYPE_CHECKING:
    import xarray as xr

    from workbench.probing.query_probe import FittedQueryProbe

KIND = "solving"
REGRETS = ("none", "probe", "perfect")


@dataclass(frozen=True)
class SolvingRequest:
    """What to solve, and how. operations: test sets such as `3,6,reask`; None: all of the family's.

    number: problems of each set. temperature: 0 is greedy. regret: `none`, `probe` or `perfect`. mistakes: also ask
    probes about what went wrong.
    """

    operations: str | None = None
    number: int = 256
    beams: int = 1
    temperature: float = 0.0
    regret: str = "none"
    mistakes: bool = False
    seed: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"number": 1, "beams": 1, "temperature": 0, "seed": 0})
        if self.regret not in REGRETS:
            raise WorkbenchError(f"--regret is one of {', '.join(REGRETS)}, not {self.regret!r}.")
        if self.regret != "none" and (self.beams > 1 or self.temperature):
            raise WorkbenchError(
                "With --regret the first version of a sentence is the likeliest and the others are drawn; "
                "leave out --beams and --temperature."
            )

    @property
    def family(self) -> str:
        """How solutions are written, as results name it."""
        if self.regret != "none":
            return f"regret-{self.regret}".replace("-", ".")
        if self.beams > 1:
            return f"beams{self.beams}"
        return f"drawn{self.temperature:g}" if self.temperature else "greedy"


def run_solving(
    run: Run,
    checkpoints: Sequence[Checkpoint],
    request: SolvingRequest,
    *,
    device: str | None = None,
    show: Show | None = None,
) -> "list[xr.Dataset]":
    """Solve the test sets with each checkpoint; a result that exists for the same weights and settings is loaded."""
    texts = make_texts(run.recipe, run.tokenizer)
    sets = choose_sets(texts, request.operations)
    settings = {key: value for key, value in asdict(request).items() if key != "again"}
    found = []
    for number, checkpoint in enumerate(checkpoints):
        variant = "" if request.operations is None else "op" + "-".join(sets)
        path = result_path(run.path, KIND, request.family, checkpoint.step, variant)
        dataset = None if request.again else find_result(path, checkpoint.weights_digest, settings)
        if dataset is None:
            solver = _Solver(run, checkpoint, request, choose_device(device))
            scores: dict[str, dict[str, float]] = {}
            for name, operations in sets.items():
                if show:
                    done = number * len(sets) + len(scores)
                    show(f"solving {name}, step {checkpoint.step}", done, len(checkpoints) * len(sets))
                scores[name] = solver.score(make_set(texts, name, operations, request.number))
            dataset = make_solving_dataset(run, checkpoint, scores, request.family, settings, variant)
            save_result(path, dataset)
        found.append(dataset)
    return found


class _Solver:
    """One checkpoint's model, with the probes that the request needs."""

    def __init__(self, run: Run, checkpoint: Checkpoint, request: SolvingRequest, device: str) -> None:
        self.run, self.request = run, request
        self.tokenizer = run.tokenizer
        self.texts = make_texts(run.recipe, run.tokenizer)
        self.can_next = self.nece = None
        if request.regret == "probe" or request.mistakes:
            self.can_next = fit_v_probe(run, checkpoint, "can_next", VRequest(), device=device)[0]
        if request.mistakes:
            self.nece = fit_v_probe(run, checkpoint, "nece", VRequest(), device=device)[0]
        self.model = self.can_next.model if self.can_next else load_model(checkpoint, device=device)

    def score(self, asked: Sequence[ProblemText]) -> dict[str, float]:
        """The scores of one test set."""
        request, anew = self.request, 0
        if request.regret != "none":
            probe: FittedQueryProbe | None = self.can_next if request.regret == "probe" else None
            detector = make_detector(probe, tuple(label_names("can_next", 0)), self.tokenizer)
            solved, anew = solve_with_regret(self.model, self.tokenizer, asked, detector, seed=request.seed)
        else:
            solved = solve(
                self.model,
                self.tokenizer,
                asked,
                beams=request.beams,
                temperature=request.temperature,
                seed=request.seed,
            )
        return score_solved(solved) | {"anew": anew / len(solved)} | self._ask(solved)

    def _ask(self, solved: Sequence[Solved]) -> dict[str, float]:
        if self.can_next is None or self.nece is None:
            return {}
        fault = ask_at_first_fault(self.can_next, solved, self.texts.encode)
        unneeded = ask_of_unnecessary(self.nece, solved, self.texts.encode)
        return {
            "fault_told": fault.share,
            "n_fault": fault.n,
            "unnecessary_told": unneeded.share,
            "n_unnecessary": unneeded.n,
        }
