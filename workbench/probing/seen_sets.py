"""The sets of attributes already said: their names, and right answers counted by set.

Shapes: N entries, A attributes, P positions, K targets, S sets.
"""

import numpy as np

from workbench.facts.schema import Schema

NOTHING = "nothing"


def name_sets(start_NA: np.ndarray, places_NP: np.ndarray, schema: Schema) -> np.ndarray:
    """The set of attributes said up to each place, as the schema's letters in order: object [N, P].

    start_NA: the first token of each value, -1 where a text lacks it; places_NP: the tokens read. `nothing` for the
    empty set, else e.g. `d,b` (birth date and birth city).
    """
    start_N1A = start_NA[:, None, :]
    said_NPA = (start_N1A >= 0) & (start_N1A <= places_NP[:, :, None])
    letters = np.array([schema.letters[key] for key in schema.keys])
    names: dict[bytes, str] = {}
    flat = said_NPA.reshape(-1, said_NPA.shape[-1])
    labels = [names.setdefault(said.tobytes(), ",".join(letters[said]) or NOTHING) for said in flat]
    return np.array(labels, object).reshape(said_NPA.shape[:2])


def count_by_set(
    correct_KNP: np.ndarray, valid_KNP: np.ndarray, sets_NP: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The sets that occur, small ones first, and right answers and examples of each: int [S, K]."""
    order = sorted(
        set(sets_NP.ravel()), key=lambda name: (0 if name == NOTHING else name.count(",") + 1, name)
    )
    here_SNP = np.stack([sets_NP == name for name in order])
    right_SK = np.einsum("snp,knp->sk", here_SNP.astype(np.int64), (correct_KNP & valid_KNP).astype(np.int64))
    n_SK = np.einsum("snp,knp->sk", here_SNP.astype(np.int64), valid_KNP.astype(np.int64))
    return order, right_SK, n_SK
