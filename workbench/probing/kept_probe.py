"""Whether a kept result is of the very probe that is asked for, and what results of a probe of one's own are called."""

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.probing.request import ProbeRequest
from workbench.results.storing import load_result, result_path
from workbench.studies.study import Study

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger("workbench.probing")


def was_another(source: str | None, found: "xr.Dataset") -> bool:
    """Whether a result is of another file of `package.module:factory`, or of an object that was another."""
    kept = json.loads(found.attrs["settings"]).get("source")
    return bool(kept != source)


def name_family(probe: Any, family: str | None) -> str:
    """What the results of a probe are kept as; a name that is another probe's, or no name of a folder, is refused."""
    from workbench.probing.linear.custom import list_probes, name_probe

    if isinstance(probe, str):
        if family not in (None, probe):
            raise WorkbenchError(
                f"family={family!r} names results of an object of your own; those of {probe!r} are kept as {probe!r}."
            )
        return probe
    name = name_probe(probe) if family is None else family
    if name in list_probes():
        raise WorkbenchError(
            f"{name!r} is the name of a probe that comes with the workbench or a package; give this one another, "
            "with family=…."
        )
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", name):
        raise WorkbenchError(
            f"{name!r} is no name for results; give one of letters, digits, '_', '-' and '.', with family=…."
        )
    return name


def require_room(run: Study, request: ProbeRequest, own: Any) -> None:
    """Refuse a name under which another probe's results are kept; with `again` they are taken away.

    Those of a probe that prints the same but is another (its class was edited) are taken away, with a word.
    """
    from workbench.probing.linear.identity import describe_probe, digest_probe

    folder = result_path(run.path, request.result_kind, request.family_name, 0, request.variant).parent
    probe, source, changed = describe_probe(own), digest_probe(own), []
    for file in sorted(folder.glob("step-*")):
        found = load_result(file)
        kept = json.loads(found.attrs["settings"]).get("probe")
        if kept == probe and not was_another(source, found):
            continue
        if kept == probe:
            changed.append(file)
        elif not request.again:
            raise WorkbenchError(
                f"{folder} holds the results of {kept}, and this is {probe}; give it a name of its own with family=…, "
                "or again=True to replace them."
            )
        file.unlink()
    if changed:
        log.warning(
            "%s has changed since %s was kept; what it made before is taken away.",
            request.family,
            ", ".join(file.stem for file in changed),
        )
