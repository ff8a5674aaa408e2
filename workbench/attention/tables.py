"""Attention results as text for the terminal."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.attention.head_scores import SCORES
from workbench.attention.pooling import mean_over_positions, pool_cells, stated
from workbench.attention.roles import GROUPS
from workbench.consoles import EMPTY, percent
from workbench.results.statistics import Z_95

if TYPE_CHECKING:
    from rich.table import Table

FEW_HEADS = 8  # of a set that are named
MOST_HEADS = 48  # rows of heads or parts that are printed; the others are in --json and the app


def make_attention_tables(dataset: xr.Dataset) -> "list[Table]":
    """The tables of one checkpoint's attention result, by what it measured."""
    makers: dict[str, Callable[[xr.Dataset], Table]] = {
        "shares": _shares,
        "knockout": _knockout,
        "ablation": _ablation,
        "interchange": _interchange,
        "steering": _steering,
        "lens": _lens,
        "heads": _heads,
    }
    tables = [makers[dataset.attrs["family"]](dataset)]
    return [*tables, _head_sets(dataset)] if "head_set" in dataset.dims else tables


def foremost(rows: list[Any], scores: np.ndarray) -> tuple[list[Any], str]:
    """The rows with the highest scores, in their own order; and `the 48 of 270 shown`, empty where all are."""
    if len(rows) <= MOST_HEADS:
        return rows, ""
    best = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")[:MOST_HEADS]
    return [
        rows[number] for number in sorted(best)
    ], f"the {MOST_HEADS} of {len(rows)} shown (--json has all)"


def _shares(dataset: xr.Dataset) -> "Table":
    share, even = (mean_over_positions(dataset, name) for name in ("group_share", "group_uniform"))
    groups = [group for group in GROUPS if float(even.sel(group=group)) > 0]  # that some text has
    share, even = share.sel(group=groups), even.sel(group=groups)
    table = _table(dataset, "head", *map(_words, groups), "entropy", "distance")
    entropy, distance = (mean_over_positions(dataset, name) for name in ("entropy", "distance"))
    blocks, heads = dataset["block"].values.tolist(), dataset["head"].values.tolist()
    towards = share.sel(group="name").transpose("block", "head").values.ravel()
    shown, left_out = foremost([(block, head) for block in blocks for head in heads], towards)
    for block, head in shown:
        at = {"block": block, "head": head}
        cells = [*map(percent, share.sel(at).values)]
        table.add_row(f"{block}.{head}", *cells, f"{entropy.sel(at):.2f}", f"{distance.sel(at):.1f}")
    table.add_row("everywhere alike", *map(percent, even.values), "", "", style="dim")
    last = int(dataset["position"][dataset["n"] > 0][-1])
    where = f"each value (positions 0…{last})" if last else "the value"
    table.caption = f"attention by role from the token before {where}, %; entropy in nats, distance in tokens"
    table.caption += left_out and f"; {left_out} look most at the name"
    return table


def _knockout(dataset: xr.Dataset) -> "Table":
    dataset = stated(dataset)
    attributes = dataset["attribute"].values.tolist()
    window = dataset["window"].values[0]
    table = _table(dataset, "cut", *map(_words, attributes), "loss", "±", "control", "worst block")
    accuracy = pool_cells(dataset, "accuracy", "position").sel(window=window)
    clean = pool_cells(dataset, "accuracy_clean", "position").sel(window=window)
    names = ("pooled_loss", "pooled_loss_se", "pooled_loss_control")
    loss, error, control = (dataset[name] for name in names)
    table.add_row("nothing", *map(percent, clean.max("role").values), "", "", "", "", style="dim")
    seen = dataset["entities"].sel(window=window) > 0
    for role in dataset["role"][seen].values:  # a name of one word has no first one
        parts = loss.sel(role=role).values[1:]
        worst = ""
        if len(parts) and not np.isnan(parts).all():
            at = int(np.nanargmax(parts)) + 1
            worst = str(dataset["window"].values[at])
        cell = {"role": role, "window": window}
        numbers = [_number(float(values.sel(cell))) for values in (loss, Z_95 * error, control)]
        table.add_row(_words(role), *map(percent, accuracy.sel(role=role).values), *numbers, worst)
    table.caption = (
        f"first-token accuracy in % with the look at a role cut in {window} blocks; loss of the right token's "
        "probability with its 95 % interval by entity; control: as many random tokens cut"
    )
    return table


