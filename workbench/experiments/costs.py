"""What declared experiments will cost: tokens, minutes on this machine as measured, disk, or GPU hours as stated.

Minutes: a few steps of every shape of model are timed (`estimate`), and the steps to come are counted. GPU hours: 6
FLOPs a parameter and token, and attention's, at `GPU_FLOPS` sustained; nobody has measured that here, so it is stated
beside them.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.claims.stages import Stage
from workbench.experiments.arms import Arm
from workbench.experiments.declared_arms import SharedArm
from workbench.experiments.declared_stages import make_stages
from workbench.experiments.side_by_side import count_cores
from workbench.recipes.recipe import Recipe, make_recipe
from workbench.studies.corpus import make_corpus

if TYPE_CHECKING:
    from rich.table import Table

    from workbench.experiments.estimate import Measurers, Speed

GPU_FLOPS = 120e12  # sustained: about 40 % of an A100's bf16 peak, which a model of the paper's size reaches
MEASURABLE = 5_000_000  # parameters up to which steps are timed on a CPU
SAMPLE = 24  # entities whose texts stand for all
PROBLEMS = 256  # … and problems
WORDS_A_TOKEN = {"word": 1.0, "bpe": 0.85, "gpt2": 0.85}
QUESTION_TOKENS = 25
Q_NAMES, Q_TOKENS = 200, 6
V_PROPERTIES, V_NETWORKS, V_QUERY_TOKENS = 6, 2, 30  # the untrained network, too; ten queries a problem
UNFORESEEN = {"solve": "solving", "capacity": "counting bits"}  # stages whose minutes are in no sum


@dataclass(frozen=True)
class Cost:
    """Of one arm. tokens: read in training; flops: of training; minutes: of each kind of work here, empty where that is
    not measured; left: of them what is still to be done; disk: bytes that stay; kept: whether it is trained already;
    unforeseen: work that is still to be done and in no sum."""

    arm: Arm
    parameters: int
    tokens: float
    flops: float
    minutes: dict[str, float]
    left: dict[str, float]
    disk: int
    kept: bool
    unforeseen: frozenset[str] = frozenset()

    @property
    def gpu_hours(self) -> float:
        """Of training alone, at GPU_FLOPS."""
        return self.flops / GPU_FLOPS / 3600


def foresee_costs(shared: Sequence[SharedArm], scale: str, threads: int | None = None) -> list[Cost]:
    """Costs of all arms. threads: that each process will have; default: one core each."""
    from workbench.experiments.estimate import Measurers

    speeds: dict[str, Speed] = {}
    texts: dict[str, float] = {}
    with Measurers(max(1, count_cores() // (threads or 1)), threads or 1) as measurers:
        return [_foresee(one, scale, measurers, speeds, texts) for one in shared]


def make_cost_table(costs: Sequence[Cost], at_once: int) -> "Table":
    """A row an arm, and all together."""
    from rich.table import Table

    from workbench.files import format_bytes

    table = Table(title_justify="left", box=None, pad_edge=False)
    timed = any(cost.minutes for cost in costs)
    columns = ("arm", "parameters", "tokens", *(("minutes",) if timed else ()), "GPU hours", "disk")
    for heading in columns:
        table.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=True)
    todo = [cost for cost in costs if not cost.kept]
    for cost in costs:
        minutes = f"{sum(cost.left.values()):,.0f}" if cost.minutes else "not timed"
        shown = [cost.arm.name, f"{cost.parameters / 1e6:,.2f} M", f"{cost.tokens / 1e6:,.0f} M"]
        shown += [minutes] if timed else []
        shown += [f"{cost.gpu_hours:,.2f}", "trained, kept" if cost.kept else format_bytes(cost.disk)]
        table.add_row(*shown)
    total = [f"{len(todo)} to train", "", f"{sum(cost.tokens for cost in todo) / 1e6:,.0f} M"]
    total += [f"{sum(sum(cost.left.values()) for cost in costs):,.0f}"] if timed else []
    total += [f"{sum(cost.gpu_hours for cost in todo):,.1f}", format_bytes(sum(cost.disk for cost in todo))]
    table.add_section()
    table.add_row(*total)
    untimed = sum(not cost.minutes for cost in todo)
    minutes_left = sum(sum(cost.left.values()) for cost in costs) / at_once
    whole = f"{minutes_left / 60:,.1f} hours" if minutes_left >= 60 else f"{math.ceil(minutes_left)} minutes"
    note = f"minutes: of one process with all {at_once} at work, as timed just now, " if timed else ""
    note += f"so about {whole} in all; " if timed else ""
    missing = sorted({word for cost in costs for word in cost.unforeseen})
    note += f"{' and '.join(missing)} not counted; " if missing and timed else ""
    note += f"{untimed} arms are not timed on this machine; " if untimed and timed else ""
    table.caption = (
        f"{note}GPU hours: training alone, at {GPU_FLOPS / 1e12:.0f} TFLOP/s, which is stated and not measured "
        "(about 40 % of an A100; small models reach less)"
    )
    table.caption_justify = "left"
    return table


def _foresee(
    shared: SharedArm,
    scale: str,
    measurers: "Measurers",
    speeds: "dict[str, Speed]",
    texts: dict[str, float],
) -> Cost:
    recipe = shared.arm.recipe
    tokens_an_entry = _tokens_an_entry(recipe, texts)
    entities = 0 if recipe.arithmetic else sum(group.people for group in recipe.groups)
    if recipe.arithmetic is not None:
        tokens = float(recipe.arithmetic.tokens)
    else:
        tokens = recipe.training.exposures * entities * _room(recipe, tokens_an_entry)
    if recipe.training.objective == "mixed":
        tokens /= 1 - recipe.training.qa_ratio
    shape = recipe.model.shape
    blocks = 12 * shape.n_layers * shape.d_model**2
    parameters = blocks + _vocabulary(recipe) * shape.d_model
    length = recipe.tokens.row_length if recipe.tokens.fills_rows else max(tokens_an_entry, 64.0)
    # 6 a parameter and token (output layer and embedding are one), and 6 · layers · length · width of causal attention
    flops = tokens * (6 * parameters + 6 * shape.n_layers * length * shape.d_model)
    minutes: dict[str, float] = {}
    left: dict[str, float] = {}
    unforeseen: frozenset[str] = frozenset()
    if parameters <= MEASURABLE:
        speed = _speed_of(recipe, measurers, speeds)
        minutes = _minutes(recipe, shared.stages, scale, speed, tokens, tokens_an_entry, entities)
        missing = _missing(shared, scale)
        unforeseen = frozenset(
            UNFORESEEN[stage.kind] for stage in missing.values() if stage.kind in UNFORESEEN
        )
        left = _minutes(recipe, missing, scale, speed, tokens, tokens_an_entry, entities)
        if shared.arm.is_trained:
            del left["training"]
    checkpoints = _count_checkpoints(recipe)
    disk = 4 * parameters * (checkpoints + 4) + 400 * entities
    return Cost(shared.arm, parameters, tokens, flops, minutes, left, disk, shared.arm.is_trained, unforeseen)


def _missing(shared: SharedArm, scale: str) -> dict[str, Stage]:
    """The stages whose results are not all there yet."""
    return {
        name: stage
        for name, stage in shared.stages.items()
        if not all(step.is_done(shared.arm) for step in make_stages(name, stage, scale))
    }


def _minutes(
    recipe: Recipe,
    stages: dict[str, Stage],
    scale: str,
    speed: "Speed",
    tokens: float,
    tokens_an_entry: float,
    entities: int,
) -> dict[str, float]:
    """Of each kind of work but those that are UNFORESEEN."""
    from workbench.experiments.estimate import foresee

    packed = recipe.tokens.fills_rows
    a_step = recipe.training.rows_per_step * (recipe.tokens.row_length if packed else tokens_an_entry)
    a_token = speed.training / a_step  # seconds
    found = {"training": tokens * a_token + speed.starting + speed.sample * entities}
    for stage in stages.values():
        options = stage.options_at(scale)
        if stage.kind == "p" and not math.isnan(speed.probing):
            seconds = foresee(recipe, speed)["probing"].seconds
        elif stage.kind == "q":
            steps = recipe.probing.q_steps or recipe.probing.steps
            seconds = speed.starting + steps * Q_NAMES * Q_TOKENS * a_token
        elif stage.kind == "finetune":
            steps = int(options.get("steps", 1500 if recipe.model.shape.d_model <= 256 else 50_000))
            seconds = 2 * speed.starting + steps * 96 * QUESTION_TOKENS * a_token
        elif stage.kind == "ask":
            seconds = speed.starting + 6 * entities * QUESTION_TOKENS * a_token
        elif stage.kind == "v":
            steps = V_NETWORKS * V_PROPERTIES * recipe.probing.steps
            read = recipe.probing.entries_per_step * (tokens_an_entry + V_QUERY_TOKENS)
            seconds = speed.starting + steps * read * a_token
        else:
            continue
        found[stage.kind] = found.get(stage.kind, 0.0) + seconds
    return {kind: seconds / 60 for kind, seconds in found.items()}


def _speed_of(recipe: Recipe, measurers: "Measurers", speeds: "dict[str, Speed]") -> "Speed":
    """Seconds of a step of such a model, timed once for each shape; the network of `gbert` is timed as a causal one."""
    shape, training = recipe.model.shape, recipe.training
    architecture = "gpt2-rotary" if recipe.model.architecture == "gbert" else recipe.model.architecture
    network = f"{architecture} {shape.n_layers} {shape.d_model}"
    key = f"{recipe.world} {network} {training.rows_per_step} {recipe.tokens.packing}"
    if key not in speeds:
        content = recipe.to_json()
        content["model"]["architecture"] = architecture
        content["training"]["objective"] = "biographies"
        if "biographies" in content:
            content["biographies"]["groups"] = []
        speeds[key] = measurers.measure(make_recipe(content))
    return speeds[key]


def _room(recipe: Recipe, tokens_an_entry: float) -> float:
    """Tokens of a row for each entry in it: a row of several holds whole ones, and its end stays empty."""
    if not recipe.tokens.fills_rows or not tokens_an_entry:
        return tokens_an_entry
    return recipe.tokens.row_length / max(1, recipe.tokens.row_length // tokens_an_entry)


def _tokens_an_entry(recipe: Recipe, texts: dict[str, float]) -> float:
    """Words and marks of a few entries, in tokens; of problems with their solutions."""
    if recipe.arithmetic is not None:
        from workbench.worlds.arithmetic.texts import ProblemTexts
        from workbench.worlds.arithmetic.wording import list_words

        vocabulary = {word: number for number, word in enumerate(list_words(recipe.arithmetic.problems))}
        problems = ProblemTexts(recipe.arithmetic, recipe.seed, vocabulary)
        return sum(len(problems.train(index).ids) for index in range(PROBLEMS)) / PROBLEMS
    key = f"{recipe.world} {recipe.groups[0].augmentation} {recipe.biographies.templates} {recipe.tokens.tokenizer}"
    if key not in texts:
        few = recipe.to_json()
        if recipe.world == "biographies":
            few["people"]["number"] = SAMPLE
            few["biographies"]["groups"] = []
            few["biographies"]["augmentation"] = recipe.groups[0].augmentation.replace("∞", "2")
        corpus = make_corpus(make_recipe(few))
        entries = [corpus.entries[number] for number in range(min(SAMPLE, len(corpus.entries)))]
        words = sum(len(re.findall(r"\w+|[^\w\s]", entry.text)) for entry in entries) / len(entries)
        texts[key] = 1 + words / WORDS_A_TOKEN[recipe.tokens.tokenizer]
    return texts[key]


def _vocabulary(recipe: Recipe) -> int:
    """Tokens, roughly: a word vocabulary is what its texts use."""
    return {"word": 600, "bpe": recipe.tokens.vocabulary_size, "gpt2": 50_257}[recipe.tokens.tokenizer]


def _count_checkpoints(recipe: Recipe) -> int:
    plan = recipe.training.checkpoints
    if isinstance(plan, tuple):
        return len(plan) + 2
    return 2 if plan == "last" else int(plan.partition(":")[2]) + 1
