"""`workbench rewrite`: a corpus written by a language model from the facts, every text checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    SetOption,
    ThreadsOption,
    refuse_idle,
    use_threads,
)
from workbench.cli.progress import step_bar
from workbench.consoles import results_console
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.rewriting.engines import Engine, Manner
    from workbench.rewriting.work import Order


def rewrite(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|STUDY", help="What holds the facts: a recipe, a folder of facts, a study, a run."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The corpus's folder; default: corpora/NAME.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A model's folder or hub name; with --server, its name there.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An OpenAI-compatible server, e.g. http://localhost:8000/v1; its key in OPENAI_API_KEY.",
        ),
    ] = None,
    per_entity: Annotated[int, typer.Option(min=1, help="Texts about each entity.")] = 1,
    attempts: Annotated[int, typer.Option(min=1, help="How often a text is asked for at most.")] = 3,
    entities: Annotated[int | None, typer.Option(min=1, help="Only the first so many entities.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A folder of prompts of your own; --init writes one to start from.")
    ] = None,
    wordings: Annotated[
        Path | None, typer.Option(help="A wordings.toml: other words that may state a value.")
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Write a folder of prompts to change, and end.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="A refused text goes back with what is wrong with it.")
    ] = False,
    fewest: Annotated[int | None, typer.Option("--fewest-words", min=1, help="Of a text.")] = None,
    most: Annotated[int | None, typer.Option("--most-words", min=1, help="Of a text.")] = None,
    exchanges: Annotated[
        bool,
        typer.Option(
            "--exchanges/--no-exchanges", help="Refuse texts in which two values may stand for one another."
        ),
    ] = True,
    fullname: Annotated[
        bool, typer.Option("--fullname", help="Write the full name for each pronoun of the accepted texts.")
    ] = False,
    permute: Annotated[
        int, typer.Option(min=0, help="Of each accepted text so many orders of its sentences.")
    ] = 0,
    fill: Annotated[
        bool,
        typer.Option("--fill", help="Entries of the facts' own texts stand in for texts that are missing."),
    ] = False,
    temperature: Annotated[float, typer.Option(min=0, help="0: always the likeliest token.")] = 0.7,
    top_p: Annotated[
        float, typer.Option(min=0.01, max=1, help="Draw from the likeliest of this share.")
    ] = 0.95,
    max_tokens: Annotated[
        int, typer.Option(min=8, help="Of an answer; a longer one is cut, and refused.")
    ] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Prompts side by side, of a local model.")] = 16,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight, of a server.")] = 8,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds of patience with one request.")] = 120.0,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a failed request is asked again before the run stops.")
    ] = 8,
    budget_tokens: Annotated[
        int | None, typer.Option(min=1, help="Stop before more tokens than this.")
    ] = None,
    budget_money: Annotated[float | None, typer.Option(min=0, help="Stop before it costs more.")] = None,
    price_prompt: Annotated[float, typer.Option(min=0, help="Money for a million tokens of prompts.")] = 0.0,
    price_answer: Annotated[float, typer.Option(min=0, help="Money for a million tokens of answers.")] = 0.0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many answers this time: a sample to measure.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Ask nothing: a prompt, and the tokens, money and hours to come."),
    ] = False,
    overrides: SetOption = [],  # noqa: B006
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a language model write texts about the facts, keep those that state every fact, and make them a corpus.

    Every answer is written to a journal at once; stop with Ctrl-C, or by a kill, and run the same command again to
    continue. `world = "own"` with `own.folder = OUT` trains on the corpus; docs/rewriting.md has the rest.
    """
    from workbench.files import write_json
    from workbench.rewriting.budget import Budget, Prices
    from workbench.rewriting.corpus_folder import RATES_FILE, Shape, collect, rate
    from workbench.rewriting.engines import Manner
    from workbench.rewriting.estimating import estimate
    from workbench.rewriting.journal import read_journal
    from workbench.rewriting.opening import make_order, open_subject
    from workbench.rewriting.prompts import load_prompts, write_prompts
    from workbench.rewriting.wordings import Wordings, load_wordings
    from workbench.rewriting.work import State
    from workbench.rewriting.writing import write_texts
    from workbench.studies.corpus import save_corpus

    if init is not None:
        write_prompts(init)
        typer.echo(f"Written to {init}: request-1.txt, request-2.txt, fact.txt, system.txt, repair.txt.")
        return
    if source is None or model is None:
        missing = "what holds the facts (a recipe or a study)" if source is None else "--model"
        raise WorkbenchError(f"`workbench rewrite` needs {missing}; see `workbench rewrite --help`.")
    if server is None:
        refuse_idle(context, ["concurrency", "timeout", "retries"], "without --server")
    else:
        refuse_idle(context, ["batch", "device", "threads"], "with --server")
    if budget_money is not None and not price_prompt and not price_answer:
        raise WorkbenchError(
            "--budget-money needs prices; give --price-prompt and --price-answer, for a million tokens."
        )
    use_threads(threads)
    subject = open_subject(source, overrides)
    order = make_order(
        subject,
        load_prompts(prompts),
        load_wordings(wordings, subject.corpus.schema) if wordings else Wordings(),
        per_entity=per_entity,
        attempts=attempts,
        words=(fewest, most),
        repair=repair,
        exchanges=exchanges,
        entities=entities,
    )
    folder = out or Path("corpora") / subject.name
    manner = Manner(temperature, top_p, max_tokens)
    prices = Prices(price_prompt, price_answer)
    if dry_run:
        counter = _make_counter(model, server)
        size = 1 if server else batch
        report = estimate(State(order, read_journal(folder)), size, prices, counter)
        _tell_estimate(report, as_json)
        return
    engine = _make_engine(model, server, manner, batch, concurrency, timeout, retries, device)
    settings = _describe(order, model, manner, subject.name, batch if server is None else None)
    budget = Budget(prices, budget_tokens, budget_money, limit)
    with step_bar("rewriting", quiet) as show:
        outcome = write_texts(folder, order, engine, budget, settings, max_tokens, show)
    rates = rate(order, outcome.state)
    rates["tokens"] = {"prompts": budget.prompt_tokens, "answers": budget.answer_tokens}
    rates["money"] = round(budget.spent, 6)
    write_json(folder / RATES_FILE, rates)
    if not as_json:
        _tell_rates(rates)
    collected = collect(order, outcome.state, Shape(fullname, permute, fill), subject.corpus)
    save_corpus(folder, collected.corpus)
    if as_json:
        import json

        told = {"folder": str(folder), "complete": outcome.complete, "notes": collected.notes, **rates}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for note in collected.notes:
        typer.echo(f"  {note}")
    typer.echo(
        f"{folder}: {len(collected.corpus.entries):,} entries about {len(collected.corpus.entities):,} entities."
    )
    if not outcome.complete:
        typer.echo("Stopped by the budget or the limit; the same command with more of it continues.")
    typer.echo(f"next: workbench train own --set own.folder={folder}")


