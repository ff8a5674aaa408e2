"""The field's words are explained where they are read."""

from workbench_app.glossary import TERMS, find_term, with_terms

from tests.app.test_pages import find_faults


def words_of(text: str) -> list[str]:
    return [part.children for part in with_terms(text) if not isinstance(part, str)]


def test_the_first_mention_of_each_term_is_dotted_and_no_text_is_lost() -> None:
    text = "A probe reads chance; other probes read Chance. Q-probes read the test half, no re-position."
    parts = with_terms(text)
    assert "".join(part if isinstance(part, str) else part.children for part in parts) == text
    assert words_of(text) == ["probe", "chance", "Q-probes", "test half"]
    assert with_terms("") == [] and with_terms("Nothing.") == ["Nothing."]


def test_every_term_finds_itself() -> None:
    for term in TERMS:
        assert find_term(term.word) == term
        assert words_of(f"the {term.word}, then") == [term.word]


def test_a_term_tells_its_line_under_the_mouse_and_at_the_focus(visit) -> None:
    page = visit().open("p-probe?runs=single")
    term = page.locator(".page-head .term", has_text="positions")
    shown = "(element) => getComputedStyle(element, '::after').content"
    assert term.evaluate(shown) == "none"
    term.focus()
    assert "just before the first (0)" in term.evaluate(shown)
    assert "just before the first (0)" in term.get_attribute("aria-description")
    assert find_faults(page) == []


def test_the_overview_lists_them_all_and_a_phone_has_room(visit) -> None:
    page = visit(viewport={"width": 390, "height": 844}, color_scheme="dark").open("overview?runs=single")
    page.click(".glossary summary")
    assert page.locator(".words dt").count() == len(TERMS)
    page.locator(".page-head .term, .words dt").first.scroll_into_view_if_needed()
    term = page.locator(".page-head .term").first
    term.focus()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert find_faults(page) == []
