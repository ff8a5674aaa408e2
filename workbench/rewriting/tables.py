"""Rates of acceptance, and what is to come, as text for the terminal."""

from typing import Any

from workbench.consoles import results_console


def print_rates(rates: dict[str, Any]) -> None:
    """How many answers got which verdict, and how many texts are accepted."""
    from rich.table import Table

    table = Table("verdict", "answers", "share", "", box=None, pad_edge=False)
    for kind, row in rates["answers by verdict"].items():
        table.add_row(kind, str(row["answers"]), f"{row['share']:.1%}", row["is"])
    results_console().print(table)
    texts = rates["texts"]
    print(f"{texts['accepted']:,} of {texts['wanted']:,} texts accepted, after {rates['answers']:,} answers")


def print_estimate(report: dict[str, Any]) -> None:
    """The first prompt, and the tokens, money and hours to come; see `estimate`."""
    for message in report["first prompt"]:
        print(f"--- {message['role']}\n{message['content']}")
    tokens = report["tokens"]
    print("---")
    print(f"{report['texts left']:,} texts left, about {report['answers']:,} answers")
    if report["acceptance"] is None:
        print("  if every one is accepted: nothing has been measured; run with --limit 50 first")
    else:
        print(f"  accepted so far: {report['acceptance']:.1%} of {report['measured on']:,} answers")
    print(
        f"{tokens['prompts']:,} tokens of prompts ({tokens['a prompt']} each), "
        f"{tokens['answers']:,} of answers ({tokens['an answer']} each)"
    )
    print(f"money: {report['money']:,} at the prices given")
    if report["hours"] is not None:
        print(f"hours: {report['hours']:,} at the measured pace")
    print(f"an 8B model on one H100, computed: {report['hours of one H100 with 8B']:,} hours")
