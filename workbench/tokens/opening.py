"""Open a tokenizer saved in a folder, and use it without the padding and truncation it may carry."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, first_line
from workbench.files import refuse_pointer
from workbench.tokens.config_file import CONFIG_FILE, read_config, require_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_ONE_ENCODING_AT_A_TIME = threading.RLock()
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
JSON_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
)


def has_tokenizer(folder: Path | str) -> bool:
    """Whether tokenizer files lie in a folder."""
    return any((Path(folder) / name).is_file() for name in TOKENIZER_FILES)


def load_tokenizer(folder: Path | str) -> "PreTrainedTokenizerFast":
    """The tokenizer saved in a folder, without padding or truncation of its own; no code of the folder is run.

    Raises WorkbenchError for a folder without one, and for one that the library cannot open.
    """
    from transformers import AutoTokenizer

    if not has_tokenizer(folder):
        raise WorkbenchError(
            f"{folder} has no tokenizer (no {TOKENIZER_FILES[0]}); copy the tokenizer files the model "
            "was trained with into it, or name a tokenizer folder with --tokenizer."
        )
    for name in TOKENIZER_FILES:
        if (Path(folder) / name).is_file():
            refuse_pointer(Path(folder) / name)
    loader: Any = AutoTokenizer
    try:
        tokenizer: PreTrainedTokenizerFast = loader.from_pretrained(
            str(folder), local_files_only=True, use_fast=True, trust_remote_code=False
        )
    except Exception as error:
        if (Path(folder) / CONFIG_FILE).is_file():
            read_config(Path(folder))  # which the library reads for the tokenizer too
        for name in JSON_FILES:
            require_json(Path(folder) / name)
        raise WorkbenchError(f"The tokenizer in {folder} cannot be opened ({first_line(error)}).") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_padding()
        backend.no_truncation()
    return tokenizer


@contextlib.contextmanager
def without_padding(tokenizer: "PreTrainedTokenizerFast") -> Iterator[Any]:
    """Its backend without padding, truncation and split special tokens: state that any earlier call may have left.

    One thread of a process at a time: one that puts its state back would pad what another one is encoding.
    """
    backend: Any = tokenizer.backend_tokenizer
    with _ONE_ENCODING_AT_A_TIME:
        padding, truncation, plain = backend.padding, backend.truncation, backend.encode_special_tokens
        backend.encode_special_tokens = False
        backend.no_padding()
        backend.no_truncation()
        try:
            yield backend
        finally:
            backend.encode_special_tokens = plain
            if padding is not None:
                backend.enable_padding(**padding)
            if truncation is not None:
                backend.enable_truncation(**truncation)
