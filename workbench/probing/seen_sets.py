"""The sets of attributes already said: their names, and right answers counted by set.

Shapes: N entries, A attributes, P positions, K targets, S sets.
"""

import numpy as np

from workbench.facts.schema import Schema

NOTHING = "nothing"


def name_sets(rank_NA: np.ndarray, schema: Schema) -> np.ndarray:
    """The set of attributes said before each position, as the schema's letters in order: object [N, P].

    `nothing` for the empty set, else e.g. `d,b` (birth date and birth city).
    """
    said_NPA = rank_NA[:, None, :] < np.arange(rank_NA.shape[1])[None, :, None]
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
