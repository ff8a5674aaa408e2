"""Where a model looks and when it knows the answer, measured three times: by the workbench's own hooks, with
TransformerLens and with nnsight. All three agree; take the toolkit you know, or go on from here with its own tools.

    python examples/04_the_same_measures_in_other_toolkits.py [FOLDER]        seconds

Two measures. The *share* of a head's attention that goes to the entity's name, from the token just before each value.
And the *logit lens*: the probability of the value's first token if a layer's residual stream went straight through the
final norm and the output head.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from workbench_models import make_model

from workbench import bridge, load_recipe, trace
from workbench.attention import choose_entries, make_examples
from workbench.attention.logit_lens import measure_lens
from workbench.attention.shares import measure_shares
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.loading import load_model
from workbench.studies.runs import create_run

# An untrained model, so that this takes seconds; larger weights, or every head would look everywhere alike. For your
# own run the next lines are `run = open_run("runs/mine")`.
folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
changes = {"people.number": 40, "model.n_layers": 2, "model.d_model": 64}
run = create_run(load_recipe("tiny", changes), folder / "toy")
size = {"vocab_size": len(run.tokenizer), "eos_token_id": 0, "pad_token_id": 1}
untrained = make_model(run.recipe.model.shape, seed=0, **size)
with torch.no_grad():
    for weights in untrained.parameters():
        weights.mul_(5 if weights.ndim == 2 else 1)
save_checkpoint(run.checkpoints_folder, untrained, run.tokenizer, 0, {})
checkpoint = run.checkpoint("last")

# One entry of each of 20 test entities, cut behind the last position. A batch holds the token ids, what every token is
# there for (its role), the six positions, and the token that should come next at each.
examples = make_examples(run.tokenizer, choose_entries(run, 20), run.schema)
batch = examples.batch(np.arange(len(examples)))
is_name = torch.isin(batch.roles_BT, torch.tensor(examples.legend.expand("name"))).float()
blocks = range(run.recipe.model.shape.n_layers)

# --- the workbench: one call a measure, for any number of entries --------------------------------------------------

model = load_model(checkpoint)
shares, lens = measure_shares(model, examples), measure_lens(model, examples)
by_hooks = shares["group_share"].sel(group="name").mean("position").values  # block × head
lens_by_hooks = (lens["probability"] * lens["n"]).sum(("position", "attribute")) / lens["n"].sum(
    ("position", "attribute")
)


def name_share(pattern: torch.Tensor) -> np.ndarray:
    """[batch, head, query, key] → each head's mean share on the name, from the positions."""
    rows = batch.at_positions(pattern.transpose(1, 2))  # batch × position × head × key
    return torch.einsum("bpht,bt->bph", rows, is_name).mean((0, 1)).numpy()


def probability(logits: torch.Tensor) -> float:
    """[batch, position, vocabulary] → mean probability of the right next token."""
    return logits.softmax(-1).gather(-1, batch.answers_BP[..., None]).mean().item()


# --- TransformerLens: a cache of named activations -----------------------------------------------------------------

with torch.no_grad():
    lens_model = bridge(checkpoint)
    _, cache = lens_model.run_with_cache(batch.ids_BT)
    by_lens = np.stack([name_share(cache[f"blocks.{block}.attn.hook_pattern"]) for block in blocks])
    stream = [
        cache["blocks.0.hook_resid_pre"],
        *(cache[f"blocks.{block}.hook_resid_post"] for block in blocks),
    ]
    lens_by_lens = [
        probability(lens_model.unembed(lens_model.ln_final(batch.at_positions(state)))) for state in stream
    ]

# --- nnsight: the Hugging Face modules themselves, read while they run ---------------------------------------------
# `trace` imports nnsight when it is called and not before: nnsight gives every Python object a `.save`, which a
# process that serves an app should never see. Values are saved in the order in which the model makes them.

traced = trace(checkpoint)
traced._module.set_attn_implementation("eager")  # no other attention has a pattern to show
states, patterns = [], []
with torch.no_grad(), traced.trace(input_ids=batch.ids_BT):
    states.append(traced.gpt_neox.embed_in.output.save())
    for block in blocks:
        patterns.append(traced.gpt_neox.layers[block].attention.output[1].save())
        states.append(traced.gpt_neox.layers[block].output.save())
by_nnsight = np.stack([name_share(pattern) for pattern in patterns])
with torch.no_grad():
    norm, head = model.base_model.final_layer_norm, model.get_output_embeddings()
    lens_by_nnsight = [probability(head(norm(batch.at_positions(state)))) for state in states]

# --- the same numbers ----------------------------------------------------------------------------------------------

for toolkit, share, lens_values in (
    ("TransformerLens", by_lens, lens_by_lens),
    ("nnsight", by_nnsight, lens_by_nnsight),
):
    np.testing.assert_allclose(share, by_hooks, atol=1e-5, err_msg=toolkit)
    np.testing.assert_allclose(lens_values, lens_by_hooks, rtol=1e-3, atol=1e-6, err_msg=toolkit)

print("share of attention on the name, %, by block (rows) and head:")
print(np.round(100 * by_hooks, 1))
print("probability of the right token by layer:", np.round(lens_by_hooks.values, 4))
print("TransformerLens and nnsight give the same.")