def _make_engine(
    model: str,
    server: str | None,
    manner: "Manner",
    batch: int,
    concurrency: int,
    timeout: float,
    retries: int,
    device: str | None,
) -> "Engine":
    if server is not None:
        from workbench.rewriting.server import Server

        return Server(server, model, manner, concurrency=concurrency, seconds=timeout, retries=retries)
    from workbench.rewriting.local_model import load_local

    return load_local(model, manner, batch, device)


def _make_counter(model: str, server: str | None) -> Any:
    from workbench.rewriting.server import count_about

    if server is not None:
        return count_about
    from workbench.rewriting.local_model import encode_prompt, load_tokenizer_of

    tokenizer = load_tokenizer_of(model)
    return lambda prompt: len(encode_prompt(tokenizer, prompt))


def _describe(order: "Order", model: str, manner: "Manner", name: str, batch: int | None) -> dict[str, Any]:
    """What a journal is made with, as it is kept beside it. Which address a model stood at is no part of it."""
    from dataclasses import asdict

    drawn = {**asdict(manner), "batch": batch}
    return {
        "facts": name,
        "model": model,
        "manner": drawn,
        "prompts": order.prompts.digest,
        "words": list(order.checker.words),
        "repair": order.repair,
        "seed": order.seed,
        "digest": order.digest(model, drawn),
    }


def _tell_rates(rates: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("verdict", "answers", "share", "", box=None, pad_edge=False)
    for kind, row in rates["answers by verdict"].items():
        table.add_row(kind, str(row["answers"]), f"{row['share']:.1%}", row["is"])
    results_console().print(table)
    texts = rates["texts"]
    typer.echo(
        f"{texts['accepted']:,} of {texts['wanted']:,} texts accepted, after {rates['answers']:,} answers"
    )


def _tell_estimate(report: dict[str, Any], as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    for message in report["first prompt"]:
        typer.echo(f"--- {message['role']}\n{message['content']}")
    tokens = report["tokens"]
    typer.echo("---")
    typer.echo(f"{report['texts left']:,} texts left, about {report['answers']:,} answers")
    if report["acceptance"] is None:
        typer.echo("  if every one is accepted: nothing has been measured; run with --limit 50 first")
    else:
        typer.echo(f"  accepted so far: {report['acceptance']:.1%} of {report['measured on']:,} answers")
    typer.echo(
        f"{tokens['prompts']:,} tokens of prompts ({tokens['a prompt']} each), "
        f"{tokens['answers']:,} of answers ({tokens['an answer']} each)"
    )
    typer.echo(f"money: {report['money']:,} at the prices given")
    if report["hours"] is not None:
        typer.echo(f"hours: {report['hours']:,} at the measured pace")
    typer.echo(f"an 8B model on one H100, computed: {report['hours of one H100 with 8B']:,} hours")
