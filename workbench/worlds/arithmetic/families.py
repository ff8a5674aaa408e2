"""Families of arithmetic problems: how large, how hard, in which words (Part 2.1, section 2 and appendix D).

`med` and `hard` are the paper's iGSM-med and iGSM-hard. `tiny` is this project's: the same generator at a size that
two CPU cores learn in minutes.
"""

from dataclasses import dataclass

from workbench.errors import WorkbenchError, nearest
from workbench.worlds.arithmetic.names import NAMES, Layer

HASH_MODULUS, TRAIN_HASHES = 23, 17  # templates with hash mod 23 below 17 train, the others test


@dataclass(frozen=True)
class Family:
    """What problems may be drawn.

    parameters: most instance parameters (the paper's ip); operations: most operations in training;
    operations_draw: how many a training problem has: the `smaller` of two uniform draws, as in the paper, where the
    longest problems are the rarest (of six operations one in 36), or one `uniform` draw. beyond: operations of the
    out-of-distribution sets. depths, widths: the three choices for the number of layers and for the items of a layer,
    smaller ones likelier in easier problems. modulus: arithmetic is modulo this prime. letters: variable names.
    letter_order: `drawn`, as in the paper, or in order of use: `alphabet`, a, b, c …, or `consecutive`, from a drawn
    first one (behind the last comes a). A drawn letter cannot be foreseen, and where solutions are short its loss is
    most of all loss; from a on, letters of longer solutions are never said in training. constants: the share of
    unnecessary parameters that are a number and nothing else. In small problems most often one parameter is, so that
    whoever copies the only number is right without telling names apart; the paper: 0. names: `full` or `short` words,
    which also decides the phrasing. whole_templates: a template keeps names and constants and leaves out only letters.
    Few operations have few forms of solutions (one of one operation): tests would ask for forms that were never
    trained, and with names alone a model could learn which names never stand alone.
    """

    name: str
    parameters: int
    operations: int
    beyond: tuple[int, ...]
    depths: tuple[int, int, int] = (2, 3, 4)
    widths: tuple[int, int, int] = (2, 3, 4)
    modulus: int = 23
    letters: int = 52
    operations_draw: str = "smaller"
    letter_order: str = "drawn"
    constants: float = 0.0
    names: str = "full"
    whole_templates: bool = False

    @property
    def settings(self) -> tuple[tuple[Layer, ...], ...]:
        """The settings its items come from."""
        return NAMES[self.names]


FAMILIES = {
    "med": Family("med", parameters=20, operations=15, beyond=(20, 21, 22, 23)),
    "hard": Family("hard", parameters=28, operations=21, beyond=(28, 29, 30, 31, 32)),
    "tiny": Family(
        "tiny",
        parameters=6,
        operations=4,
        beyond=(5, 6, 7),
        depths=(2, 2, 2),
        widths=(2, 2, 3),
        modulus=5,
        letters=10,
        names="short",
        whole_templates=True,
    ),
}


def load_family(name: str) -> Family:
    """The family of a name, or a refusal that lists them."""
    if name not in FAMILIES:
        raise WorkbenchError(
            f"There is no family of problems {name!r}{nearest(name, list(FAMILIES)) or ''} "
            f"(known: {', '.join(FAMILIES)})."
        )
    return FAMILIES[name]
