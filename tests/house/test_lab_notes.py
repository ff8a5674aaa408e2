"""The notebook is read from its newest entry downwards."""

import re
from pathlib import Path

NOTES = (Path(__file__).parents[2] / "docs" / "lab-notes.md").read_text(encoding="utf-8")


def test_entries_are_dated_and_the_newest_comes_first():
    headings = re.findall(r"^## (.*)$", NOTES, flags=re.MULTILINE)
    assert headings
    assert [line for line in headings if not re.fullmatch(r"\d{4}-\d\d-\d\d · \S.*", line)] == []
    dates = [line[:10] for line in headings]
    assert dates == sorted(dates, reverse=True)
