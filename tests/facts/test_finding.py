"""Words are found as words: in any script, and never as a part of others."""

import pytest

from workbench.facts.finding import find_words


@pytest.mark.parametrize(
    ("words", "text", "starts"),
    [
        ("Niger", "Nigeria and Niger, Nigerian Niger", [12, 28]),
        ("Niger", "Nigeria", []),
        ("Anya Li", "Anya Li met Anya Lis; friends of Anya Li.", [0, 33]),
        ("St.", "St. Gallen", [0]),
        ("$5", "US$5 or $50 or $5", [2, 15]),
        ("1996", "in 1996, not 19960 or 21996", [3]),
        ("a_b", "a_b a_bc _a_b", [0]),
        ("aa", "aaa aa", [4]),
        ("東京", "東京都の東京", [0, 4]),
        ("서울", "서울은 서울", [0, 4]),
        ("กรุงเทพ", "กรุงเทพเป็นเมือง", [0]),
        ("مصر", "في مصر، مصرية", [3]),
        ("תל אביב", "תל אביב, תל אביביים", [0]),
        ("Cafe", "Cafe\u0301 Cafe", [6]),  # the first has an accent on its e
        ("ä", "ä äb", [0]),
        ("👩", "👩\u200d🔬 👩", [4]),
        ("🇫🇷", "in 🇫🇷.", [3]),
        ("", "text", []),
        ("x", "", []),
    ],
)
def test_words_are_found_as_words(words: str, text: str, starts: list[int]) -> None:
    assert find_words(words, text) == [(start, start + len(words)) for start in starts]
