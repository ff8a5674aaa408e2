"""The examples of docs/probing-linear.md run as they stand."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from workbench.probing.linear import fit_probes, learning_curve

PAGE = Path(__file__).parents[3] / "docs/probing-linear.md"


def test_the_examples_of_the_page_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    for block in blocks[:4]:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["result"].significant.values.ravel().tolist() == [False, False, True]
    assert names["probe"].weights_CD.shape == (4, 32)

    rng = np.random.default_rng(0)
    entities, labels = np.arange(400), np.arange(400) % 4
    vectors, train = rng.normal(size=(400, 8)) + 3 * np.eye(4, 8)[labels], entities < 200
    own = fit_probes(vectors, labels, entities, train, probe=names["MeanDifference"])
    assert float(own.accuracy[0]) > 0.8
    settings = {"numbers=[125, 250, 500, 1000]": "numbers=[50, 200]", '"city/whole"': '"target 0"'}
    last = blocks[4]
    for written, small in settings.items():
        assert written in last
        last = last.replace(written, small)
    exec(
        last,
        {
            "vectors": vectors,
            "labels": labels,
            "entities": entities,
            "train": train,
            "learning_curve": learning_curve,
        },
    )
