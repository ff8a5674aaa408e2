"""The paper's notation for augmentations, in both directions."""

import pytest

from workbench.errors import WorkbenchError
from workbench.worlds.augmentation import EXAMPLES, Augmentation, parse_augmentation


@pytest.mark.parametrize(
    ("text", "entries", "rewrite", "order", "fullname"),
    [
        ("single", 1, False, "fixed", False),
        ("single+fullname", 1, False, "fixed", True),
        ("single+permute1", 1, False, "shuffled", False),
        ("single+permute2", 2, False, "shuffled", False),
        ("single+permute5", 5, False, "shuffled", False),
        ("single+permute37", 37, False, "shuffled", False),
        ("single+permute1+fullname", 1, False, "shuffled", True),
        ("single+permute5+fullname", 5, False, "shuffled", True),
        ("multi1", 1, True, "fixed", False),
        ("multi2", 2, True, "fixed", False),
        ("multi5", 5, True, "fixed", False),
        ("multi12", 12, True, "fixed", False),
        ("multi5+permute", 5, True, "shuffled", False),
        ("multi5+fullname", 5, True, "fixed", True),
        ("multi2+permute+fullname", 2, True, "shuffled", True),
        ("multi5+permute+fullname", 5, True, "shuffled", True),
        ("couple1", 1, True, "paired", False),
        ("couple2", 2, True, "paired", False),
        ("couple5", 5, True, "paired", False),
        ("couple5+fullname", 5, True, "paired", True),
    ],
)
def test_notation(text: str, entries: int, rewrite: bool, order: str, fullname: bool) -> None:
    augmentation = parse_augmentation(f" {text} ")
    assert augmentation == Augmentation(entries, rewrite, order, fullname)  # type: ignore[arg-type]
    assert str(augmentation) == text


@pytest.mark.parametrize(
    ("text", "order", "reverse"),
    [
        ("multi5+reverse1", "fixed", 1),
        ("multi5+reverse2", "fixed", 2),
        ("multi5+reverse6", "fixed", 6),
        ("multi5+permute+reverse6", "shuffled", 6),
    ],
)
def test_the_name_after_so_many_sentences(text: str, order: str, reverse: int) -> None:
    augmentation = parse_augmentation(text)
    assert augmentation == Augmentation(5, True, order, False, reverse)  # type: ignore[arg-type]
    assert str(augmentation) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "Single", "multi", "multi0", "multi5 + permute", "multi5+permute5", "multi5+fullname+permute",
        "single+permute", "single+permute0", "single+fullname+permute2", "single5", "couple",
        "couple2+permute", "multi5+permute+", "multi-5", "multi٣", "single+",
        "multi5+reverse", "multi5+reverse0", "single+reverse1", "couple2+reverse1",
    ],
)  # fmt: skip
def test_other_texts_are_refused_with_examples(text: str) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        parse_augmentation(text)
    assert str(refusal.value) == (
        f"Unknown augmentation {text!r}; write it as in the paper, e.g. single, single+fullname, "
        "single+permute5, single+permute5+fullname, multi5, multi5+permute, multi5+fullname, "
        "multi5+permute+fullname, couple2, multi5+reverse1."
    )


def test_every_example_in_the_message_is_valid() -> None:
    assert [str(parse_augmentation(example)) for example in EXAMPLES] == list(EXAMPLES)
