"""From a recipe to a heatmap in ten lines of Python, at toy size: under a minute on one core.

    python examples/01_from_recipe_to_heatmap.py [FOLDER]

Everything is real but small: 200 entities, four values for each attribute, a two-layer model. Take
`load_recipe("tiny")` as it is, and five minutes, for a model that recites.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

from workbench import load_recipe, run_p_probe, train
from workbench.figures import plot_probe_heatmap
from workbench.figures.tables import print_result

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
few = dict.fromkeys(["birth_city", "university", "major", "company"], 4)
toy = {
    "people.number": 200,
    "people.pool_sizes": {"first_name": 20, "middle_name": 20, "last_name": 20, "birth_month": 4, **few},
    "biographies.templates": 4,
    "model.n_layers": 2,
    "model.d_model": 64,
    "training.rows_per_step": 32,
    "training.exposures": 60,
    "training.evaluations": 5,
    "probing.steps": 60,
}
recipe = load_recipe("tiny", toy)

run = train(recipe, folder / "toy")
print("checkpoints at steps", [checkpoint.step for checkpoint in run.checkpoints])
print("recites first tokens:", run.metrics()[-1]["biographies"]["test"])

for checkpoint in (run.checkpoints[0], run.checkpoints[-1]):  # untrained, then trained
    result = run_p_probe(run, checkpoint)
    print_result(result)

plot_probe_heatmap(result).write_html(folder / "heatmap.html", include_plotlyjs=True)
print("the heatmap is in", folder / "heatmap.html")
