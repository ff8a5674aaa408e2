"""Values given from Python, as the types that a request or a call declares; what does not fit is a sentence.

Needs nothing but the standard library: requests are also made where pydantic is missing. A number of numpy's is the
number, a list or an array is the tuple, text is the path that it names. Nothing else is converted: "5" is no number.
"""

import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError, nearest

LONGEST_SHOWN = 60  # characters of a value that a sentence repeats


class _Unfit(Exception):
    """The part of a value that is not of its kind."""

    def __init__(self, part: Any) -> None:
        self.part = part


def check_fields(request: Any, least: Mapping[str, int] | None = None, numbered: Sequence[str] = ()) -> None:
    """Check every field of a frozen dataclass against its declared type, from its `__post_init__`.

    least: what numbers must be at least, by field. numbered: fields of text in which a whole number is its own name
    (layers). Raises WorkbenchError for the first value that does not fit.
    """
    for field in fields(request):
        given = getattr(request, field.name)
        bound = (least or {}).get(field.name)
        named = field.name in numbered
        fitted = fit_value(field.name, given, field.type, bound, numbered=named)
        if fitted is not given:
            object.__setattr__(request, field.name, fitted)


def fit_value(name: str, given: Any, kind: Any, least: int | None = None, *, numbered: bool = False) -> Any:
    """A value as the type it was declared with; one that is not of it is refused by the name it was given under."""
    try:
        return _fit(given, kind, least, numbered)
    except _Unfit as unfit:
        part = unfit.part
    hint = _hint(part, part is given, kind, least, numbered)
    hint = hint if hint.endswith("?") else f"{hint}."
    said = f"{name} is {_show(part)}" if part is given else f"{name} holds {_show(part)}"
    raise WorkbenchError(f"{said}; give {_describe(kind, least, numbered)}{hint}")


def several(given: Any) -> tuple[Any, ...]:
    """One value, or several in anything that holds them, as a tuple."""
    given = _plain(given)
    alone = isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable)
    return (given,) if alone else tuple(given)


def _show(given: Any) -> str:
    said = repr(_plain(given))
    short = said if len(said) <= LONGEST_SHOWN else f"{said[:LONGEST_SHOWN]}…"
    return short if "\n" not in said else f"a {type(given).__name__}"


def _plain(given: Any) -> Any:
    """Python's own number or list for one of numpy's or torch's."""
    size = getattr(given, "ndim", None)
    if size == 0 and hasattr(given, "item"):
        return given.item()
    return given.tolist() if size == 1 and hasattr(given, "tolist") else given


def _fit(given: Any, kind: Any, least: int | None, numbered: bool) -> Any:
    value, parts = _plain(given), _parts(kind)
    for part in parts:
        try:
            return _fit_one(value, part, least, numbered)
        except _Unfit as unfit:
            if unfit.part is not value:  # the type was right, one of its members is not
                raise
    raise _Unfit(given)


def _fit_one(value: Any, kind: Any, least: int | None, numbered: bool) -> Any:
    if typing.get_origin(kind) is Literal:
        fits = any(type(value) is type(known) and value == known for known in typing.get_args(kind))
    elif typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple | range):
            raise _Unfit(value)
        members = tuple(_fit(one, typing.get_args(kind)[0], least, numbered) for one in value)
        same = type(value) is tuple and all(a is b for a, b in zip(members, value, strict=True))
        return value if same else members
    elif kind in (int, float):
        fits = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        fits = fits and (least is None or least <= value < math.inf)
    elif kind is str and isinstance(value, PathLike):
        return fspath(value)
    elif kind is str and numbered and _fits(value, int, 0, False):
        return str(value)
    elif kind is Path and isinstance(value, str) and value:
        return Path(value)
    else:
        fits = not isinstance(kind, type) or isinstance(value, kind)  # what only a type checker reads fits
    if not fits:
        raise _Unfit(value)
    return value


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    return typing.get_args(kind) if union else (kind,)


def _describe(kind: Any, least: int | None, numbered: bool = False) -> str:
    """A declared type in words: `a whole number from 1 or None`."""
    *most, last = [_describe_one(part, least, numbered) for part in _parts(kind)]
    return f"{', '.join(most)} or {last}" if most else last


def _describe_one(kind: Any, least: int | None, numbered: bool) -> str:
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    if typing.get_origin(kind) is tuple:
        return f"a tuple or list, each member {_describe(typing.get_args(kind)[0], least, numbered)}"
    if kind in (int, float):
        words = "a whole number" if kind is int else "a number"
        return words if least is None else f"{words} from {least}"
    if kind is str and numbered:
        return "text or a whole number from 0"
    words_of = {str: "text", bool: "True or False", Path: "a path", types.NoneType: "None"}
    return words_of.get(kind) or f"a {kind.__name__}"


def _hint(part: Any, whole: bool, kind: Any, least: int | None, numbered: bool) -> str:
    """What was probably meant: one value as a tuple, a number without quotes, the name nearest to a misspelt one."""
    alone = [one for one in _parts(kind) if typing.get_origin(one) is not tuple]
    members = [typing.get_args(one)[0] for one in _parts(kind) if typing.get_origin(one) is tuple]
    if whole and any(_fits(part, member, least, numbered) for member in members):
        return f", such as ({_show(part)},)"
    inner = [one for several_kinds in (*members, *alone) for one in _parts(several_kinds)]
    if isinstance(part, str) and part.strip().isdecimal() and {int, float} & set(inner):
        return f", such as {int(part)} without quotes"
    known = [name for one in inner if typing.get_origin(one) is Literal for name in typing.get_args(one)]
    return nearest(part, known) if isinstance(part, str) else ""


def _fits(given: Any, kind: Any, least: int | None, numbered: bool) -> bool:
    try:
        _fit(given, kind, least, numbered)
    except _Unfit:
        return False
    return True
