"""The first page comes with the frame: who asks is known by the Referer, and nothing is asked for twice."""

import json

import pytest
from workbench_app.drawing import split_address
from workbench_app.server import make_app

from tests.house.test_modules import run_python
from workbench.figures.theme import DIVERGING_LIGHT, SCALE_LIGHT, colour_at


@pytest.fixture(scope="module")
def client(runs_folder):
    return make_app(runs_folder).server.test_client()


def stores(layout) -> dict:
    """id → data of the stores of a layout as it is sent."""
    children = layout["props"]["children"]
    found = [child["props"] for child in children if child["type"] == "Store"]
    return {props["id"]: props.get("data") for props in found}


def test_the_frame_brings_the_page_of_the_referer(client):
    address = "http://localhost/p-probe?runs=single&step=64&cell=single:0:major/whole"
    sent = json.loads(client.get("/_dash-layout", headers={"Referer": address}).text)
    known = stores(sent)
    assert known["selection"] == "/p-probe?runs=single"
    assert known["step"] == known["frames"]["at"] == 64
    assert known["resolved"]["runs"] == ["single"]
    assert known["seen"]["address"] == known["selection"]
    assert "P-probe heatmap of single" in json.dumps(sent)
    assert known["cell"] is None and known["changed"] is None


def test_without_a_referer_the_frame_comes_alone(client):
    known = stores(json.loads(client.get("/_dash-layout").text))
    assert set(known) > {"selection", "frames"}
    assert known["selection"] is None and known["frames"] is None


def test_the_first_page_has_the_colours_that_the_browser_told(client):
    client.set_cookie("workbench_theme", "dark")
    dark = json.loads(client.get("/_dash-layout", headers={"Referer": "http://localhost/p-probe"}).text)
    assert stores(dark)["frames"]["dark"] is True
    client.set_cookie("workbench_theme", "<script>")
    plain = json.loads(client.get("/_dash-layout", headers={"Referer": "http://localhost/p-probe"}).text)
    assert stores(plain)["frames"]["dark"] is False


@pytest.mark.parametrize(
    ("asked", "selection", "step"),
    [
        (("/p-probe", "runs=a,b&step=7&cell=a:0:t"), "/p-probe?runs=a%2Cb", 7),
        (("/", ""), "/", None),
        (("/runs", "step=x&step=-1"), "/runs", None),
    ],
)
def test_an_address_is_split_into_what_the_stores_hold(asked, selection, step):
    assert split_address(*asked) == (selection, step)


def test_a_page_is_drawn_once(visit):
    seen = visit()
    asked: list[str] = []
    seen.page.on(
        "request", lambda request: asked.append(request.post_data or "") if request.post_data else None
    )
    page = seen.open("p-probe?runs=single,multi5%2Bpermute&step=64")
    assert page.text_content("#heat-0-step") == "step 64"
    assert [body for body in asked if '"main"' in body] == []


def test_dark_at_first_sight_by_the_systems_wish(visit):
    page = visit(color_scheme="dark").open("p-probe?runs=single")
    colour = page.evaluate("document.querySelector('#heat-0 .js-plotly-plot')._fullLayout.font.color")
    light = visit().open("p-probe?runs=single")
    assert colour != light.evaluate(
        "document.querySelector('#heat-0 .js-plotly-plot')._fullLayout.font.color"
    )


def test_plotly_is_fetched_with_the_document_and_once(visit):
    """Dash would ask for it only when its own scripts have run, which costs the first picture half a second."""
    seen = visit()
    fetched: list[str] = []
    seen.page.on("request", lambda request: fetched.append(request.url))
    seen.open("p-probe?runs=single")
    assert sum("plotly" in url and url.endswith(".js") for url in fetched) == 1


SKETCHED = """
id => {
  const sketch = document.querySelector(`#${id} .sketch`);
  return [...sketch.querySelectorAll("b")].map((cell) => [cell.textContent, cell.style.background]);
}
"""
LABELS = """
id => [...document.querySelectorAll(`#${id} .sketch .label`)].map((label) => label.textContent.replace("(", " ("))
"""
TICKS = """
id => {
  const graph = document.querySelector(`#${id} .js-plotly-plot`);
  return graph._fullLayout.yaxis.ticktext.map((text) => text.replace(/<[^>]*>/g, ""));
}
"""
DRAWN = """
id => {
  const graph = document.querySelector(`#${id} .js-plotly-plot`);
  return [graph.data[0].text.flat(), Array.from(graph.calcdata[0][0].z, (row) => Array.from(row)).flat()];
}
"""


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("p-probe?runs=single,multi5%2Bpermute&step=64", "heat-1"),
        ("p-probe?runs=single,multi5%2Bpermute&baseline=single", "heat-1"),
        ("q-probe?runs=single,multi5%2Bpermute", "names"),
    ],
)
def test_cells_are_painted_before_plotly_is_read(visit, path, id):
    """What is painted first says what the figure says that takes its place."""
    seen = visit()
    held: list = []
    seen.page.route("**/plotly.min.js*", lambda route: held.append(route))
    seen.page.goto(seen.address + path, wait_until="commit")  # it has not loaded before what is held has come
    seen.page.wait_for_selector(f"#{id} .sketch", state="attached")
    assert seen.page.query_selector(".js-plotly-plot") is None
    room = seen.page.evaluate(f"document.getElementById('{id}').offsetHeight")
    sketched = seen.page.evaluate(SKETCHED, id)
    assert any(text for text, _ in sketched)
    labels = [" ".join(text.split()) for text in seen.page.evaluate(LABELS, id)]
    for route in held:
        route.continue_()
    seen.settled()
    text, z = seen.page.evaluate(DRAWN, id)
    assert [cell for cell, _ in sketched] == text
    assert labels == [" ".join(text.split()) for text in seen.page.evaluate(TICKS, id)]
    assert [colour == "" for _, colour in sketched] == [value is None for value in z]
    for (_, colour), value in zip(sketched, z, strict=True):
        if value is not None:
            share = (value + 1) / 2 if "baseline" in path else value
            scale = DIVERGING_LIGHT if "baseline" in path else SCALE_LIGHT
            wanted = bytes.fromhex(colour_at(scale, share)[1:])
            found = [int(channel) for channel in colour[4:-1].split(",")]
            assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 1  # of 255
    assert seen.page.query_selector(".sketch") is None
    assert seen.page.evaluate(f"document.getElementById('{id}').offsetHeight") == room


def test_plotly_is_read_once(visit):
    """Dash reads it a second time where a graph comes before it, which keeps the page busy for most of a second."""
    page = visit().open("training?runs=single")
    assert page.evaluate("document.querySelectorAll('script[src*=\"plotly.min\"]').length") == 1
    assert page.evaluate("typeof window.Plotly.restyle") == "function"


def test_the_app_never_loads_torch():
    """Reading results needs no network library: it would take seconds and 200 MB of the server."""
    program = (
        "import sys; from workbench_app.server import make_app, DEMO_FOLDER; "
        "app = make_app(DEMO_FOLDER); app.warm_up(); print('torch' in sys.modules)"
    )
    assert run_python(program) == "False"
