"""The paper's own numbers in the shape of our results, to be laid beside them.

Source: Allen-Zhu and Li, "Physics of Language Models: Part 3.1", arXiv 2309.14316v3, data bioS, GPT-2 with
rotary embedding (12 layers × 768): Figure 5 (P-probe, first token), Figure 13(c) (P-probe, whole value),
Figure 7 (Q-probe), Figure 3 (questions), Figures 8 and 17 (celebrities), 9 (GBERT), 10 (mixed training), 2 and 11
(ranks), 12 and 17 for bioR, whose texts a language model wrote. The paper prints no n and no
intervals, so these results have none.
"""

import functools
import importlib.resources
import json
from typing import Any, Literal

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError, nearest
from workbench.worlds.biographies.schema import SCHEMA

PAPER = "arXiv 2309.14316"
KEYS = SCHEMA.keys
TARGETS = SCHEMA.target_names
POSITIONS = tuple(range(len(SCHEMA)))


def paper_augmentations() -> list[str]:
    """The augmentations the paper has numbers for, in its order."""
    return [name for name in _numbers()["q"]["rows"] if name != "baseline"]


def paper_p_probe(augmentation: str) -> xr.Dataset:
    """The paper's P-probe of a bioS model as a result: accuracy (position, target), chance (target).

    >>> float(paper_p_probe("single")["accuracy"].sel(position=1, target="birth_city/first"))
    1.0
    """
    accuracy = _by_target(_row("p_first", augmentation), _row("p_whole", augmentation))
    chance = _by_target(_row("p_first", "baseline"), _row("p_whole", "baseline"))
    return xr.Dataset(
        {"accuracy": (("position", "target"), accuracy.T), "chance": ("target", chance[:, 0])},
        coords={"position": list(POSITIONS), "target": list(TARGETS)},
        attrs=_attrs("p", augmentation, {"rank": 2}),
    )


def paper_q_probe(augmentation: str, *, gbert: bool = False) -> xr.Dataset:
    """The paper's Q-probe of a bioS model (or of its bidirectional one) as a result: accuracy and chance (target)."""
    first = len(KEYS)
    rows = [_row("gbert_q" if gbert else "q", name) for name in (augmentation, "baseline")]
    accuracy, chance = (_by_target(row[:first], row[first:]) for row in rows)
    return xr.Dataset(
        {"accuracy": ("target", accuracy), "chance": ("target", chance)},
        coords={"target": list(TARGETS)},
        attrs=_attrs("q", augmentation, {"rank": 16}),
    )


def paper_answers(augmentation: str, *, mixed: bool = False, gbert: bool = False) -> dict[str, float]:
    """The paper's accuracy of answers of test entities by attribute: after LoRA, or after mixed training.

    gbert: of its bidirectional model (Figure 9) in place of GPT-2 (Figure 3).

    >>> paper_answers("single")["company"], paper_answers("single", mixed=True)["company"]
    (0.011, 0.888)
    """
    table = ("gbert" if gbert else "qa") + ("_mixed" if mixed else "_finetune")
    return _by_attribute(_row(table, augmentation))


def paper_answers_beside_celebrities(augmentation: str) -> dict[str, float] | None:
    """Answers about the minority beside celebrities, finetuned on these (Figures 8 and 17), by the minority's
    augmentation; None where the paper has no such run.

    >>> paper_answers_beside_celebrities("single+permute1")["company"]
    0.717
    """
    rows = _numbers()["qa_celebrity"]["rows"]
    return _by_attribute(rows[augmentation]) if augmentation in rows else None


def paper_rewritten_answers(
    augmentation: str, *, mixed: bool = False, llama: bool = False
) -> dict[str, float] | None:
    """Answers about test people of bioR, whose texts a language model wrote (Figure 12), by attribute: after LoRA, or
    after mixed training; of GPT-2 (302M) or the Llama architecture. None where the paper has no such run.

    >>> paper_rewritten_answers("multi5")["company"], paper_rewritten_answers("multi5", llama=True)["company"]
    (0.919, 0.88)
    """
    table = f"rewritten_{'llama' if llama else 'gpt2'}_{'mixed' if mixed else 'finetune'}"
    rows = _numbers()[table]["rows"]
    return _by_attribute(rows[augmentation]) if augmentation in rows else None


def paper_rewritten_answers_beside(
    augmentation: str, beside: Literal["CEL", "wiki"]
) -> dict[str, float] | None:
    """Answers about bioR's minority beside celebrities (CEL) or other texts (wiki), by the minority's augmentation
    (Figure 17); None where the paper has no such run.

    >>> paper_rewritten_answers_beside("single", "CEL")["company"]
    0.67
    """
    rows = _numbers()["rewritten_beside"]["rows"]
    name = f"{augmentation}+{beside}"
    return _by_attribute(rows[name]) if name in rows else None


def paper_answers_by_ratio(augmentation: str) -> dict[float, float]:
    """Answers after mixed training, mean over attributes, over the share of questions (Figure 10); nothing where
    the paper has no such runs.

    >>> paper_answers_by_ratio("single")[0.2]
    0.536
    """
    table = _numbers()["qa_by_ratio"]
    row = table["rows"].get(augmentation, [])
    return {ratio: round(value / 100, 3) for ratio, value in zip(table["qa_ratios"], row, strict=False)}


def paper_answers_by_rank(augmentation: str) -> dict[str, tuple[float, float]]:
    """First tokens answered about train entities and answers about test entities by `rank/embedding rank`, or `full`
    (Figures 2 and 11); nothing where the paper has no such grid.

    >>> paper_answers_by_rank("single")["8/128"]
    (0.25, 0.094)
    """
    cells = _numbers()["qa_by_rank"]["rows"].get(augmentation, {})
    return {ranks: (round(train / 100, 3), round(test / 100, 3)) for ranks, (train, test) in cells.items()}


@functools.cache
def _numbers() -> dict[str, Any]:
    text = importlib.resources.files(__name__).joinpath("part_3_1.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _row(table: str, augmentation: str) -> list[Any]:
    rows = _numbers()[table]["rows"]
    if augmentation not in rows:
        known = paper_augmentations()
        hint = nearest(augmentation, known)
        raise WorkbenchError(
            f"The paper has no numbers for {augmentation!r}{hint} It has {', '.join(known)}."
        )
    return list(rows[augmentation])


def _by_attribute(row: list[float]) -> dict[str, float]:
    return {attribute: round(value / 100, 3) for attribute, value in zip(KEYS, row, strict=True)}


def _by_target(first: list[Any], whole: list[Any]) -> np.ndarray:
    """Shares by target, [targets] or [targets, positions], from the paper's two tables in percent."""
    table = {f"{attribute}/first": row for attribute, row in zip(KEYS, first, strict=True)}
    table |= {f"{attribute}/whole": row for attribute, row in zip(KEYS[1:], whole, strict=True)}
    return (np.array([table[target] for target in TARGETS], float) / 100).round(4)


def _attrs(kind: str, augmentation: str, settings: dict[str, Any]) -> dict[str, str]:
    run = f"paper: bioS {augmentation}"
    return {
        "kind": kind,
        "family": "embedding",
        "run": run,
        "source": PAPER,
        "settings": json.dumps(settings),
    }
