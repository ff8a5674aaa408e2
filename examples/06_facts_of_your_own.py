"""Facts of your own: a folder with a table and sentences becomes a run whose heatmap has your attributes, at toy size.

    python examples/06_facts_of_your_own.py [FOLDER]

The folder is the one `workbench data facts --init` writes: invented towns. Put your table and sentences in its
place, take `load_recipe("own")` as it is, and compare `single` with `multi5+permute`.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

from workbench import load_recipe, make_corpus, run_p_probe, train
from workbench.figures.tables import print_result
from workbench.worlds.own.example import write_example

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
write_example(folder / "facts")
toy = {
    "own.folder": str(folder / "facts"),
    "own.entities": 200,
    "own.augmentation": "multi5+permute",
    "model.n_layers": 1,
    "model.d_model": 32,
    "training.exposures": 10,
    "training.rows_per_step": 32,
    "training.checkpoints": "last",
    "probing.steps": 10,
}
recipe = load_recipe("own", toy)

corpus = make_corpus(recipe)
for entry in corpus.entries[:2]:  # written when asked for
    print(entry.text)
    print({key: entry.text[start:end] for key, (start, end) in entry.values.items()})

run = train(recipe, folder / "towns")
print_result(run_p_probe(run, run.checkpoints[-1]))
