"""Cases on disk, as the Cases page shows them: read only while they are as they were, a few at a time."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.files import read_jsonl
from workbench.results.case_files import load_case_file
from workbench.results.case_table import NONE, CaseTable, require_filter
from workbench.results.cases import CaseChoice, FoundCases, find_cases, list_cases
from workbench.studies.corpus import ENTITIES_FILE, FIRST_NAMES
from workbench_app.index import RunEntry, Stamp, stamp_of

SORTS = {
    "entity": "Number",
    "name": "Name",
    "surest": "Surest probe first",
    "unsure": "Least sure probe first",
}
if TYPE_CHECKING:
    import pandas as pd

KEPT_FILES, KEPT_TABLES, KEPT_NAMES = (
    8,
    4,
    4,
)  # a file of 100,000 entities takes 16 MiB, a table about as much


@dataclass(frozen=True, eq=False)
class RunCases:
    """The cases of a run that a choice means, and whose they are. names: entity → name, as far as files hold them."""

    found: FoundCases
    names: dict[int, str]

    def name(self, entity: int) -> str:
        """The entity's name, or its number where the files do not hold it (the demo's hold the first ones)."""
        return self.names.get(entity, f"entity {entity}")

    def select(
        self, where: str, attribute: str | None, text: str, sort: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the table, in order, of the entities with a case that the filter keeps (of one attribute, or any),
        and that hold the text; and bool [A, N]: which cases those are.
        """
        table = self.found.table
        kept = table.matches(where)
        if attribute is not None:
            kept = kept & (np.asarray(table.attributes) == attribute)[:, None]
        chosen = np.flatnonzero(kept.any(0))
        wanted = text.strip().casefold()
        if wanted:
            held = [wanted in told for told in _searchable(self, chosen)]
            chosen = chosen[np.asarray(held, bool)]
        return chosen[self._order(chosen, kept, sort)], kept

    def _order(self, chosen: np.ndarray, kept: np.ndarray, sort: str) -> np.ndarray:
        if sort == "name":
            names = np.asarray([self.name(int(e)) for e in self.found.table.entities[chosen]], object)
            return np.argsort(names, kind="stable")
        if sort not in ("surest", "unsure"):
            return np.argsort(self.found.table.entities[chosen], kind="stable")
        sure = np.where(kept & ~np.isnan(self.found.table.probability), self.found.table.probability, -1)[
            :, chosen
        ]
        if sort == "surest":
            return np.argsort(-sure.max(0), kind="stable")
        return np.argsort(np.where(sure < 0, 2, sure).min(0), kind="stable")


def case_steps(entry: RunEntry) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Probes and answers of a run that have cases: name → steps."""
    return list_cases(entry.path)


def load_run_cases(entry: RunEntry, choice: CaseChoice) -> RunCases:
    """The cases of a run as they are on disk now; raises WorkbenchError where there are none such, or damaged ones."""
    probes, asked = case_steps(entry)
    found = _find(entry.path, choice, _stamps_of(entry, {**probes, **asked}))
    corpus = entry.path / "corpus"
    file = next(
        (corpus / n for n in (ENTITIES_FILE, FIRST_NAMES[ENTITIES_FILE]) if (corpus / n).is_file()), None
    )
    stamp = None if file is None else stamp_of(file)
    return RunCases(found, {} if file is None or stamp is None else _names(file, stamp))


def select_cases(cases: RunCases, run: str, where: str, attribute: str | None, text: str) -> "pd.DataFrame":
    """The cases that a filter and a search keep, one row each, with what they are of in `attrs`."""
    chosen, kept = cases.select(require_filter(where), attribute or None, text, "entity")
    held = np.zeros(kept.shape, bool)
    held[:, chosen] = kept[:, chosen]
    table = cases.found.table
    names = {entity: cases.name(entity) for entity in table.entities.tolist()}
    frame = table.to_dataframe(names, held)
    frame.attrs = dict[Any, Any](cases.found.describe(run))
    return frame


def told_pieces(table: CaseTable, a: int, n: int) -> tuple[bool | None, bool | None]:
    """Whether the probe and the answer are right about a case; None: not read, not asked."""
    return tuple(None if mark[a, n] == NONE else bool(mark[a, n]) for mark in (table.probe, table.answered))  # type: ignore[return-value]


def _searchable(cases: RunCases, chosen: np.ndarray) -> list[str]:
    table = cases.found.table
    columns = [part[:, chosen] for part in (table.value, table.guess, table.answer)]
    texts = np.concatenate(columns).T.tolist()
    ids = table.entities[chosen].tolist()
    return [
        "\n".join([cases.name(entity), str(entity), *row]).casefold()
        for entity, row in zip(ids, texts, strict=True)
    ]


def _stamps_of(entry: RunEntry, sets: dict[str, list[int]]) -> tuple[tuple[str, Stamp | None], ...]:
    """When the folders of cases and results were last changed; files are replaced by renaming, which changes them."""
    folders = [(kind, name) for name in sets for kind in ("cases", "results")]
    return tuple((f"{kind}/{name}", stamp_of(entry.path / kind / name)) for kind, name in folders)


@lru_cache(maxsize=KEPT_TABLES)
def _find(path: Path, choice: CaseChoice, stamps: tuple[tuple[str, Stamp | None], ...]) -> FoundCases:
    return find_cases(path, choice, _read)


def _read(path: Path, result: Path) -> xr.Dataset:
    stamps = stamp_of(path), stamp_of(result)
    if None in stamps:
        raise WorkbenchError(f"The cases {path.name} are gone.")
    return _read_as(path, result, stamps)


@lru_cache(maxsize=KEPT_FILES)
def _read_as(path: Path, result: Path, _stamps: tuple[Stamp | None, Stamp | None]) -> xr.Dataset:
    return load_case_file(path, result)


@lru_cache(maxsize=KEPT_NAMES)
def _names(file: Path, _stamp: Stamp) -> dict[int, str]:
    """Entity → name. The first version's files say `full_name`."""
    rows = enumerate(read_jsonl(file))
    return {int(row.get("id", number)): str(row.get("name") or row.get("full_name")) for number, row in rows}
