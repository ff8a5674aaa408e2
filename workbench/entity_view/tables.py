"""An entity view as text for the terminal, and as plain rows."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.consoles import EMPTY, percent
from workbench.extraction.asking import RIGHT

if TYPE_CHECKING:
    from rich.table import Table


def read_tokens(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """One row an entity, token, layer and target: the token, its kind, the side, what the probe says.

    `top` lists the likeliest values with their probabilities. Tokens that no probe reads are left out.
    """
    classes = json.loads(dataset.attrs["classes"])
    kinds, layers = dataset["kind"].values.tolist(), dataset["layer"].values.tolist()
    targets = dataset["target"].values.tolist()
    arrays = {
        name: dataset[name].transpose("entity", "token", "layer", "target", ...).values
        for name in ("probability", "top_class", "top_probability")
    }
    starts, kind_NT = dataset["stated_at"].values, dataset["token_kind"].values
    rows = []
    for n, token, layer, k in np.argwhere(~np.isnan(arrays["probability"])).tolist():
        told = zip(
            arrays["top_class"][n, token, layer, k].tolist(),
            arrays["top_probability"][n, token, layer, k].tolist(),
            strict=True,
        )
        rows.append(
            {
                "run": dataset.attrs.get("run", ""),
                "step": int(dataset["checkpoint"]),
                "entity": int(dataset["entity"].values[n]),
                "split": str(dataset["split"].values[n]),
                "token": token,
                "text": token_text(dataset, n, token),
                "kind": kinds[kind_NT[n, token]],
                "layer": layers[layer],
                "target": targets[k],
                "side": "after" if 0 <= starts[n, k] <= token else "before",
                "probability": float(arrays["probability"][n, token, layer, k]),
                "top": [[classes[targets[k]][c], share] for c, share in told if c >= 0],
            }
        )
    return rows


def token_text(dataset: xr.Dataset, n: int, token: int) -> str:
    """The characters of a token; `start` for the end-of-text token before an entry."""
    start, end = int(dataset["token_start"][n, token]), int(dataset["token_end"][n, token])
    return str(dataset["entry"].values[n])[start:end] or "start"


def make_entity_tables(dataset: xr.Dataset, *, tokens: bool = False) -> "list[Table]":
    """The entities with what is read at position 0 and answered; with `tokens` also each entry token by token."""
    tables = [_entities_table(dataset)]
    if tokens:
        tables += [_token_table(dataset, n) for n in range(dataset.sizes["entity"])]
    return tables


def _entities_table(dataset: xr.Dataset) -> "Table":
    layer = dataset["layer"].values[-1]
    targets = dataset["target"].values.tolist()
    table = _table(
        f"{dataset.attrs.get('run')} · entity view · step {int(dataset['checkpoint']):,}",
        "entity", *list_headings(targets), "right",
    )  # fmt: skip
    for n in range(dataset.sizes["entity"]):
        first = int(dataset["position_token"].values[n, 0])
        shares = dataset["probability"].sel(layer=layer).isel(entity=n, token=max(first, 0)).values
        asked = dataset["question"].values[n] != ""
        right = int((dataset["answer_kind"].values[n] == RIGHT).sum())
        table.add_row(
            f"{dataset['name'].values[n]}\n  {int(dataset['entity'].values[n])}, {dataset['split'].values[n]}",
            *[percent(share) for share in shares],
            f"{right}/{int(asked.sum())}" if asked.any() else EMPTY,
        )
    chance = dataset["accuracy"].sel(kind="position 0", side="before", layer=layer)
    table.add_row("test entities read right", *[percent(share) for share in chance.values], "", style="dim")
    by = dataset.attrs.get("answered_by")
    table.caption = (
        f"% on the own value: position 0, layer {layer}; below a name its id (--entity) and half; right: questions "
        f"answered, by {by or 'the checkpoint itself'}"
    )
    table.caption_justify = "left"
    return table


def _token_table(dataset: xr.Dataset, n: int) -> "Table":
    layer, kinds = dataset["layer"].values[-1], dataset["kind"].values.tolist()
    targets = dataset["target"].values.tolist()
    name = f"{dataset['name'].values[n]} ({dataset['split'].values[n]} half)"
    table = _table(f"{name} · layer {layer}", "token", "kind", *list_headings(targets))
    starts = dataset["stated_at"].values[n]
    shares = dataset["probability"].sel(layer=layer).isel(entity=n).values
    for token in range(int(dataset["tokens"].values[n])):
        said = [0 <= start <= token for start in starts]
        cells = [
            f"[dim]{percent(share)}[/]" if done else percent(share)
            for share, done in zip(shares[token], said, strict=True)
        ]
        kind = kinds[int(dataset["token_kind"].values[n, token])].replace("_", " ")
        table.add_row(token_text(dataset, n, token), kind, *cells)
    table.caption = "% the probe gives to the entity's own value; dim: the value has been said"
    table.caption_justify = "left"
    return table


def _table(title: str, *headings: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for number, heading in enumerate(headings):
        if number == 0 or heading == "kind":
            table.add_column(heading, no_wrap=True)
        else:
            table.add_column(heading, justify="right", overflow="fold", min_width=5)
    return table


def list_headings(targets: Sequence[str]) -> list[str]:
    """Attributes, a word a line; with the form below where an attribute is read in several."""
    attributes = [target.partition("/")[0] for target in targets]
    return [
        (target if attributes.count(attribute) > 1 else attribute).replace("/", "\n").replace("_", "\n")
        for target, attribute in zip(targets, attributes, strict=True)
    ]
