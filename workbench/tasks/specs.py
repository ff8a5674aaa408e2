"""Tasks from what a user writes: `retrieval`, `dual:birth_city,company`, `classification:birth_date.month%2`, …, or a
few lines of TOML, or a class of their own (`package.module:Class`).
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import WorkbenchError, nearest
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.tasks.families import (
    Classification,
    Comparison,
    Dual,
    Inverse,
    Retrieval,
    make_comparison,
    make_modulo,
)
from workbench.tasks.sources import LUCK, Source, find_source, require_ordered
from workbench.tasks.task import Task
from workbench.text_files import read_toml
from workbench.user_forms import fit_form

FAMILIES = (
    "extraction", "retrieval", "dual", "classification", "comparison", "difference", "inverse", "inverse_first",
)  # fmt: skip


class TaskDefinition(BaseModel):
    """A task of the user's own, in TOML under `[[task]]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    family: Literal["classification", "comparison", "difference"]
    of: str = Field(description="an attribute, or a part of one")
    question: str = Field(description="with {name}, and {other} for the second entity of a comparison")
    classes: dict[str, str] = Field(default_factory=dict, description="value → class")
    order: tuple[str, ...] = Field((), description="the values from the least to the greatest")


def load_definitions(path: Path) -> list[TaskDefinition]:
    """Read a TOML file of `[[task]]` tables; every fault is one sentence."""
    if not path.is_file():
        raise WorkbenchError(f"There is no file of tasks {path}; it needs a [[task]] table for each.")
    content = read_toml(path)
    if set(content) != {"task"} or not isinstance(content["task"], list):
        raise WorkbenchError(
            f"{path} holds {', '.join(content) or 'nothing'}; expected [[task]] tables only."
        )
    return [
        make_definition(table, f"{path}, task {number}") for number, table in enumerate(content["task"], 1)
    ]


def make_definition(table: Mapping[str, Any], where: str) -> TaskDefinition:
    """Check one table."""
    return fit_form(TaskDefinition, dict(table), where)


def split_specs(text: str, names: Sequence[str] = ()) -> list[str]:
    """`retrieval,dual:a,b,mine` → `retrieval`, `dual:a,b`, `mine`: a comma with no family's or task's name behind it
    goes on with the attributes of the task before it.
    """
    specs: list[str] = []
    for item in (part.strip() for part in text.split(",")):
        starts = ":" in item or item in FAMILIES or item in names
        if specs and ":" in specs[-1] and not starts:
            specs[-1] += f",{item}"
        else:
            specs.append(item)
    return specs


def make_tasks(
    specs: Sequence[str],
    schema: Schema,
    entities: Sequence[Entity],
    definitions: Sequence[TaskDefinition] = (),
) -> list[Task]:
    """The tasks of these specs over these facts, each once, in order.

    Raises WorkbenchError for a family, attribute or part there is not, values without an order where one is needed,
    and a map that misses a value.
    """
    known = {definition.name: definition for definition in definitions}
    tasks: dict[str, Task] = {}
    for spec in specs:
        made = (
            [_make_defined(known[spec], schema, entities)]
            if spec in known
            else _make_family(spec, schema, entities, list(known))
        )
        tasks |= {task.name: task for task in made}
    if not tasks:
        raise WorkbenchError(f"No task is named; give at least one, such as {FAMILIES[1]}.")
    return list(tasks.values())


def _make_family(spec: str, schema: Schema, entities: Sequence[Entity], names: Sequence[str]) -> list[Task]:
    family, colon, rest = spec.partition(":")
    if family not in FAMILIES:
        if colon and not rest.startswith(":"):
            return [_load_class(family, rest, schema, entities)]
        known = [*FAMILIES, *names]
        raise WorkbenchError(
            f"There is no task {spec!r}{nearest(spec, known)}; the families are {', '.join(known)}."
        )
    if not rest:
        return _make_whole_family(family, schema, entities)
    sources = [part.strip() for part in rest.split(",")]

    def find(name: str) -> Source:
        return find_source(name, schema, entities)

    match family:
        case "extraction" | "retrieval":
            return [Retrieval(find(name)) for name in sources]
        case "dual":
            if len(sources) != 2:
                raise WorkbenchError(
                    f"{spec!r} names {len(sources)} attributes; expected two, e.g. "
                    f"dual:{schema.keys[0]},{schema.keys[-1]}."
                )
            return [Dual(find(sources[0]), find(sources[1]))]
        case "classification":
            return [_make_classification(name, schema, entities) for name in sources]
        case "comparison" | "difference":
            return [make_comparison(find(name), difference=family == "difference") for name in sources]
    return [Inverse([find(name) for name in sources], schema, entities, first=family == "inverse_first")]


