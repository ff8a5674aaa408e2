"""The page of results counts what its pages say."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(
    r"^\| \[.+\]\((results-.+\.md)\) \| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE
)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("results-*.md")))
def test_a_row_says_what_its_page_says(page: str) -> None:
    rows = {
        name: (scale, *counts)
        for name, scale, *counts in ROW.findall((DOCS / "results.md").read_text("utf-8"))
    }
    said = (DOCS / page).read_text("utf-8")
    found = re.search(r"\*\*(\d+) holds?, (\d+) fails?, (\d+) undecided, (\d+) not measured\.\*\*", said)
    scale = re.search(r"; scale `(\w+)`", said)
    assert found and scale and rows[page] == (scale[1], *found.groups())
