"""Prompts from facts: a pure function of a folder's files, the seed, the entity, which of its texts, which attempt.

A folder of prompts holds `request*.txt`, one of which is drawn each time; `fact.txt`, wordings of one fact, a line
each, of which one is drawn; and, where wanted, `system.txt` and `repair.txt`.
"""

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from workbench.errors import WorkbenchError, nearest
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.files import digest_json, write_atomically
from workbench.rewriting.checking import PRONOUN_FORMS, Verdict
from workbench.seeds import make_rng
from workbench.text_files import read_text

REQUEST_HOLES = ("name", "facts", "text", "words", "noun", "they", "their")
REPAIR_HOLES = (*REQUEST_HOLES, "answer", "faults")
FACT_HOLES = ("name", "label", "value")
DEFAULT_FACTS = ("- {label}: {value}",)
_HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Prompt:
    """What a model is told. instructions: the prompt's own words, none of which may come back.

    given: the text that it is to rewrite, if any.
    """

    system: str
    request: str
    instructions: tuple[str, ...]
    given: str = ""

    @property
    def messages(self) -> list[dict[str, str]]:
        """As chat messages."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.request}]


@dataclass(frozen=True)
class PromptFiles:
    """The texts of a folder of prompts; requests by file name, in order."""

    requests: Mapping[str, str]
    facts: tuple[str, ...]
    system: str
    repair: str

    @property
    def wants_text(self) -> bool:
        """Whether some request shows a text of the entity's to rewrite."""
        return any("{text}" in words for words in [*self.requests.values(), self.repair])

    @property
    def digest(self) -> str:
        """Hex sha256 of everything that these files say."""
        return digest_json([dict(self.requests), self.facts, self.system, self.repair])

    def make(
        self,
        schema: Schema,
        entity: Entity,
        number: int,
        attempt: int,
        seed: int,
        *,
        words: tuple[int, int],
        texts: Sequence[str] = (),
    ) -> Prompt:
        """The prompt for one attempt at text `number` of an entity.

        The facts are shuffled, and the request, the facts' wording, the length asked for and the text shown are drawn.
        """
        rng = make_rng(seed, "rewrite", entity.name, number, attempt)
        names = sorted(self.requests)
        request = self.requests[names[int(rng.integers(len(names)))]]
        keys = [schema.keys[i] for i in rng.permutation(len(schema)) if schema.keys[i] in entity.values]
        wording = self.facts[int(rng.integers(len(self.facts)))]
        given = texts[int(rng.integers(len(texts)))] if texts and "{text}" in request else ""
        asked = 5 * round((words[0] + (words[1] - words[0]) * (0.25 + 0.35 * rng.random())) / 5)
        holes = self._holes(schema, entity, keys, wording, given, asked)
        return self._fill(request, holes, given)

    def make_repair(
        self,
        prompt_of: Prompt,
        schema: Schema,
        entity: Entity,
        answer: str,
        verdict: Verdict,
        words: tuple[int, int],
    ) -> Prompt:
        """The prompt that shows a refused text and what is wrong with it."""
        holes = self._holes(
            schema, entity, list(entity.values), self.facts[0], prompt_of.given, sum(words) // 2
        )
        holes |= {"answer": answer, "faults": describe_faults(verdict, schema, entity)}
        return self._fill(self.repair, holes, prompt_of.given)

    def _holes(
        self, schema: Schema, entity: Entity, keys: Sequence[str], wording: str, given: str, asked: int
    ) -> dict[str, str]:
        lines = [
            wording.format(name=entity.name, label=schema.labels[key], value=entity.values[key])
            for key in keys
        ]
        they, _, their = PRONOUN_FORMS[entity.pronoun][:3] if entity.pronoun != "it" else ("it", "it", "its")
        return {
            "name": entity.name,
            "facts": "\n".join(lines),
            "text": given,
            "words": str(asked),
            "noun": schema.noun,
            "they": they,
            "their": "her" if entity.pronoun == "she" else their,
        }

    def _fill(self, request: str, holes: Mapping[str, str], given: str) -> Prompt:
        fill = lambda words: _HOLE.sub(lambda match: holes[match[1]], words)  # noqa: E731
        literal = tuple(piece for words in (self.system, request) for piece in _HOLE.split(words)[::2])
        return Prompt(fill(self.system), fill(request), literal, given)


