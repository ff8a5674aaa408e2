"""Where in a bare full name a probe on activations reads: after each word of it, and at the tokens around it.

Shapes: N names, P places.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.tokens.encoding import EncodedTexts
from workbench.tokens.spans import Start, find_tokens, iterate_encodings, start_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NAME_PLACES = ("start", "first", "middle", "last", "end")


def find_name_places(
    tokenizer: "PreTrainedTokenizerFast", names: Sequence[str], encoded: EncodedTexts, start: Start = "eos"
) -> np.ndarray:
    """The token of each place of `NAME_PLACES` in `end-of-text name end-of-text`: int32 [N, P], -1 where there is none.

    `first`, `middle` and `last` are the last token of that word, where it is complete; of several middle names the
    last. A name of two words has no `middle`, one of a single word is all `last`. `start` precedes the name and
    tells nothing; `end` is where the Q-probe reads: the end-of-text behind the name, or, of models whose texts do not
    start with one, the name's last token.
    """
    places_NP = np.full((len(names), len(NAME_PLACES)), -1, np.int32)
    before = len(start_ids(tokenizer, start))
    places_NP[:, 0], places_NP[:, -1] = 0 if before else -1, encoded.lengths - 1
    for n, (name, found) in enumerate(zip(names, iterate_encodings(tokenizer, names), strict=True)):
        words = [match.span() for match in re.finditer(r"\S+", name)]
        tokens = [find_tokens(word, found[1], found[2], name)[1] + before for word in words]
        places_NP[n, 3] = tokens[-1]
        if len(tokens) > 1:
            places_NP[n, 1] = tokens[0]
        if len(tokens) > 2:
            places_NP[n, 2] = tokens[-2]
    return places_NP
