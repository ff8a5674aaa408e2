"""Results: labelled arrays on disk with their provenance, one netCDF file a checkpoint.

    runs/<name>/results/<kind>-<family>/step-00000512.nc

A result is an `xarray.Dataset`. Dimensions of a P-probe: `position` 0, 1, … and `target` (`KEY/FORM`), and
where they apply `checkpoint` (the step), `layer`, `site`, `seed`. Variables, the first three always:

    accuracy          share of the test entities' entries the probe gets right, 0…1
    n                 entries behind it; 0 with accuracy NaN is an *empty* cell (already said everywhere), no zero
    chance            accuracy of the majority class on the test entities; may depend on the target alone
    accuracy_not_next, n_not_next   the same without entries in which the attribute is the very next value
    ci_low, ci_high   95 % interval of `accuracy`; also train_accuracy, converged (more: docs/probing-linear.md)
    confusion         answers about the largest classes, further dims true_value, said_value (`confusion_values`)

Attributes (text) say what made it: kind, family, variant, run, recipe_digest, weights_digest, created (ISO
8601, UTC), schema (the format's version), and as JSON facts (the attributes and their labels), settings, notes,
versions. An altered or truncated file is refused by name.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from workbench.errors import WorkbenchError, nearest
from workbench.files import write_atomically
from workbench.partials import PARTIAL_PREFIX
from workbench.results.provenance import FORMAT, in_todays_words
from workbench.results.sealing import DAMAGE, open_sealed, seal
from workbench.studies.checkpoints import checkpoint_name
from workbench.studies.study import Study, folder_of

SUFFIX = ".nc"
CONFUSION_DIMS = ("true_value", "said_value")
REQUIRED_VARIABLES = ("accuracy", "n", "chance")
# Shares of attention, scores of heads and bits are no accuracies.
REQUIRED_BY_KIND = {"attention": ("n",), "capacity": ("n",)}
REQUIRED_ATTRS = ("kind", "family", "run", "recipe_digest", "settings", "versions", "created", "schema")
USUAL_PROBES = ("embedding", "logistic", "ridge", "lda", "nearest-mean", "mlp")
REPORTED_SETTINGS = ("final_loss", "device", "precision")  # told by a fit, not given to it


class ResultSet(NamedTuple):
    """The results of one kind and family in a run. `family` carries its variant: `embedding+rank4`."""

    kind: str
    family: str
    steps: list[int]


def result_path(run_path: Study | Path | str, kind: str, family: str, step: int, variant: str = "") -> Path:
    """Where the result of a checkpoint lies; a `variant` (rank4, group-minority …) has its own folder."""
    return _folder(run_path, kind, family, variant) / f"{checkpoint_name(step)}{SUFFIX}"


def save_result(path: Path | str, dataset: xr.Dataset) -> None:
    """Write a result, all of it or nothing, after checking that it says what it is."""
    path = Path(path)
    _require_valid(dataset, str(path))
    write_atomically(path, seal(dataset))


def load_result(path: Path | str) -> xr.Dataset:
    """Read one result into memory; a truncated or altered file is refused by name."""
    path = Path(path)
    if not path.is_file():
        raise WorkbenchError(f"There is no result {path}; make it with `workbench probe`.")
    try:
        dataset, sound = open_sealed(path)
    except DAMAGE as error:
        size = f"{path} ({path.stat().st_size} bytes)"
        raise WorkbenchError(
            f"The result {size} is truncated or damaged; delete it and probe again."
        ) from error
    if not sound:
        raise WorkbenchError(
            f"The result {path} was altered after it was written; delete it and probe again."
        )
    if (schema := dataset.attrs.get("schema")) != FORMAT:
        raise WorkbenchError(f"The result {path} has format {schema} but {FORMAT} is read; probe again.")
    return in_todays_words(_require_place(dataset, path)).drop_encoding()


def load_results(run_path: Study | Path | str, kind: str, family: str, variant: str = "") -> xr.Dataset:
    """All results of a kind and family, joined along `checkpoint` (the step) in order.

    run_path: a run or a study, or its folder. family, variant: as `list_results` names them, the variant by itself or
    behind the family (`logistic+layers-2`).

    The weights' digests become the coordinate `weights_digest` [checkpoint]; other attributes are the newest
    checkpoint's. Results of different settings or recipes are not joined but refused, and, of a run or a study that is
    given itself, those of other weights than its checkpoints have.
    """
    study, run_path = run_path, folder_of(run_path)
    folder = _folder(run_path, kind, family, variant)
    files = sorted(folder.glob(f"step-*{SUFFIX}"))
    if not files:
        known = [f"{found.kind}-{found.family}" for found in list_results(run_path)]
        have = f"{nearest(folder.name, known)} (it has {', '.join(known) or 'none'})"
        command = _command(folder.name, run_path)
        raise WorkbenchError(f"{run_path} has no result {folder.name!r}{have}; make it with `{command}`.")
    parts = [_along_checkpoint(load_result(file), _step_of(file)) for file in files]
    for part, file in zip(parts, files, strict=True):
        _require_joinable(parts[-1], part, files[-1], file)
    merge: Any = {"data_vars": "all", "coords": "minimal", "compat": "override", "join": "outer"}
    joined = xr.concat(parts, dim="checkpoint", combine_attrs="override", **merge)
    if isinstance(study, Study):
        held = {one.step: one.weights_digest for one in study.checkpoints}
        require_same_weights(joined, {**weights_digests(joined), **held})  # type: ignore[dict-item]
    return joined.assign_attrs(parts[-1].attrs)


def list_results(run_path: Study | Path | str) -> list[ResultSet]:
    """What has been probed, by name: kind, family, steps. Something that is no result is refused by name."""
    found = []
    root = folder_of(run_path) / "results"
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name.startswith(PARTIAL_PREFIX):
            continue
        kind, separator, family = folder.name.partition("-")
        if not (folder.is_dir() and separator):
            raise WorkbenchError(f"{folder} is not a folder of results (<kind>-<family>); move it elsewhere.")
        files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(PARTIAL_PREFIX)]
        steps = [_step_of(file) for file in files]
        if steps:
            found.append(ResultSet(kind, family, steps))
    return found


def weights_digests(dataset: xr.Dataset) -> dict[int | None, str]:
    """Which weights a result was measured on: step → hex sha256 (step None where there is no checkpoint)."""
    steps = np.atleast_1d(dataset["checkpoint"].values).tolist() if "checkpoint" in dataset.coords else [None]
    if "weights_digest" in dataset.coords:
        digests = np.atleast_1d(dataset["weights_digest"].values).tolist()
    else:
        digests = [str(dataset.attrs["weights_digest"])]
    return dict(zip(steps, digests, strict=True))


def find_result(path: Path, digest: str, settings: Mapping[str, Any] | None) -> xr.Dataset | None:
    """The result at `path` if it was made from these weights with these settings (None: with any)."""
    if not path.is_file():
        return None
    found = load_result(path)
    same_settings = settings is None or json.loads(found.attrs["settings"]) == settings
    return found if same_settings and set(weights_digests(found).values()) == {digest} else None


def usual_first(family: str) -> tuple[int, int, str]:
    """A key that sorts what was probed with (`lda+layers-24`) by what is meant where none is named: the paper's probe,
    the built-in ones from the most usual on, then others; each without a variant first.
    """
    name, _, variant = family.partition("+")
    rank = USUAL_PROBES.index(name) if name in USUAL_PROBES else len(USUAL_PROBES)
    return rank, variant.count("+") + bool(variant), family


def find_newest(run: Study, kind: str, family: str, variant: str = "") -> xr.Dataset | None:
    """The result of a run's last checkpoint, if there is one of these very weights; a damaged one does not count."""
    if not run.checkpoints:
        return None
    last = run.checkpoints[-1]
    try:
        return find_result(result_path(run.path, kind, family, last.step, variant), last.weights_digest, None)
    except WorkbenchError:
        return None


