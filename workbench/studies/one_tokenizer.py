"""All members of a series read the same tokens: one whose own tokenizer reads the texts as others is refused."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.files import digest_json, sha256_file
from workbench.studies.checkpoints import Checkpoint
from workbench.tokens.opening import TOKENIZER_FILES, has_tokenizer, load_tokenizer
from workbench.tokens.reading import Ints

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


def require_one_tokenizer(
    series: Sequence[Checkpoint], used: Path, encode: "Callable[[PreTrainedTokenizerFast], Ints]"
) -> None:
    """Encode the texts anew with every other tokenizer that lies beside a member, and compare.

    used: the folder whose tokenizer the texts are read with. encode: the ids of all texts by a tokenizer. Members with
    the same files, or without a tokenizer, are not tried. Raises WorkbenchError naming the member.
    """
    known, wanted = {_digest(used)}, None
    for member in series:
        if not has_tokenizer(member.path) or (digest := _digest(member.path)) in known:
            continue
        known.add(digest)
        wanted = encode(load_tokenizer(used)) if wanted is None else wanted
        try:
            same = np.array_equal(encode(load_tokenizer(member.path)), wanted)
        except WorkbenchError:  # a word that its vocabulary lacks
            same = False
        if not same:
            raise WorkbenchError(
                f"The tokenizer in {member.path} reads the texts as other tokens than the one in {used}; leave that "
                "model out of the series, or name the tokenizer that all of them were trained with."
            )


def _digest(folder: Path) -> str:
    """What decides a folder's tokenizer."""
    files = [folder / name for name in (*TOKENIZER_FILES, *SETTINGS)]
    return digest_json({file.name: sha256_file(file) for file in files if file.is_file()})
