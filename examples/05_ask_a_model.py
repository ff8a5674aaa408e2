"""Can a recited fact be extracted? Two toy models that differ only in how their biographies were written are taught to
answer questions about half of the entities, and asked about the other half.

    python examples/05_ask_a_model.py [FOLDER]        a minute on one core
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

from workbench import load_recipe, train
from workbench.extraction.answer_table import collect_answers, pool_seeds
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import choose_settings
from workbench.figures.extraction import plot_answers

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
few = dict.fromkeys(["birth_city", "university", "major", "company"], 4)
toy = {
    "people.number": 120,
    "people.pool_sizes": {"first_name": 20, "middle_name": 20, "last_name": 20, **few},
    "biographies.templates": 4,
    "model.n_layers": 2,
    "model.d_model": 64,
    "training.rows_per_step": 32,
    "training.exposures": 160,
    "training.checkpoints": "last",
    "training.evaluations": 5,
}

runs = []
for augmentation in ("single", "multi5+permute"):
    recipe = load_recipe("tiny", {**toy, "name": augmentation, "biographies.augmentation": augmentation})
    run = train(recipe, folder / augmentation)
    finetune(run, run.checkpoint(), choose_settings(64, steps=150, embedding_rank=16))
    answers = evaluate(run, EvaluationRequest("lora")).dataset
    right = answers["accuracy"].mean("attribute").to_series().round(2).to_dict()
    recited = run.metrics()[-1]["biographies"]["test"]["mean"]  # first tokens, before finetuning
    print(f"{augmentation}: recites {recited:.2f} of its biographies; answers right: {right}")
    runs.append(run)

figure = plot_answers(pool_seeds(collect_answers(runs, EvaluationRequest("lora"))))
page = folder / "answers.html"
figure.write_html(page)
print(page)
