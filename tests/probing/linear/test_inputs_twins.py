"""Entities whose names look alike are one entity; in two spellings they would stand in both halves."""

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.probing.linear import fit_probes


@pytest.mark.parametrize("kind", [object, str])
def test_entities_in_two_spellings_are_refused(kind: type) -> None:
    features = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    names = [f"town {n}" for n in range(40)]
    names[0], names[1] = "Z\u00fcrich", "Zu\u0308rich"
    with pytest.raises(
        WorkbenchError, match=r"entities: the names 'Z\\xfcrich' and 'Zu\\u0308rich' look alike"
    ):
        fit_probes(features, np.arange(40) % 2, np.array(names, kind), np.arange(40) % 2 == 0)
