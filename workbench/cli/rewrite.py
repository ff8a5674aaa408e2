"""`workbench rewrite`: a corpus written by a language model from the facts, every text checked."""

from pathlib import Path
from typing import Annotated

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
from workbench.errors import WorkbenchError


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
    import json

    from workbench.files import write_json
    from workbench.rewriting.budget import Budget, Prices
    from workbench.rewriting.corpus_folder import RATES_FILE, Shape, collect, rate
    from workbench.rewriting.engines import Manner
    from workbench.rewriting.estimating import estimate
    from workbench.rewriting.journal import read_journal
    from workbench.rewriting.opening import Writer, make_order, open_subject
    from workbench.rewriting.prompts import load_prompts, write_prompts
    from workbench.rewriting.tables import print_estimate, print_rates
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
    writer = Writer(model, server, manner, batch, device, concurrency, timeout, retries)
    prices = Prices(price_prompt, price_answer)
    if dry_run:
        state = State(order, read_journal(folder))
        report = estimate(state, writer.together, prices, writer.open_counter())
        if as_json:
            typer.echo(json.dumps(report, ensure_ascii=False))
        else:
            print_estimate(report)
        return
    engine = writer.open()
    settings = order.describe(model, writer.drawn, subject.name)
    budget = Budget(prices, budget_tokens, budget_money, limit)
    with step_bar("rewriting", quiet) as show:
        outcome = write_texts(folder, order, engine, budget, settings, max_tokens, show)
    rates = rate(order, outcome.state, budget)
    write_json(folder / RATES_FILE, rates)
    if not as_json:
        print_rates(rates)
    collected = collect(order, outcome.state, Shape(fullname, permute, fill), subject.corpus)
    save_corpus(folder, collected.corpus)
    if as_json:
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
