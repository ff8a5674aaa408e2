"""What a user wrote in TOML (a recipe, a study.toml, facts.toml, an experiment, a task) as a checked pydantic model."""

import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.errors import WorkbenchError, as_sentence, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

    Form = TypeVar("Form", bound=BaseModel)

LONGEST_SHOWN = 60  # characters of a value that a sentence repeats


def fit_form(form: "type[Form]", content: Any, where: str) -> "Form":
    """Check what a user wrote.

    Raises WorkbenchError with a sentence for every fault; each begins with `where`, such as `The recipe mine.toml`, and
    names the key.
    """
    from pydantic import ValidationError

    try:
        return form.model_validate(content)
    except ValidationError as error:
        faults = (explain_fault(form, fault["loc"], fault, where) for fault in error.errors())
        raise WorkbenchError(" ".join(faults)) from error


def explain_fault(
    form: "type[BaseModel]", location: tuple[int | str, ...], fault: Mapping[str, Any], where: str
) -> str:
    """One fault of pydantic's as a sentence: the key, what was given, what was expected or is known there.

    location: of the fault within `form`.
    """
    key = ".".join(map(str, location))
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(form, location)
        near = nearest(str(location[-1]), known)
        return f"{where} has the unknown key {key!r}{near} (known here: {', '.join(known)})."
    if fault["type"] == "missing":
        return f"{where} lacks {key}."
    given = fault.get("input")
    short = key and not isinstance(given, Mapping) and len(repr(given)) <= LONGEST_SHOWN
    value = f" = {given!r}" if short else ""
    message = as_sentence(fault["msg"].removeprefix("Value error, "))
    return f"{where}: {key}{value}{': ' if key else ''}{message}"


def _keys_beside(form: "type[BaseModel]", location: tuple[int | str, ...]) -> list[str]:
    """The keys of the table that holds the last part of a location."""
    for part in location[:-1]:
        if isinstance(part, str):  # a number is a place in a list of tables
            form = next(_tables_in(form.model_fields[part].annotation))
    return list(form.model_fields)


def _tables_in(annotation: Any) -> "Iterator[type[BaseModel]]":
    """The models that an annotation such as `tuple[Attribute, ...] | None` is made of."""
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _tables_in(part)
