"""Pools of values that people are drawn from: the shipped ones, or a user's folder in the same format."""

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workbench.errors import WorkbenchError
from workbench.facts.entities import one_spelling
from workbench.text_files import read_text

POOL_FILES: dict[str, str] = {
    "first_name": "first_name.txt",
    "middle_name": "middle_name.txt",
    "last_name": "last_name.txt",
    "birth_city": "city.txt",
    "university": "university.txt",
    "major": "field.txt",
    "company": "company.txt",
}
MONTHS: tuple[str, ...] = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
FULL_DATE_SIZES: dict[str, int] = {"birth_year": 200, "birth_month": 12, "birth_day": 28}
FIRST_YEAR = 1900
T = TypeVar("T")


@dataclass(frozen=True)
class Pools:
    """Everything a person's name and attributes can be.

    `values` maps each pool's name to its values in order; `company_city` maps an employer to the city of its
    headquarters; dates are drawn from the first `years` years from 1900 on, `months` months and `days` days.
    """

    values: Mapping[str, tuple[str, ...]]
    company_city: Mapping[str, str]
    years: int
    months: int
    days: int

    @property
    def n_names(self) -> int:
        """How many different full names there are."""
        names = (self.values[part] for part in ("first_name", "middle_name", "last_name"))
        product = 1
        for pool in names:
            product *= len(pool)
        return product


def load_pools(folder: Path | None = None, sizes: Mapping[str, int] | None = None) -> Pools:
    """Read the shipped pools, or a folder of the same text files, and keep the first `sizes[name]` of each.

    The format is that of the paper's released generator: one value a line, UTF-8, LF or CRLF;
    `company.txt` holds `Name; City, ST`. A pool that is not in `sizes` is kept whole.
    """
    sizes = dict(sizes or {})
    unknown = sorted(set(sizes) - set(POOL_FILES) - set(FULL_DATE_SIZES))
    if unknown:
        raise WorkbenchError(
            f"pool_sizes names the pool {unknown[0]!r}; known pools are {', '.join([*POOL_FILES, *FULL_DATE_SIZES])}."
        )
    values: dict[str, tuple[str, ...]] = {}
    company_city: dict[str, str] = {}
    for pool, file in POOL_FILES.items():
        lines = _read_lines(folder, file)
        lines = _first(lines, sizes.get(pool), pool, f"the file {file}")
        if pool == "company":
            for name, city in (_split_company(line, file) for line in lines):
                if name in company_city:
                    raise WorkbenchError(
                        f"The pool file {file} lists {name!r} twice; a company has one city."
                    )
                company_city[name] = city
            lines = list(company_city)
        values[pool] = tuple(lines)
    dates = {
        part: len(_first(list(range(full)), sizes.get(part), part, "the calendar"))
        for part, full in FULL_DATE_SIZES.items()
    }
    return Pools(values, company_city, dates["birth_year"], dates["birth_month"], dates["birth_day"])


def _read_lines(folder: Path | None, file: str) -> list[str]:
    if folder is None:
        text = (
            importlib.resources.files("workbench.worlds.biographies")
            .joinpath("pools", file)
            .read_text(encoding="utf-8")
        )
    else:
        path = folder / file
        if not path.is_file():
            raise WorkbenchError(
                f"The pool folder {folder} has no file {file}; it needs {', '.join(POOL_FILES.values())}."
            )
        text = read_text(path)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        raise WorkbenchError(f"The pool file {file} is empty; it needs one value a line.")
    seen: set[str] = set()
    for line in lines:
        if one_spelling(line) in seen:
            raise WorkbenchError(f"The pool file {file} lists {line!r} twice; every value must be different.")
        seen.add(one_spelling(line))
    return lines


def _first(values: list[T], size: int | None, pool: str, source: str) -> list[T]:
    if size is None:
        return values
    if not 1 <= size <= len(values):
        raise WorkbenchError(
            f"pool_sizes.{pool} = {size}, but {source} has {len(values)}; choose 1 to {len(values)}."
        )
    return values[:size]


def _split_company(line: str, file: str) -> tuple[str, str]:
    name, separator, city = (part.strip() for part in line.partition(";"))
    if not (name and separator and city):
        raise WorkbenchError(f"The pool file {file} has the line {line!r}; expected `Name; City, ST`.")
    return name, city
