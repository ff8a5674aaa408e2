"""The one reader of text files that people bring: what is no whole UTF-8 text is refused by file, line and byte.

A byte order mark at the start is left out, as editors on Windows write one. Recipes, pools, templates, tables,
questions and corpora all come through here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import WorkbenchError, first_line

T = TypeVar("T")
OTHER_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip


def read_text(path: Path) -> str:
    """A file's whole text, its line ends as `\\n`."""
    return "".join(iterate_lines(path))


def iterate_lines(path: Path, *, newline: str | None = None, start: int = 0) -> Iterator[str]:
    """Yield a file's lines with their ends; newline: as `open` takes it (a reader of CSV needs `""`); start: from that
    byte on.

    Raises WorkbenchError for bytes that are no UTF-8, for a file that ends in half a character, and for NUL bytes
    (what a power cut leaves of a write).
    """
    try:
        with path.open(encoding="utf-8" if start else "utf-8-sig", newline=newline) as file:
            file.seek(start)
            for number, line in enumerate(file, 1):
                if "\0" in line:
                    raise _refusal_of_nul(path, number)
                yield line
    except UnicodeDecodeError:
        raise _refusal_of_bytes(path) from None


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content; what is no TOML is refused in one sentence."""
    return parse_toml(read_text(path), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """TOML as Python values. `where` begins the sentence that refuses what is none."""
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise WorkbenchError(f"{where} is not valid TOML: it is nested too deeply.") from error
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise WorkbenchError(f"{where} is not valid TOML: {first_line(error)}.") from error


def parse_json(text: str, where: str, *, keys_once: bool = False) -> Any:
    """JSON as Python values; half a character (`"\\ud83d"`, which no file can hold) is refused too.

    keys_once: refuse an object that has a key twice, of which the first value would be lost.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise WorkbenchError(f"{where} has the key {twice!r} twice; keep one of them.")
        return made

    try:
        value = json.loads(text, object_pairs_hook=once if keys_once else None)
    except json.JSONDecodeError as error:
        raise WorkbenchError(f"{where} is not valid JSON ({error.msg}).") from error
    except RecursionError as error:
        raise WorkbenchError(f"{where} is not valid JSON (nested too deeply).") from error
    except ValueError as error:  # a number of thousands of digits
        raise WorkbenchError(f"{where} is not valid JSON ({first_line(error)}).") from error
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise WorkbenchError(
                f"{where} holds half a character (\\u{ord(half):04x} without its other half); write the whole one."
            ) from error
    return value


def fit_json(form: type[T], content: Any, where: str) -> T:
    """JSON content as a dataclass or typed dictionary, each part of exactly its type.

    Raises WorkbenchError, beginning with `where`, for the first part that is missing, unknown or of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(form).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the whole"
        raise WorkbenchError(
            f"{where} has another form than was written: {place}: {fault['msg']}; restore it."
        ) from error


def _refusal_of_nul(path: Path, number: int) -> WorkbenchError:
    with path.open("rb") as file:
        start = file.read(4)
    if name := _other_encoding(start):
        return WorkbenchError(f"{path} is {name}, not UTF-8; save it as UTF-8.")
    return WorkbenchError(
        f"{path}, line {number}, holds NUL bytes, which no text has (a power cut leaves them); restore the file."
    )


def _refusal_of_bytes(path: Path) -> WorkbenchError:
    """The sentence for a file that does not decode, with the first byte at fault and its line."""
    content = path.read_bytes()
    if name := _other_encoding(content[:4]):
        return WorkbenchError(f"{path} is {name}, not UTF-8; save it as UTF-8.")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        where = f"byte {error.start}, line {content[: error.start].count(10) + 1}"
        if error.reason == "unexpected end of data":
            return WorkbenchError(
                f"{path} ends in half a character ({where}): it was cut short; save or fetch it again."
            )
        return WorkbenchError(f"{path} is not UTF-8 ({where}); save it as UTF-8.")
    return WorkbenchError(f"{path} was written while it was read; run the command again.")


def _other_encoding(start: bytes) -> str | None:
    return next((name for mark, name in OTHER_ENCODINGS.items() if start.startswith(mark)), None)