def describe_faults(verdict: Verdict, schema: Schema, entity: Entity) -> str:
    """What is wrong with a refused text, a line each, as the model is told."""
    lines = []
    for reason in verdict.reasons:
        key = reason.detail.partition(" ")[0]
        value = entity.values.get(key, "")
        label = schema.labels.get(key, key)
        match reason.kind:
            case "missing" | "wording" | "glued":
                lines.append(f"- write the {label} exactly as: {value}")
            case "repeated":
                lines.append(f"- say the {label} ({value}) only once")
            case "foreign":
                lines.append(f"- leave out {reason.detail.partition(' ')[2]}, which is not true")
            case "name":
                lines.append(f"- write the full name {entity.name}")
            case "exchanged":
                lines.append(f"- say clearly that {value} is the {label}")
            case "length":
                lines.append("- the length is wrong")
            case _:
                lines.append("- write plain sentences only, and finish the last one")
    return "\n".join(dict.fromkeys(lines))


def load_prompts(folder: Path | None = None) -> PromptFiles:
    """Read a folder of prompts; without one, those that come with the package.

    Raises WorkbenchError for a folder without a request, an unknown hole, or a request that shows no facts.
    """
    where: Traversable | Path = folder or importlib.resources.files("workbench").joinpath(
        "rewriting", "prompts"
    )
    if not where.is_dir():
        raise WorkbenchError(
            f"There is no folder of prompts {str(folder)!r}; `workbench rewrite --init {folder}` writes one to start "
            "from."
        )
    files = {
        file.name: _read(file)
        for file in sorted(where.iterdir(), key=lambda f: f.name)
        if file.name.endswith(".txt")
    }
    requests = {name: text for name, text in files.items() if name.startswith("request")}
    if not requests:
        raise WorkbenchError(f"{folder} has no request*.txt; write one with {{facts}} or {{text}} in it.")
    facts = tuple(line for line in files.get("fact.txt", "").splitlines() if line.strip()) or DEFAULT_FACTS
    repair = files.get("repair.txt", "")
    for name, text in requests.items():
        _check_holes(name, text, REQUEST_HOLES)
        if not {"facts", "text"} & set(_HOLE.findall(text)):
            raise WorkbenchError(f"{name} shows the model nothing; write {{facts}} or {{text}} in it.")
    for line in facts:
        _check_holes("fact.txt", line, FACT_HOLES)
        if "{value}" not in line:
            raise WorkbenchError(f"fact.txt has the line {line!r} without {{value}}; write it in.")
    _check_holes("system.txt", files.get("system.txt", ""), REQUEST_HOLES)
    _check_holes("repair.txt", repair, REPAIR_HOLES)
    return PromptFiles(requests, facts, files.get("system.txt", ""), repair)


def write_prompts(folder: Path) -> None:
    """Write the package's prompts into a folder, to change; one that exists is refused."""
    if folder.exists():
        raise WorkbenchError(f"{folder} is there already; choose a new folder for the prompts.")
    shipped = importlib.resources.files("workbench").joinpath("rewriting", "prompts")
    for file in shipped.iterdir():
        if file.name.endswith((".txt", ".toml")):
            write_atomically(folder / file.name, file.read_text(encoding="utf-8"))


def _read(file: Traversable | Path) -> str:
    return (read_text(file) if isinstance(file, Path) else file.read_text(encoding="utf-8")).strip()


def _check_holes(name: str, text: str, known: Sequence[str]) -> None:
    for hole in _HOLE.findall(text):
        if hole not in known:
            raise WorkbenchError(
                f"{name} has the unknown hole {{{hole}}}{nearest(hole, list(known))}; known are {', '.join(known)}."
            )
