"""What a mistake about models raises; the message is one sentence a user can act on."""


class ModelError(ValueError):
    """A shape, preset, architecture or site that cannot be, with what was expected instead."""


def nearest_names(word: str, choices: list[str] | tuple[str, ...], count: int = 3) -> str:
    """The sentence part `did you mean 'a', 'b'?`, or `expected one of …` where nothing is near."""
    from difflib import get_close_matches

    matches = get_close_matches(word, choices, n=count, cutoff=0.4)
    if matches:
        return "did you mean " + ", ".join(repr(match) for match in matches) + "?"
    return "expected one of " + ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