def require_same_weights(dataset: xr.Dataset, digest: str | Mapping[int, str]) -> None:
    """Refuse a result made with other weights than `digest` (step → digest for one of several checkpoints)."""
    what = f"{dataset.attrs.get('kind')}-{dataset.attrs.get('family')} result"
    for step, made_with in weights_digests(dataset).items():
        expected = digest if isinstance(digest, str) else digest.get(-1 if step is None else step)
        if made_with != expected:
            of_step, now = "" if step is None else f" of step {step}", (expected or "absent")[:12]
            raise WorkbenchError(
                f"The {what}{of_step} was made with the weights {made_with[:12]}… but the run's are {now}…; "
                "probe again (the old result is of another training)."
            )


def to_dataframe(dataset: xr.Dataset | xr.DataArray) -> pd.DataFrame:
    """One row a cell: run, kind, family, dimensions, every variable but `confusion` (a shared chance is repeated).

    Of one variable alone (`result["accuracy"]`), which does not know its run, its coordinates and the variable.
    """
    if isinstance(dataset, xr.DataArray):
        name = str(dataset.name or "value")
        return dataset.to_dataframe(name).reset_index()
    dataset = dataset.drop_dims([name for name in CONFUSION_DIMS if name in dataset.dims])
    frame = dataset.to_dataframe(dim_order=[str(name) for name in dataset.sizes]).reset_index()
    for place, key in enumerate(("run", "kind", "family")):
        frame.insert(place, key, dataset.attrs.get(key, ""))
    frame.attrs = {key: str(value) for key, value in dataset.attrs.items()}
    return frame