def _ablation(dataset: xr.Dataset) -> "Table":
    dataset = stated(dataset)
    attributes = dataset["attribute"].values.tolist()
    table = _table(dataset, "without", "mode", *map(_words, attributes), "loss", "±")
    accuracy = pool_cells(dataset, "accuracy", "position")
    worth = abs(dataset["pooled_loss"]).max("mode").transpose("part").values
    shown, left_out = foremost(dataset["part"].values.tolist(), worth)
    for part in shown:
        for mode in dataset["mode"].values:
            at = {"part": part, "mode": mode}
            loss = [float(dataset["pooled_loss"].sel(at)), Z_95 * float(dataset["pooled_loss_se"].sel(at))]
            table.add_row(part, mode, *map(percent, accuracy.sel(at).values), *map(_number, loss))
    table.caption = (
        "first-token accuracy in % without a head or feed-forward part, at every token; loss of the right token's "
        "probability with its 95 % interval by entity"
    )
    table.caption += left_out and f"; {left_out} matter most"
    return table


def _interchange(dataset: xr.Dataset) -> "Table":
    dataset = dataset.sel(role=dataset["entities"].sum("layer") > 0)  # a question has no pronoun, say
    table = _table(dataset, "layer", *map(_words, dataset["role"].values))
    other, low, high = (
        dataset[f"pooled_accuracy{end}"].transpose("layer", "role") for end in ("", "_ci_low", "_ci_high")
    )
    for layer in dataset["layer"].values[::-1]:
        table.add_row(str(layer), *map(percent, other.sel(layer=layer).values))
    first = dataset["layer"].values[0]
    half = ((high - low) / 2).max("layer")
    table.add_row("± at most", *map(percent, half.values), style="dim")
    ceiling = dataset["pooled_ceiling"].sel(layer=first)
    table.add_row("ceiling", *map(percent, ceiling.values), style="dim")
    table.add_row("refused", *map(percent, dataset["refused"].values), style="dim")
    table.add_row("entities", *map(str, dataset["entities"].max("layer").values.astype(int)), style="dim")
    table.caption = (
        "% of entries in which the model states the other entity's value once a role's residual is the other's; "
        "±: half the widest 95 % interval by entity; ceiling: it reads the other's whole entry; refused: other number "
        "of tokens; entities: of how many this is"
    )
    return table


def _steering(dataset: xr.Dataset) -> "Table":
    strengths = dataset["strength"].values.tolist()
    columns = (f"× {strength:g}" for strength in strengths)
    table = _table(dataset, "place", "layer", "push", *columns, "own left", "reads", "apart")
    for place in dataset["place"].values:
        for layer in dataset["layer"].values[::-1]:
            here = dataset.sel(place=place, layer=layer)
            if not float(here["entities"].max()):
                continue
            for kind in dataset["direction"].values.tolist():
                says = here["pooled_accuracy"].sel(direction=kind, strength=strengths).values
                own = here["pooled_own"].sel(direction=kind, strength=strengths[-1])
                first = kind == dataset["direction"].values[0]
                reads, apart = (float(here[name].mean()) for name in ("probe_accuracy", "means_apart"))
                notes = [percent(reads), _number(apart)] if first else ["", ""]
                names = [_words(place), str(layer)] if first else ["", ""]
                style = "dim" if kind == "random" else None
                table.add_row(*names, kind, *map(percent, says), percent(own), *notes, style=style)
    clean = percent(dataset["accuracy_clean"].mean())
    table.caption = (
        f"% of statements in which the other value's first token is the likeliest ({clean} without a push), by "
        "length of the push in lengths of the residual; own left: % that still state the own value after the longest; "
        "reads: the probe's accuracy in %; apart: distance of two values' means in lengths of the residual"
    )
    return table


