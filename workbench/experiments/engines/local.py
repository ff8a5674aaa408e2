"""Jobs as processes of this machine, each chain by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.experiments.chains import Chain, Outcome
from workbench.experiments.side_by_side import run_side_by_side

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Local:
    """Processes side by side, as many at once as there are slots (see `make_slots`)."""

    slots: Sequence[Sequence[str]] = field(default=())

    def run(self, chains: Sequence[Chain], console: "Console", *, keep_going: bool = False) -> Outcome:
        """See `Engine`."""
        return run_side_by_side(chains, console, slots=self.slots, keep_going=keep_going)
