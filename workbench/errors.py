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


def first_line(error: BaseException) -> str:
    """The first line of a library's message without its full stop, with the next where it only announces it.

    Of a KeyError, whose message is nothing but the key, that there is none.
    """
    if isinstance(error, KeyError) and len(error.args) == 1 and " " not in str(error.args[0]):
        return f"there is no {error.args[0]!r}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    return said.rstrip(".")


def as_sentence(error: BaseException) -> str:
    """A message that may want its full stop, with one."""
    said = str(error)
    return said if said.endswith((".", "?", "!")) else f"{said}."
