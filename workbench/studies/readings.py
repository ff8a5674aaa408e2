"""A study's own texts as readings: its entries at the study's places, or the bare names."""

from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.studies.opening import as_study
from workbench.studies.study import Study
from workbench.tokens.encoding import encode_entries, encode_names
from workbench.tokens.positions import read_entries, read_names
from workbench.tokens.reading import Reading

NAMES = "names"


def read_study(study: Study | Path | str, at: Sequence[str] | str = ()) -> Reading:
    """Read a study's own texts with its own tokenizer.

    study: a run or a study, or its folder. at: places in its entries: `positions`, `name-end`, `all`, `last`, or tokens
        of a span, such as `end:city` (`workbench.tokens.positions.find_places`); by default those that its P-probes
        read. Or `names` alone, the bare names at their end token. Raises WorkbenchError for anything else.
    """
    study, at = as_study(study), (at,) if isinstance(at, str) else at
    corpus, at = study.corpus, at or study.read
    if NAMES in at:
        if len(at) > 1:
            raise WorkbenchError(
                "'names' are texts of their own, not a place in entries; cache them by themselves."
            )
        names = encode_names(study.tokenizer, [entity.name for entity in corpus.entities], study.start)
        return read_names(names, corpus.entities, corpus.schema)
    entries = encode_entries(study.tokenizer, corpus.entries, corpus.schema, study.start)
    return read_entries(entries, corpus.entities, at, study.entity_word)
