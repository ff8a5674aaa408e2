"""A run's own texts as readings: its biographies at their positions, or the bare names."""

from collections.abc import Sequence

from workbench_models.errors import nearest_names

from workbench.errors import WorkbenchError
from workbench.studies.study import Study
from workbench.tokens.encoding import encode_entries, encode_names
from workbench.tokens.positions import read_biographies, read_names
from workbench.tokens.reading import Reading

RUN_PLACES = ("positions", "name-end", "all", "names")


def read_run(run: Study, at: Sequence[str] = ("positions",)) -> Reading:
    """Read a run's own texts with its own tokenizer.

    at: one or several of `positions`, `name-end`, `all` in its biographies; or `names` alone, the bare full
        names at their end token. Raises WorkbenchError for anything else.
    """
    for place in at:
        if place not in RUN_PLACES:
            raise WorkbenchError(
                f"{place!r} is no place to read in a run; {nearest_names(place, RUN_PLACES)}"
            )
    corpus = run.corpus
    if "names" in at:
        if len(at) > 1:
            raise WorkbenchError(
                "'names' are texts of their own, not a place in biographies; cache them by themselves."
            )
        return read_names(
            encode_names(run.tokenizer, [entity.name for entity in corpus.entities], run.start),
            corpus.entities,
            corpus.schema,
        )
    entries = encode_entries(run.tokenizer, corpus.entries, corpus.schema, run.start)
    return read_biographies(entries, corpus.entities, at)  # type: ignore[arg-type]
