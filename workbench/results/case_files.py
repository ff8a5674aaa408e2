"""Cases: what was said about each entity, kept beside the result that counts it, one sealed netCDF file a checkpoint.

    runs/<name>/cases/<kind>-<family>/step-00000512.nc

Cases of probes (`probing/cases.py`) have the dimensions `set` (the layer and position that a probe reads), `column` (a
distinct task), `entity` (test entities) and `target`:

    said          class said [set, column, entity]; the largest number of its type: not read (already said, no value)
    probability   what the probe gives that class, in half percents; 255 where it does not tell
    truth         the entity's own class [column, entity], by the same numbers
    column_of     which column a target is [target]; its classes are called name[first_name : …], in the column's order
    layer, position   of each set; layer is empty where a probe reads only one; place: what a study calls a position

Cases of answers (`extraction/answer_cases.py`) have `attribute` and `entity`:

    kind          which of `kind_name` the answer is [attribute, entity]; 255: not asked
    first         whether the first token is right, 0 or 1
    said, truth   what was said and what is right, numbers of `text`

Attributes are those of the result, `result_digest` (its seal: cases never outlive the result they are of) and
`left_out`, a sentence where not every cell was kept. The limit is CASE_BYTES a file before compression, or one cell.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.files import write_atomically
from workbench.results.sealing import DAMAGE, find_digest, open_sealed, read_seal, seal
from workbench.results.storing import SUFFIX
from workbench.studies.checkpoints import checkpoint_name

FORMAT = "1"
CASE_BYTES = 16 << 20
HALF_PERCENTS = 200  # in which a probability is counted
LAST_LAYER = "final"  # what the layer after the last norm is called
NOT_TOLD = 255  # a probability that a probe does not give, a kind of answer where nothing was asked
PACKED = {"zlib": True, "complevel": 4, "shuffle": True}
LARGE = 4096  # bytes; smaller variables would only grow by being packed
KeepCases = Callable[[xr.Dataset], None]  # what a probe calls with the cases it has made


def case_path(result: Path) -> Path:
    """Where the cases of a result (`results/p-embedding/step-00000512.nc`) lie."""
    return result.parents[2] / "cases" / result.parent.name / result.name


def save_cases(result: Path, counted: xr.Dataset, cases: xr.Dataset | None) -> None:
    """Keep the cases of a result that is about to be saved at `result`; None takes away those of an older one."""
    path = case_path(result)
    if cases is None:
        path.unlink(missing_ok=True)
        return
    cases = cases.assign_attrs({**counted.attrs, **cases.attrs, "result_digest": find_digest(counted)})
    cases.attrs["cases_schema"] = FORMAT
    if "place" in counted.coords and "position" in cases:
        called = dict(
            zip(map(str, counted["position"].values.tolist()), counted["place"].values, strict=True)
        )
        cases["place"] = "set", np.asarray([str(called[p]) for p in cases["position"].values], object)
    for name in cases.variables:
        if cases[name].dtype.kind in "iu" and cases[name].nbytes > LARGE:
            cases[name].encoding = dict(PACKED)
    write_atomically(path, seal(cases))


def load_case_file(path: Path, result: Path) -> xr.Dataset:
    """The cases at `path` of the result at `result`; damaged ones, and those of another result, are refused by name."""
    try:
        cases, sound = open_sealed(path)
    except DAMAGE as error:
        raise WorkbenchError(f"The cases {path} are truncated or damaged; {AGAIN}.") from error
    if not sound:
        raise WorkbenchError(f"The cases {path} were altered after they were written; {AGAIN}.")
    if (schema := cases.attrs.get("cases_schema")) != FORMAT:
        raise WorkbenchError(f"The cases {path} have format {schema} but {FORMAT} is read; {AGAIN}.")
    if cases.attrs["result_digest"] != read_seal(result):
        raise WorkbenchError(f"The cases {path} are of another result than {result.name} is now; {AGAIN}.")
    return cases.drop_encoding()


AGAIN = "make the result and its cases again with --again"


def case_sets(run_path: Path) -> dict[str, list[int]]:
    """Which cases a run has: `p-embedding` → steps, in order."""
    found: dict[str, list[int]] = {}
    for file in sorted((run_path / "cases").glob(f"*-*/step-*{SUFFIX}")):
        digits = file.name.removeprefix("step-").removesuffix(SUFFIX)
        if digits.isdecimal():
            found.setdefault(file.parent.name, []).append(int(digits))
    return found


def paths_of(run_path: Path, name: str, step: int) -> tuple[Path, Path]:
    """The file of cases and that of its result: `p-embedding`, 512."""
    result = run_path / "results" / name / f"{checkpoint_name(step)}{SUFFIX}"
    return case_path(result), result
