"""Jobs as processes of this machine, one stage after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.experiments.engines.jobs import Chain, Outcome, list_stages
from workbench.experiments.side_by_side import Job, run_side_by_side

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Local:
    """Processes side by side, as many at once as there are slots (see `make_slots`)."""

    slots: Sequence[Sequence[str]] = field(default=())

    def run(self, chains: Sequence[Chain], console: "Console", *, keep_going: bool = False) -> Outcome:
        """See `Engine`."""
        peak, failures = 0, dict[Job, str]()
        for stage in list_stages(chains):
            jobs = [
                job
                for chain in chains
                for job in chain
                if job.stage == stage and not failures.keys() & set(chain)
            ]
            if jobs:
                outcome = run_side_by_side(stage, jobs, console, slots=self.slots, keep_going=keep_going)
                peak = max(peak, outcome.peak)
                failures |= outcome.failures
        return Outcome(peak, failures)
