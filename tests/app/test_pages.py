"""Each page in a real browser: no console error, no external request, no serious accessibility fault."""

import pytest
from axe_playwright_python.sync_playwright import Axe

PAGES = {
    "overview": "Overview",
    "runs": "Runs",
    "p-probe": "P-probe",
    "compare": "Compare",
    "q-probe": "Q-probe",
    "layers": "Layers",
    "sets": "Sets",
    "attention": "Attention",
    "answers": "Answers",
    "cases": "Cases",
    "tasks": "Tasks",
    "capacity": "Capacity",
    "reasoning": "Reasoning",
    "training": "Training",
    "entity": "Entity",
    "paper": "Paper",
    "claims": "Claims",
}
GRAPHS = {"p-probe": 3, "compare": 3, "q-probe": 2, "layers": 6, "training": 7, "paper": 9}
SERIOUS = ("serious", "critical")


def find_faults(page) -> list[str]:
    """What axe-core finds serious, one line each."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']}: {fault['help']} at {node['target']}"
        for fault in found
        if fault["impact"] in SERIOUS
        for node in fault["nodes"][:3]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_a_fault(visit, name):
    seen = visit()
    page = seen.open(name)
    assert page.text_content("#main h1") == PAGES[name]
    assert page.locator(".js-plotly-plot").count() == GRAPHS.get(name, 0)
    assert page.locator("#nav [aria-current=page]").text_content() == PAGES[name]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.evaluate(
        "document.querySelector('#nav').scrollWidth <= document.querySelector('#nav').clientWidth"
    )
    assert find_faults(page) == []
    if name == "overview":  # what a card is about stands below its name, however wide the card
        page.set_viewport_size({"width": 1920, "height": 900})
        heads = page.locator(".card-head:has(.sub)").all()
        boxes = [[head.locator(part).bounding_box() for part in ("h2", ".sub")] for head in heads]
        assert boxes and all(name["y"] + name["height"] <= about["y"] + 1 for name, about in boxes)
    if name == "training":  # on a wide screen: a run's two pictures side by side, one left edge for all
        page.set_viewport_size({"width": 1920, "height": 900})
        columns = "getComputedStyle(document.querySelector('.grid.pairs')).gridTemplateColumns"
        assert len(page.evaluate(columns).split(" ")) == 2
        edges = "['.brand', '.play', '#main h1'].map(one => document.querySelector(one).getBoundingClientRect().left)"
        assert len(set(page.evaluate(edges))) == 1


@pytest.mark.parametrize("name", ["overview", "runs", "p-probe"])
def test_a_page_opens_on_a_phone_in_the_dark(visit, name):
    seen = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = seen.open(f"{name}?cell=single:1:birth_city/first" if name == "p-probe" else name)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert find_faults(page) == []


def test_light_and_dark_change_the_pictures_without_a_reload(visit):
    page = visit().open("p-probe?runs=single")
    colour = "document.querySelector('#heat-0 .js-plotly-plot')._fullLayout.font.color"
    light = page.evaluate(colour)
    page.click("#theme-toggle")
    page.wait_for_selector("html[data-theme=dark]", state="attached")
    page.wait_for_function(f"light => {colour} !== light", arg=light)


def test_empty_states_name_the_command_that_fills_them(visit):
    page = visit().open("q-probe?runs=young")
    assert "workbench probe" in page.text_content(".empty .command")
    assert "--kind q" in page.text_content(".empty .command")
    page = visit().open("layers?runs=young")
    assert "--family logistic" in page.text_content(".empty .command")
