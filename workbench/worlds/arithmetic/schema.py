"""What is known of a parameter of an arithmetic problem: the six properties, in the schema's words.

Nobody asks for them in words; V-probes do (`properties.py`). Results of arithmetic runs say by this schema what
they are about.
"""

from workbench.facts.schema import Attribute, Schema
from workbench.worlds.arithmetic.properties import PROPERTIES

LABELS = {
    "nece": "necessary",
    "dep": "depends on",
    "known": "computed",
    "value": "value",
    "can_next": "can be next",
    "nece_next": "necessary and can be next",
}
SCHEMA = Schema(
    tuple(Attribute(wanted, LABELS[wanted], forms=("whole",)) for wanted in PROPERTIES),
    noun="parameter",
    nouns="parameters",
)
