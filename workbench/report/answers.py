"""The report's answers: what the models say when they are asked, train entities and test entities."""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from workbench.figures.cells import attribute_label
from workbench.figures.extraction import plot_answers
from workbench.figures.paper import KEYS as PAPER_KEYS
from workbench.figures.paper import paper_answers
from workbench.report.markup import card, details, figure_box, line_of, missing, section, table
from workbench.report.parts import RunParts
from workbench.report.pictures import beside_paper
from workbench.results.case_words import kind_words

Parts = Sequence[RunParts]


def answers(parts: Parts) -> str:
    """Bars of the answers about test entities, all runs and finetunes together; kinds of wrong answers folded below."""
    made = [
        (
            ", ".join([part.name, *([] if name == "none" else [name]), f"step {step:,}"]),
            dataset.sel(checkpoint=step),
        )
        for part in parts
        for name, dataset in part.answers.items()
        for step in dataset["checkpoint"].values.tolist()[-1:]
    ]
    body = ""
    if made:
        figure = plot_answers(pd.concat([_rows(name, dataset) for name, dataset in made]))
        said = "".join(
            details(f"{name}: what was said, of all questions", table(_said(dataset)))
            for name, dataset in made
        )
        known = dict(_paper_answers(part) for part in parts if part.in_paper)
        theirs = beside_paper(
            "Figures 3 and 9",
            [*(attribute_label(attribute) for attribute in PAPER_KEYS), "mean"],
            {name: [*shares.values(), sum(shares.values()) / len(shares)] for name, shares in known.items()},
        )
        body = (
            f'<div class="grid">{card("Test entities", figure_box({"answers": figure}), said, theirs)}</div>'
        )
    lines = [
        f"{line_of('workbench', 'finetune', part.run.path)}\n"
        f"{line_of('workbench', 'evaluate', part.run.path, '--adapter', 'lora')}"
        for part in parts
        if not part.answers
    ]
    return section(
        "When it is asked",
        "<p>A base model only recites. Finetuned on the questions of the train half, or given them during "
        "pretraining, it is asked about the test half, whose facts it has read as often but whose questions it has "
        "never seen. Bars are whole answers said word for word, with their 95 % interval over test entities; the short "
        "lines are what always saying the commonest value would score. The step is the checkpoint that was asked, or "
        "that the finetune started from.</p>",
        body,
        missing("Not asked yet.", "\n".join(lines)) if lines else "",
    )


def _paper_answers(part: RunParts) -> tuple[str, dict[str, float]]:
    """How the paper's model of the same augmentation came to answer, and its accuracy by attribute."""
    mixed = part.run.qa_ratio > 0
    how = "mixed training" if mixed else "after LoRA"
    return f"{part.augmentation}, {how}", paper_answers(part.augmentation, mixed=mixed, gbert=part.is_gbert)


def _rows(name: str, dataset: xr.Dataset) -> pd.DataFrame:
    test = dataset.sel(split="test")
    return pd.DataFrame(
        {
            "name": name,
            "attribute": test["attribute"].values,
            "accuracy": test["accuracy"].values,
            "ci_low": test["ci_low"].values,
            "ci_high": test["ci_high"].values,
            "chance": test["chance"].values,
            "seeds": 1,
            "n": test["n"].values,
            "step": f"{int(dataset['checkpoint']):,}",
        }
    )


def _said(dataset: xr.Dataset) -> dict[str, object]:
    """Kind of answer → its share of all answers, of test and of train entities."""
    rows: dict[str, object] = {}
    for kind in dataset["answer_kind"].values.tolist():
        shares = []
        for split in ("test", "train"):
            said = dataset["said"].sel(split=split)
            total = int(said.sum())
            if total:
                shares.append(f"{split} {float(said.sel(answer_kind=kind).sum()) / total:.1%}")
        rows[kind_words(kind)] = ", ".join(shares)
    return rows
