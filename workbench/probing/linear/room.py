"""How much memory it takes to fit the probes of one feature set, and so how many fit at a time.

Shapes: N texts, D width, K label columns, A classes of all columns side by side.
"""

from workbench.errors import WorkbenchError
from workbench.files import format_bytes
from workbench.probing.linear.batch import BLOCK_BYTES, BatchedProbe
from workbench.probing.linear.closed_form import ClosedFormProbe
from workbench.probing.linear.columns import Columns
from workbench.probing.linear.custom import CellProbe
from workbench.probing.linear.engine import LogisticProbe
from workbench.probing.linear.inputs import ProbeInputs

LABEL_BYTES = 60  # labels, masks, answers and their copies, for each text and column
LOGISTIC_COPIES, OTHER_COPIES = 2.5, 5  # of the train texts
PATTERN_SHARE = 3  # Gram matrices: all texts, those kept, those held out


def bytes_of_a_fit(inputs: ProbeInputs, columns: Columns, probe: BatchedProbe | CellProbe) -> int:
    """About how many bytes the probes of one feature set take while they are fitted and scored."""
    n_train, n = int(inputs.train_N.sum()), len(inputs.train_N)
    width, n_classes = int(inputs.features.shape[-1]), sum(columns.n_classes)
    labels = LABEL_BYTES * n * len(columns.n_classes)
    weights = 8 * n_classes * width * 6
    texts = 4 * n_train * width
    if isinstance(probe, ClosedFormProbe):
        patterns = 2 ** min(6, len(set(columns.target_K.tolist())))
        return int(labels + weights + 3 * min(BLOCK_BYTES, texts) + PATTERN_SHARE * patterns * 8 * width**2)
    copies = LOGISTIC_COPIES if isinstance(probe, LogisticProbe) else OTHER_COPIES
    return int(labels + weights + copies * texts + 4 * min(BLOCK_BYTES, texts))


def count_fits(memory: int, needed: int) -> int:
    """How many fits of `needed` bytes go into memory; none is refused with what helps."""
    if needed > memory:
        raise WorkbenchError(
            f"The probes of one layer and position need about {format_bytes(needed)}, more than "
            f"{format_bytes(memory)}; give more (--memory), read fewer entries of each entity "
            "(--entries-per-entity 2), or take a probe in closed form (--family ridge)."
        )
    return memory // needed
