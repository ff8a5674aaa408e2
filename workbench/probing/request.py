"""Which probe of a run is asked for, and what its results are called."""

import re
from dataclasses import dataclass, replace
from numbers import Integral

from workbench.errors import WorkbenchError
from workbench.field_checks import check_fields, several
from workbench.probing.embedding_probe import ProbeSettings
from workbench.probing.p_probe import p_probe_settings
from workbench.probing.q_probe import q_probe_settings
from workbench.studies.study import Study
from workbench.tasks.plan import TaskPlan

EMBEDDING = "embedding"
KINDS = ("p", "q", "seen")
CURVE = "_curve"  # a learning curve's kind is that of its probes with this behind it


@dataclass(frozen=True)
class ProbeRequest:
    """Which probe to run; what is None comes from the recipe.

    kind: `p`, `q`, or `seen` (P-probes scored by the set of attributes already said).
    family: `embedding` (the paper's, through the frozen network), or a probe on activations: a built-in name or
    `package.module:factory`. rank and steps belong to the first, layers and learning_curve to the second.
    seeds: of the probe; several make a result with the dimension `seed`. entries_per_entity: how many entries of each
    train entity a P-probe reads (None: all). memory: bytes that probes on activations may take (None: half of what
    is free). tasks: predict their answers in place of the schema's targets. cases: keep what was said about each test
    entity beside the result (of the first seed; not of `seen` and learning curves).
    """

    kind: str = "p"
    family: str = EMBEDDING
    group: str | None = None
    rank: int | None = None
    steps: int | None = None
    layers: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = (0,)
    learning_curve: bool = False
    again: bool = False
    entries_per_entity: int | None = None
    memory: int | None = None
    tasks: TaskPlan | None = None
    cases: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise WorkbenchError(f"There is no kind of probe {self.kind!r}; give one of {', '.join(KINDS)}.")
        seeds = several(self.seeds)
        whole = all(
            isinstance(seed, Integral) and not isinstance(seed, bool) and int(seed) >= 0 for seed in seeds
        )
        if not seeds or not whole or len(set(seeds)) < len(seeds):
            raise WorkbenchError(
                f"The seeds are {list(seeds)}; give different numbers from 0, such as 0,1,2."
            )
        least = {"rank": 0, "steps": 1, "entries_per_entity": 1, "memory": 0}
        check_fields(self, least, numbered=("layers",))
        if self.kind == "seen" and self.family != EMBEDDING:
            raise WorkbenchError(
                f"Kind `seen` is scored with the family `embedding` only, not {self.family!r}."
            )
        wrong = ("layers", "learning_curve") if self.family == EMBEDDING else ("rank", "steps")
        for name in wrong:
            if getattr(self, name) not in (None, False):
                raise WorkbenchError(
                    f"--{name.replace('_', '-')} does not go with the family {self.family!r}; the embedding probe "
                    "reads the last layer and has rank and steps, one on activations has layers and a learning curve."
                )
        if self.kind == "q" and self.entries_per_entity is not None:
            raise WorkbenchError(
                "--entries-per-entity belongs to probes of texts; a Q-probe reads bare names."
            )

    def settings(self, run: Study) -> ProbeSettings:
        """The settings this request means for a run's embedding probe, with the first seed."""
        base = (q_probe_settings if self.kind == "q" else p_probe_settings)(run.probing, self.seeds[0])
        changes = {key: value for key in ("rank", "steps") if (value := getattr(self, key)) is not None}
        return replace(base, **changes)

    @property
    def result_kind(self) -> str:
        """The kind that the result is kept under."""
        return self.kind + (CURVE if self.learning_curve else "")

    @property
    def family_name(self) -> str:
        """The family as results name it: `my_probes:make` → `my_probes.make`."""
        return re.sub(r"[^A-Za-z0-9_.]+", ".", self.family) if ":" in self.family else self.family

    @property
    def variant(self) -> str:
        """What tells this result's folder from the plain one: `rank4`, `group-minority`, `seed1`."""
        parts = [f"group-{self.group}"] if self.group else []
        parts += [f"rank{self.rank}"] if self.rank is not None else []
        parts += [f"steps{self.steps}"] if self.steps is not None else []
        parts += [f"entries{self.entries_per_entity}"] if self.entries_per_entity is not None else []
        parts += [f"layers-{'-'.join(self.layers)}"] if self.layers is not None else []
        parts += [f"tasks-{self.tasks.short_name}"] if self.tasks is not None else []
        if self.seeds != (0,):
            parts.append(f"seed{'s' if len(self.seeds) > 1 else ''}{'-'.join(map(str, self.seeds))}")
        return "+".join(parts)