def _make_whole_family(family: str, schema: Schema, entities: Sequence[Entity]) -> list[Task]:
    """What a family's bare name stands for."""
    parts = [f"{attribute.key}.{part}" for attribute in schema for part in attribute.parts]
    match family:
        case "extraction":
            return [Retrieval(find_source(key, schema, entities)) for key in schema.questions]
        case "retrieval" if parts:
            return [Retrieval(find_source(part, schema, entities)) for part in parts]
        case "dual" if schema.pairs:
            orders = [order for pair in schema.pairs for order in (pair, pair[::-1])]
            return [
                Dual(find_source(first, schema, entities), find_source(second, schema, entities))
                for first, second in orders
            ]
        case "comparison" | "difference":
            found = [find_source(name, schema, entities) for name in (*schema.keys, *parts)]
            if ordered := [source for source in found if source.numbers]:
                return [make_comparison(source, difference=family == "difference") for source in ordered]
        case "inverse" | "inverse_first":
            everything = [find_source(key, schema, entities) for key in schema.keys]
            return [Inverse(everything, schema, entities, first=family == "inverse_first")]
    raise WorkbenchError(
        f"{family!r} alone means nothing for these facts; name attributes, e.g. {family}:{schema.keys[0]}"
        f"{',' + schema.keys[-1] if family == 'dual' else '%2' if family == 'classification' else ''}."
    )


def _make_classification(text: str, schema: Schema, entities: Sequence[Entity]) -> Task:
    """`month%2`; values without an order get their luck."""
    name, percent, modulus = text.partition("%")
    if percent and not (modulus.isdecimal() and int(modulus) > 1):
        raise WorkbenchError(
            f"classification:{text}: {modulus!r} is no modulus; expected a whole number from 2 on."
        )
    source = find_source(name, schema, entities)
    if not source.numbers and source.part is None:
        source = find_source(f"{source.attribute.key}.{LUCK}", schema, entities)
    return make_modulo(source, int(modulus) if percent else None)


def _make_defined(definition: TaskDefinition, schema: Schema, entities: Sequence[Entity]) -> Task:
    source = find_source(definition.of, schema, entities)
    where = f"The task {definition.name!r}"
    places = ["{name}"] if definition.family == "classification" else ["{name}", "{other}"]
    if re.findall(r"\{\w+\}", definition.question) != places:
        raise WorkbenchError(
            f"{where} asks {definition.question!r}; expected {' and '.join(places)} in it, once."
        )
    texts = source.texts(entities)
    if definition.order:
        _require_all(where, "order", definition.order, texts)
        source = replace(source, numbers={text: i for i, text in enumerate(definition.order)})
    if definition.family == "classification":
        classes = definition.classes or {text: str(number) for text, number in source.numbers.items()}
        _require_all(where, "classes", classes, texts)
        return Classification(definition.name, source, classes, definition.question)
    require_ordered(source, where)
    return Comparison(
        definition.name, source, definition.question, difference=definition.family == "difference"
    )


def _require_all(
    where: str, what: str, given: Sequence[str] | Mapping[str, str], texts: Sequence[str]
) -> None:
    if missing := [text for text in texts if text not in given]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise WorkbenchError(
            f"{where} misses the value {missing[0]!r}{more} in its {what}; expected every value that an entity has."
        )


def _load_class(module: str, name: str, schema: Schema, entities: Sequence[Entity]) -> Task:
    """A class of the user's own, called with the facts."""
    try:
        made = getattr(importlib.import_module(module), name)(schema, entities)
    except (ImportError, AttributeError, ValueError) as error:
        raise WorkbenchError(
            f"There is no task family {module!r}{nearest(module, FAMILIES)}, nor a class {module}:{name} that can be "
            f"imported ({error}); the families are {', '.join(FAMILIES)}."
        ) from error
    if not isinstance(made, Task):
        raise WorkbenchError(
            f"{module}:{name} makes a {type(made).__name__}; expected a workbench.tasks.task.Task."
        )
    return made