def _lens(dataset: xr.Dataset) -> "Table":
    dataset = stated(dataset)
    attributes = dataset["attribute"].values.tolist()
    table = _table(dataset, "layer", *map(_words, attributes), "all", "settles here")
    right = pool_cells(dataset, "accuracy", "position")
    everything, first = (pool_cells(dataset, name) for name in ("accuracy", "first_top1"))
    for layer in dataset["layer"].values[::-1]:
        cells = map(
            percent, [*right.sel(layer=layer).values, everything.sel(layer=layer), first.sel(layer=layer)]
        )
        table.add_row(str(layer), *cells)
    table.caption = (
        "% top-1 of the value's first token, each layer read through the final norm and output head"
    )
    return table


def _heads(dataset: xr.Dataset) -> "Table":
    names = (*SCORES, "direct", "direct_control", "name_mover", "name_mover_control")
    table = _table(dataset, "head", *map(_words, names))
    weighted = dataset[[name for name in names if name not in SCORES]].weighted(dataset["n"])
    means = dataset[list(SCORES)].merge(weighted.mean("attribute"))
    blocks, heads = dataset["block"].values.tolist(), dataset["head"].values.tolist()
    direct = abs(means["direct"]).transpose("block", "head").values.ravel()
    shown, left_out = foremost([(block, head) for block in blocks for head in heads], direct)
    for block, head in shown:
        values = [float(means[name].sel(block=block, head=head)) for name in names]
        table.add_row(f"{block}.{head}", *map(_number, values))
    table.caption = (
        "shares of attention on a text said twice; then logits towards the right value, and a random one"
    )
    table.caption += left_out and f"; {left_out} write most towards the right value, or against it"
    return table


def _head_sets(dataset: xr.Dataset) -> "Table":
    table = _table(dataset, "together", "heads", "without", "±", "name cut", "±")
    for name in dataset["head_set"].values.tolist():
        at = {"head_set": name}
        numbers = []
        for loss in ("pooled_ablated_loss", "pooled_cut_loss"):
            numbers += [float(dataset[loss].sel(at)), Z_95 * float(dataset[f"{loss}_se"].sel(at))]
        random = name.startswith("random")
        label = _words(name) if random else f"top {_words(name)}"
        table.add_row(
            label,
            _few(str(dataset["set_heads"].sel(at).values).split()),
            *map(_number, numbers),
            style="dim" if random else None,
        )
    table.caption = (
        "loss of the right token's probability with the top heads of a score replaced by their means, or their look at "
        "the name cut, beside as many heads drawn at random; 95 % interval by entity"
    )
    return table


def counted(dataset: xr.Dataset) -> str:
    """` · 20 entities`: of how many anything was measured."""
    for name, word in (("entities", "entities"), ("n", "texts")):
        if name in dataset:
            return f" · {int(dataset[name].max()):,} {word}"
    return ""


def _few(heads: list[str]) -> str:
    """`0.1 0.3 1.2`, of more than eight `67: 0.1 0.3 1.2 …`."""
    return " ".join(heads) if len(heads) <= FEW_HEADS else f"{len(heads)}: {' '.join(heads[:3])} …"


def _table(dataset: xr.Dataset, *columns: str) -> "Table":
    from rich.table import Table

    step = f" · step {int(dataset['checkpoint']):,}" if "checkpoint" in dataset.coords else ""
    title = f"{dataset.attrs.get('run', '')} · attention, {dataset.attrs['family']}{step}{counted(dataset)}"
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    table.title_style = "bold"
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0)
    return table


def _words(name: Any) -> str:
    return str(name).replace("_", " ").replace(":", ": ")


def _number(value: float) -> str:
    return EMPTY if np.isnan(value) else f"{value:.2f}"
