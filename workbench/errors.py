"""What a user's mistake raises: one sentence that names the value, what was expected and what to do next."""


class WorkbenchError(Exception):
    """A mistake the user can mend; the command line prints its message without a traceback.

    Every message names the offending value, what was expected, and the next thing to do.
    """


def nearest(word: str, choices: list[str] | tuple[str, ...]) -> str:
    """The sentence part `; did you mean 'x'?` for a misspelt word, or an empty string where nothing is near."""
    from difflib import get_close_matches

    matches = get_close_matches(word, choices, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
