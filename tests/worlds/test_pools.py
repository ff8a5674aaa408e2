"""The shipped pools of values: sizes, format, and the shape that recipes rely on."""

import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

POOLS = Path(__file__).parents[2] / "workbench/worlds/biographies/pools"
SIZES = [
    ("first_name.txt", 400),
    ("middle_name.txt", 400),
    ("last_name.txt", 1000),
    ("city.txt", 200),
    ("university.txt", 300),
    ("field.txt", 100),
    ("company.txt", 263),
]
FILES = [name for name, _ in SIZES]
NAME_FILES = FILES[:3]
STATE_CODES = """
AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO
MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY
"""
STATES = frozenset(re.findall(r"[A-Z]{2}", STATE_CODES))
CITY = re.compile(r"[A-Z][A-Za-z.'-]*(?: [A-Z][A-Za-z.'-]*)*, ([A-Z]{2})")
NEW_YORK = "New York, NY"


def read_items(name: str) -> list[str]:
    """The lines of a pool file, kept exactly as they are."""
    text = (POOLS / name).read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def read_company_cities() -> list[str]:
    return [line.split("; ")[1] for line in read_items("company.txt")]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_size(name: str, size: int) -> None:
    assert len(read_items(name)) == size


@pytest.mark.parametrize("name", FILES)
def test_no_duplicates(name: str) -> None:
    counts = Counter(item.split("; ")[0].casefold() for item in read_items(name))
    assert [item for item, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", FILES)
def test_text_is_clean(name: str) -> None:
    raw = (POOLS / name).read_bytes()
    assert b"\r" not in raw
    assert not raw.startswith(b"\xef\xbb\xbf")
    text = raw.decode("utf-8")
    assert text == unicodedata.normalize("NFC", text)
    for item in read_items(name):
        assert item
        assert item == item.strip()
        assert item.isprintable()
        assert "  " not in item


@pytest.mark.parametrize("name", NAME_FILES)
def test_names_are_single_words_of_letters(name: str) -> None:
    assert [item for item in read_items(name) if not (item.isalpha() and item[0].isupper())] == []


def test_first_names_of_the_three_pools_differ() -> None:
    heads = [item.casefold() for name in NAME_FILES for item in read_items(name)[:50]]
    assert len(set(heads)) == 150


def test_middle_names_are_mostly_not_first_names() -> None:
    assert len(set(read_items("first_name.txt")) & set(read_items("middle_name.txt"))) <= 100


def test_cities_have_a_state() -> None:
    for item in read_items("city.txt"):
        match = CITY.fullmatch(item)
        assert match, item
        assert match[1] in STATES, item


def test_city_names_are_distinct() -> None:
    counts = Counter(item.split(",")[0].casefold() for item in read_items("city.txt"))
    assert [city for city, count in counts.items() if count > 1] == []


def test_company_format() -> None:
    for item in read_items("company.txt"):
        parts = item.split("; ")
        assert len(parts) == 2, item
        assert item.count(";") == 1, item
        assert parts[0], item
        match = CITY.fullmatch(parts[1])
        assert match, item
        assert match[1] in STATES, item


def test_new_york_share_of_companies() -> None:
    cities = read_company_cities()
    counts = Counter(cities)
    assert (counts[NEW_YORK], len(cities)) == (36, 263)
    assert max(count for city, count in counts.items() if city != NEW_YORK) < counts[NEW_YORK]


def test_first_companies_spread_over_cities() -> None:
    cities = read_company_cities()
    head = cities[:16]
    assert head.count(NEW_YORK) == 2
    assert len(set(head)) == 15
    assert cities[:25].count(NEW_YORK) in (3, 4)


def test_company_cities_are_spelled_one_way() -> None:
    """No city appears twice with different capitals."""
    spellings = {city.casefold() for city in read_company_cities()}
    assert len(spellings) == len(set(read_company_cities()))


@pytest.mark.parametrize("size", [16, 25, 50])
@pytest.mark.parametrize("name", FILES)
def test_first_items_differ_in_their_first_word(name: str, size: int) -> None:
    counts = Counter(re.split(r"[\s,;]", item)[0].casefold() for item in read_items(name)[:size])
    assert [word for word, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    ("items", "prefix", "share"),
    [
        (read_items("university.txt"), "University ", 0.37),
        (read_company_cities(), "New ", 0.148),
        (read_items("city.txt"), "San ", 0.025),
    ],
    ids=["universities", "company cities", "birth cities"],
)
def test_first_word_shares_follow_the_paper(items: list[str], prefix: str, share: float) -> None:
    found = sum(item.startswith(prefix) for item in items) / len(items)
    assert found == pytest.approx(share, abs=0.005)
