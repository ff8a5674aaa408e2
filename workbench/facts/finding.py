"""Where words stand in a text as words, and not as a part of others, in any script."""

import unicodedata
from collections.abc import Iterator

# Scripts that put no space between words, or write endings onto them: any place is a border.
_UNSPACED = (
    "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN",
)  # fmt: skip
_JOINER = "\u200d"


def find_words(words: str, text: str) -> list[tuple[int, int]]:
    """The spans [start, end) in which the words stand: `Niger` in `Niger, not Nigeria` once, 東京 in 東京都 too."""
    return list(_find(words, text))


def _find(words: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(words) if words else -1
    while start >= 0:
        end = start + len(words)
        if _is_border(text[start - 1 : start], words[0]) and _is_border(words[-1], text[end : end + 1]):
            yield start, end
            start = text.find(words, end)
        else:
            start = text.find(words, start + 1)


def _is_border(before: str, after: str) -> bool:
    """Whether one word may end, and another begin, between two characters; either may be none."""
    if not before or not after:
        return True
    if after == _JOINER or before == _JOINER or unicodedata.category(after).startswith("M"):
        return False
    return not (_is_letter(before) and _is_letter(after))


def _is_letter(character: str) -> bool:
    """Whether a character makes one word with a letter beside it."""
    if character.isascii():
        return character.isalnum() or character == "_"
    is_letter = character.isalnum() or unicodedata.category(character).startswith("M")
    return is_letter and not unicodedata.name(character, "").startswith(_UNSPACED)
