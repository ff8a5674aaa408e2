"""The field's words, each explained in one line where a page uses it: dotted, told under the mouse and at the focus."""

import re
from typing import Any, NamedTuple

from dash import html


class Term(NamedTuple):
    """A word, other forms of it that pages use (regular expressions), one line on it, and where the paper has it."""

    word: str
    forms: tuple[str, ...]
    meaning: str
    where: str = ""

    @property
    def told(self) -> str:
        return f"{self.meaning} ({self.where})" if self.where else self.meaning


TERMS = (
    Term("P-probe", ("P-probes?", "P-probing"),
         "A probe of the hidden state at positions of a text, before each value is said.", "Part 3.1, section 5.1"),
    Term("Q-probe", ("Q-probes?",),
         "A probe of the bare name; nothing else is read.", "Part 3.1, section 5.2"),
    Term("V-probe", ("V-probes?",),
         "A probe behind a prefix of a problem that is asked about one named variable.", "Part 2.1, section 5"),
    Term("probe", ("probes?",),
         "A small classifier trained on hidden states of a frozen model; what it can guess, they hold."),
    Term("position", ("positions?",),
         "The token just before the first (0), second (1), … value of an entry is said; of a study a place it names.",
         "Part 3.1, section 5.1"),
    Term("chance", ("chance",),
         "What always naming the commonest value among the test entities would score."),
    Term("selectivity", ("selectivity",),
         "Accuracy minus that of the same probe on labels shuffled by entity: what is not the probe's own memory."),
    Term("not the next value", ("not the very next value", "not the next value"),
         "Entries in which the attribute comes next are left out: there even text-tied knowledge is readable."),
    Term("shuffled labels", ("shuffled labels",),
         "The control: each entity keeps one wrong label, so nothing true can be read."),
    Term("couple", ("couples?",),
         "Two attributes that are always said together, so one may hang on the other.", "Part 3.1, Figure 6"),
    Term("first token", ("first tokens?",),
         "Only the value's first token is to be guessed: a lower bar than the whole value."),
    Term("test half", ("test half", "test entit(?:y|ies)", "test people"),
         "Entities whose labels no probe, and no question's training, ever saw."),
    Term("hidden state", ("hidden states?", "residual stream"),
         "The vector a model carries at a token between its blocks."),
    Term("checkpoint", ("checkpoints?",), "The model as it was at one step of its training."),
    Term("emergence", ("emerges?", "emergence", "becomes readable"),
         "The first checkpoint probed whose interval lies above chance: it became so after the one before."),
    Term("interval", ("intervals?",),
         "95 %: Wilson's over the test entries; of several runs as one, Student's t over the runs."),
)  # fmt: skip
_FORMS = sorted((form for term in TERMS for form in term.forms), key=len, reverse=True)
_WORD = re.compile(rf"(?<![\w-])(?:{'|'.join(_FORMS)})(?![\w-])", re.IGNORECASE)


def find_term(word: str) -> Term | None:
    """The term that a word is a form of."""
    return next(
        (term for term in TERMS if any(re.fullmatch(form, word, re.IGNORECASE) for form in term.forms)), None
    )


def with_terms(text: str) -> list[Any]:
    """The text with the first mention of each term dotted: its line is shown on it, and read out with it."""
    parts: list[Any] = []
    done, known = 0, set()
    for found in _WORD.finditer(text):
        term = find_term(found[0])
        if term is None or term.word in known:
            continue
        known.add(term.word)
        parts += [text[done : found.start()], _dotted(found[0], term)]
        done = found.end()
    return [part for part in (*parts, text[done:]) if part]


def glossary() -> Any:
    """Every term with its line, folded."""
    rows = [html.Div([html.Dt(term.word), html.Dd(term.told)]) for term in sorted(TERMS, key=_alphabetical)]
    return html.Details(
        [html.Summary("The words used here"), html.Dl(rows, className="words")], className="glossary"
    )


def _alphabetical(term: Term) -> str:
    return term.word.lower()


def _dotted(word: str, term: Term) -> Any:
    told: dict[str, Any] = {"data-tip": term.told, "aria-description": term.told}
    return html.Button(word, type="button", className="term", **told)