def to_rows(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """The rows of `to_dataframe` as plain values; NaN becomes None."""
    return list(json.loads(to_dataframe(dataset).to_json(orient="records", double_precision=15)))


def export(dataset: xr.Dataset, path: Path | str) -> None:
    """Write a result as a table, the format by the suffix: .csv, .json (with the provenance) or .parquet."""
    path = Path(path)
    match path.suffix.lower():
        case ".csv":
            write_atomically(path, to_dataframe(dataset).to_csv(index=False))
        case ".json":
            content = {"attrs": dict(dataset.attrs), "rows": to_rows(dataset)}
            write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
        case ".parquet":
            try:
                write_atomically(path, bytes(to_dataframe(dataset).to_parquet(index=False, engine="pyarrow")))
            except ImportError as error:
                message = "Parquet needs pyarrow: `pip install pyarrow`, or export .csv or .json."
                raise WorkbenchError(message) from error
        case other:
            raise WorkbenchError(f"Cannot export to {path.name!r}: {other!r} is not .csv, .json or .parquet.")


def _folder(run_path: Study | Path | str, kind: str, family: str, variant: str) -> Path:
    return folder_of(run_path) / "results" / f"{kind}-{family}{'+' if variant else ''}{variant}"


def _command(folder: str, run: Path | str) -> str:
    """What makes the results of a folder, without their variant's options but the group."""
    plain, _, variant = folder.partition("+")
    group = variant.partition("group-")[2].partition("+")[0]
    who = f"{run} --group {group}" if group else str(run)
    kind, _, family = plain.partition("-")
    if kind == "attention":
        return f"workbench attention {who} --what {family}"
    if kind == "qa":
        return f"workbench evaluate {who}"
    curve = " --learning-curve" if kind.endswith("_curve") else ""
    return f"workbench probe {who} --kind {kind.removesuffix('_curve')} --family {family}{curve}"


def _step_of(file: Path) -> int:
    digits = file.name.removeprefix("step-").removesuffix(SUFFIX)
    if not digits.isdecimal() or file.suffix != SUFFIX:
        raise WorkbenchError(f"{file} is not a result (expected step-<number>{SUFFIX}); move it elsewhere.")
    return int(digits)


def _along_checkpoint(dataset: xr.Dataset, step: int) -> xr.Dataset:
    if "checkpoint" not in dataset.coords:
        dataset = dataset.assign_coords(checkpoint=step)
    if "checkpoint" not in dataset.dims:
        dataset = dataset.expand_dims("checkpoint")
    return dataset.assign_coords(weights_digest=("checkpoint", list(weights_digests(dataset).values())))


def _require_place(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """A result that is of the step and kind that its place in a run says; one that was copied or renamed is refused."""
    if path.parent.parent.name == "results" and path.name.startswith("step-"):
        kind, place, step = str(dataset.attrs.get("kind")), path.parent.name.partition("-")[0], _step_of(path)
        told = dataset["checkpoint"].values.tolist() if "checkpoint" in dataset.coords else step
        if kind != place or told != step:
            what = f"kind {kind}" if kind != place else f"step {told}"
            raise WorkbenchError(f"The result {path} is of {what}, which its place is not; put it back.")
    return dataset


def _require_joinable(newest: xr.Dataset, other: xr.Dataset, newest_file: Path, file: Path) -> None:
    there, here = (
        {"recipe": part.attrs["recipe_digest"], **json.loads(part.attrs["settings"])}
        for part in (other, newest)
    )
    for name in {**there, **here}:
        if name not in REPORTED_SETTINGS and there.get(name) != here.get(name):
            detail = f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
            raise WorkbenchError(
                f"{file} and {newest_file.name} cannot be joined: {detail}; probe one again."
            )


def _require_valid(dataset: xr.Dataset, label: str) -> None:
    required = REQUIRED_BY_KIND.get(str(dataset.attrs.get("kind")), REQUIRED_VARIABLES)
    missing = [name for name in required if name not in dataset.data_vars]
    missing += [f"attribute {name}" for name in REQUIRED_ATTRS if name not in dataset.attrs]
    if "weights_digest" not in dataset.attrs and "weights_digest" not in dataset.coords:
        missing.append("attribute weights_digest")
    if missing:
        raise WorkbenchError(f"The result {label} lacks {', '.join(missing)}; see make_attrs.")
    n = dataset["n"]
    accuracy = dataset.get("accuracy", xr.zeros_like(n).where(n > 0))
    if bool((accuracy.notnull() & (n == 0)).any()) or bool((accuracy.isnull() & (n > 0)).any()):
        raise WorkbenchError(
            f"The result {label} contradicts itself: accuracy is to be NaN exactly where n is 0."
        )
    if bool(((accuracy < 0) | (accuracy > 1)).any()):
        raise WorkbenchError(f"The result {label} has accuracies outside 0…1; give shares, not percentages.")
