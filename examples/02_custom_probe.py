"""A probe of your own, from activations to a heatmap: anything with `fit` and `predict` will do.

python examples/02_custom_probe.py [FOLDER]
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from workbench import load_recipe, probe_activations, train
from workbench.figures import plot_layer_heatmap
from workbench.figures.tables import print_result

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
few = dict.fromkeys(["birth_city", "university", "major", "company"], 4)
toy = {
    "people.number": 120,
    "people.pool_sizes": few,
    "biographies.templates": 4,
    "model.n_layers": 2,
    "model.d_model": 64,
    "training.rows_per_step": 32,
    "training.exposures": 60,
    "training.evaluations": 5,
}
run = train(load_recipe("tiny", toy), folder / "toy")

# How many directions of the hidden state does a fact need? Probe its 8 largest principal components only.
my_probe = make_pipeline(PCA(n_components=8), LogisticRegression(max_iter=200))

result = probe_activations(run, my_probe, family="pca8", checkpoints="all", layers=[0, 2, "final"])
newest = result.isel(checkpoint=-1)
print_result(newest)
print(result["accuracy"].sel(target="company/whole", position=0).to_pandas())  # checkpoint × layer

plot_layer_heatmap(newest, "company/whole").write_html(folder / "layers.html", include_plotlyjs=True)
print("layer × position for the company is in", folder / "layers.html")
print(f"and it is kept beside the run: workbench ui {folder}")
