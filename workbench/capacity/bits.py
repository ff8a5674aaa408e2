"""Learned bits from losses: the estimator of Part 3.3, term by term (Definitions 4.1 and 4.3).

A model that gives a fact the probability p still needs log2(1/p) bits to be told it. What it knows are the bits that
somebody without it would need, less those: of names log2 N₀, of an entity's values log2 S₀. All losses are natural
logarithms, summed over the tokens of a fact, averaged over entities. Terms may be negative: a model that was never
trained puts probability where no fact is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Choices:
    """Out of how many a fact is drawn: what somebody who knows the pools, and nothing else, must guess among.

    names: N₀; None where nobody knows what names were drawn from: then they count for nothing.
    values: attribute → pool size, of the attributes that count (one that another determines does not).
    known: attribute → of how many entities it is known, where that is not all: of the others there is nothing to learn.
    """

    names: float | None
    values: Mapping[str, float]
    known: Mapping[str, int] = field(default_factory=dict)

    @property
    def bits_of_name(self) -> float:
        """log2 N₀; 0 of unknown pools."""
        return 0.0 if self.names is None else math.log2(self.names)

    def n_known(self, attribute: str, n: int) -> int:
        """N_a: of how many of n entities the attribute is known."""
        return self.known.get(attribute, n)


@dataclass(frozen=True)
class Bits:
    """Learned bits over all entities, by what is known: `names`, `values`, `diversity` (of random values alone)."""

    names: float
    values: float
    diversity: float = 0.0

    @property
    def total(self) -> float:
        return self.names + self.values + self.diversity


def learned_bits(
    n: int, choices: Choices, name_loss: float | None, value_losses: Mapping[str, float]
) -> Bits:
    """Bits of biographies: N log2(N₀ / e^p₁) + Σ N_a log2(S_a / e^p_a) (Definition 4.3; there N_a is always N).

    n: entities. name_loss: p₁, nats of a whole name; None where names do not count. value_losses: attribute → nats of
    a whole value; one that is not among the choices is refused.
    """
    if unknown := sorted(set(value_losses) ^ set(choices.values)):
        raise WorkbenchError(
            f"The losses and the pools do not name the same attributes: {unknown[0]!r} is in one of them only."
        )
    values = sum(
        choices.n_known(key, n) * (math.log2(size) - value_losses[key] / math.log(2))
        for key, size in choices.values.items()
    )
    names = 0.0 if name_loss is None else choices.bits_of_name - name_loss / math.log(2)
    return Bits(n * names, values)


def most_bits(n: int, choices: Choices) -> Bits:
    """What a model that has learned everything holds: p₁ = ln N (names come in no order), p₂ = 0."""
    values = sum(choices.n_known(key, n) * math.log2(size) for key, size in choices.values.items())
    if choices.names is None:
        return Bits(0.0, values)
    if n > choices.names:
        raise WorkbenchError(
            f"There are {n} entities but only {choices.names:.0f} possible names; expected fewer entities than names."
        )
    return Bits(n * math.log2(choices.names / n), values)


@dataclass(frozen=True)
class RandomValues:
    """The shape of bioD (Definition 4.1): K attributes of C chunks, each of D strings of L out of T symbols.

    Raises WorkbenchError where there are fewer strings than D.
    """

    attributes: int
    chunks: int
    diversity: int
    length: int
    alphabet: int

    def __post_init__(self) -> None:
        if self.diversity > self.alphabet**self.length:
            raise WorkbenchError(
                f"diversity D = {self.diversity}, but {self.length} symbols out of {self.alphabet} make only "
                f"{self.alphabet**self.length} strings; expected D ≤ T^L."
            )

    @property
    def bits_of_value(self) -> float:
        """log2 D^C: of one attribute's value, given the strings there are."""
        return self.chunks * math.log2(self.diversity)

    @property
    def bits_of_string(self) -> float:
        """log2(T^L / D): of one string of a diversity set."""
        return self.length * math.log2(self.alphabet) - math.log2(self.diversity)


def learned_bits_of_values(
    n: int, n_names: float, shape: RandomValues, name_loss: float, value_loss: float, chunk_loss: float
) -> Bits:
    """Bits of bioD: N log2(N₀ / e^p₁) + N K log2(D^C / e^p₂) + K D log2(T^L / (D e^p₃)) (Definition 4.1).

    value_loss: p₂, nats of a whole value; chunk_loss: p₃, of its first chunk; means over entities and attributes.
    """
    nats = math.log(2)
    return Bits(
        n * (math.log2(n_names) - name_loss / nats),
        n * shape.attributes * (shape.bits_of_value - value_loss / nats),
        shape.attributes * shape.diversity * (shape.bits_of_string - chunk_loss / nats),
    )


def most_bits_of_values(n: int, n_names: float, shape: RandomValues) -> Bits:
    """What a model that has learned everything of bioD holds: p₁ = ln N, p₂ = p₃ = 0."""
    return Bits(
        n * math.log2(n_names / n),
        n * shape.attributes * shape.bits_of_value,
        shape.attributes * shape.diversity * shape.bits_of_string,
    )
