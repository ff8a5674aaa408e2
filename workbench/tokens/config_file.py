"""The library's config of a model folder, or one sentence that names the key and value at fault."""

import codecs
import re
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, first_line
from workbench.files import refuse_pointer
from workbench.text_files import parse_json, read_text

CONFIG_FILE = "config.json"
# How the library says that a key holds a value of another type.
_OTHER_TYPE = re.compile(r"Field '(\w+)' expected (.+), got \w+ \(value: (.*)\)", re.DOTALL)
_WORDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "list": "a list",
    "dict": "an object", "NoneType": "null",
}  # fmt: skip


def read_config(folder: Path) -> Any:
    """The Hugging Face config of a folder; no code of its own is run. Raises WorkbenchError for one it cannot be."""
    from transformers import AutoConfig

    loader: Any = AutoConfig
    file = folder / CONFIG_FILE
    if file.is_file():
        refuse_pointer(file)
    try:
        return loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        require_json(file)
        raise WorkbenchError(_explain(file, error)) from error


def require_json(file: Path) -> None:
    """Refuse a JSON file that the library cannot read as such, by what is wrong with it; a missing one is none."""
    if not file.is_file():
        return
    parse_json(read_text(file), str(file))
    if file.read_bytes().startswith(codecs.BOM_UTF8):
        raise WorkbenchError(
            f"{file} begins with a byte order mark, which the library does not read; save it as UTF-8 without one."
        )


def _explain(file: Path, error: BaseException) -> str:
    if found := _OTHER_TYPE.search(str(error)):
        key, wanted, value = found.groups()
        kinds = [_WORDS.get(kind, kind) for kind in re.findall(r"\b[A-Za-z]\w*", wanted) if kind != "Union"]
        kinds = [kind for kind in dict.fromkeys(kinds) if kind != "null"] or [wanted]
        quoted = value.strip("'\"") != value and kinds[0].endswith("number")
        hint = "write it without quotes" if quoted else "correct it"
        return f"{file} gives {key} as {value[:80]}, where {' or '.join(kinds)} is expected; {hint}."
    return f"{file} cannot be read as a Hugging Face config ({first_line(error)})."
