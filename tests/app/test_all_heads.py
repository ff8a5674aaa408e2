"""All heads at a glance: thumbnails are the stored patterns, linked with the text, the large pattern and Attention."""

import re

import numpy as np
import pytest
from workbench_app.server import make_app

from tests.app.test_entity import entity_address, entity_runs, stored  # noqa: F401  (fixtures)
from tests.app.test_pages import find_faults
from workbench.figures.theme import SCALE_LIGHT, colour_at

PIXELS = """([block, head]) => {
  const shown = document.getElementById(`heads-0-${block}-${head}`).firstChild;
  const copy = Object.assign(document.createElement("canvas"), { width: shown.width, height: shown.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(shown, 0, 0);
  return [copy.width, Array.from(context.getImageData(0, 0, copy.width, copy.height).data)];
}"""


def filled(page, step: int) -> None:
    page.wait_for_function(f"() => document.getElementById('heads-0')?.dataset.filled === '{step}'")


def test_every_thumbnail_is_the_stored_pattern_at_the_sliders_step(visit, entity_runs, entity_address):  # noqa: F811
    page = visit(entity_address).open("entity?runs=seen")
    steps = [int(step) for step in page.evaluate("workbench.panel_by_id('heads-0').steps")]
    for step in (steps[-1], steps[0]):
        if step == steps[0]:
            page.focus("#timeline input")
            page.keyboard.press("Home")
        filled(page, step)
        data = stored(entity_runs, step)
        length = int(data["tokens"])
        assert length <= 64  # else thumbnails pool
        for block in range(data.sizes["block"]):
            for head in range(data.sizes["head"]):
                side, flat = page.evaluate(PIXELS, [block, head])
                pixels = np.array(flat).reshape(side, side, 4)
                assert side == length
                assert (pixels[..., 3] == 255 * np.tri(side)).all()  # what comes later is not seen
                shares = data["pattern"].values[block, head, :length, :length]
                for row, column in ((0, 0), (length - 1, 0), (length - 1, length - 1), (length // 2, 1)):
                    wanted = colour_at(SCALE_LIGHT, float(shares[row, column]))
                    rgb = [int(wanted[i : i + 2], 16) for i in (1, 3, 5)]
                    assert np.abs(pixels[row, column, :3] - rgb).max() <= 2, (block, head, row, column)


def test_a_head_tells_where_it_looks_and_leads_to_the_large_pattern(visit, entity_runs, entity_address):  # noqa: F811
    page = visit(entity_address).open("entity?runs=seen")
    data = stored(entity_runs)
    filled(page, int(data["checkpoint"]))
    assert find_faults(page) == []
    page.click("#entity-0 button.token[data-token='5']")
    page.hover("#heads-0-0-1")
    share = data["pattern"].values[0, 1, 5, :6]
    words = page.locator("#entity-0 button.token[data-token]").all_text_contents()
    most = int(np.argmax(share))
    told = page.text_content("#heads-0-told")
    assert told.startswith(
        f"Block 0, head 1: “{words[5]}” (token 5) looks at “{words[most]}” {100 * share[most]:.0f} %"
    )
    looks = page.evaluate(
        "[...document.querySelectorAll('#entity-0.looking button.token[data-token]')]"
        ".map(b => parseInt(b.style.getPropertyValue('--look')))"
    )
    assert looks[:6] == pytest.approx(60 * share, abs=0.6) and not any(looks[6:])
    page.click("#heads-0-0-1")
    page.wait_for_url(re.compile("at-block=0.*at-head=1|at-head=1.*at-block=0"))
    page.wait_for_selector("#heads-0-0-1[aria-pressed=true]")
    assert page.locator("h2", has_text="Block 0, head 1").count() == 1
    filled(page, int(data["checkpoint"]))
    page.focus("#heads-0-0-1")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "heads-0-1-1"
    assert page.text_content("#heads-0-told").startswith("Block 1, head 1:")


def test_numbers_of_heads_are_refused_where_there_are_none(entity_runs):  # noqa: F811
    client = make_app(entity_runs).server.test_client()
    data = stored(entity_runs)
    name = "entity-logistic"
    where = f"/heads/seen/{name}/{int(data['entity'])}/{int(data['checkpoint'])}"
    answer = client.get(where)
    length = int(data["tokens"])
    cells = data.sizes["block"] * data.sizes["head"] * length * (length + 1) // 2
    assert (answer.status_code, len(answer.data)) == (200, 2 * cells)
    for wrong in (
        "/heads/seen/p-embedding/0/0",
        "/heads/none/x/0/0",
        f"/heads/seen/{name}/99999/0",
        f"/heads/seen/{name}/0/1",
    ):
        assert client.get(wrong).status_code == 404
