"""Tables written as markup say what Dash would have shown; no page asks Dash to look after many components."""

import pytest
from dash import dcc, html
from dash.development.base_component import Component
from workbench_app.cards import extra
from workbench_app.drawing import draw_page
from workbench_app.written import to_markup, written

from tests.app.test_other_results import make_view
from tests.app.test_pages import PAGES

MOST_COMPONENTS = 500  # a page of 300 is there at once, one of 1,800 took ten seconds


def count_components(content) -> int:
    """Everything that Dash keeps and looks after, children's children too."""
    if isinstance(content, list | tuple):
        return sum(map(count_components, content))
    if not isinstance(content, Component):
        return 0
    names = {"children", *getattr(content, "_children_props", ())}
    return 1 + sum(count_components(getattr(content, name, None)) for name in names if "." not in name)


def test_elements_become_their_markup():
    go = extra({"data-go": 'a="1"&b=2', "aria-pressed": "false"})
    table = html.Table(
        [
            html.Caption("5 < 6"),
            html.Tr([html.Th(dcc.Link("Ada", href="/entity?a=1&b=2"), scope="row"), html.Td([7, " ", None])]),
            html.Tr(
                html.Td(
                    html.Button("<b>", type="button", disabled=True, **go), colSpan=2, className="far left"
                )
            ),
        ],
        tabIndex=0,
        style={"left": "3%", "marginTop": "2px"},
    )
    assert to_markup(table) == (
        '<table style="left: 3%; margin-top: 2px" tabindex="0"><caption>5 &lt; 6</caption>'
        '<tr><th scope="row"><a data-inside href="/entity?a=1&amp;b=2">Ada</a></th><td>7 </td></tr>'
        '<tr><td class="far left" colspan="2"><button aria-pressed="false" data-go="a=&quot;1&quot;&amp;b=2" disabled '
        'type="button">&lt;b&gt;</button></td></tr></table>'
    )
    assert count_components(table) == 9 and count_components(written(table, html.P("x"))) == 1


def test_what_only_dash_can_show_is_no_markup():
    with pytest.raises(TypeError, match="Graph is no element of HTML"):
        to_markup(html.Div([html.P("a"), dcc.Graph()]))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_few_components(runs_folder, name):
    assert 5 < count_components(draw_page(make_view(runs_folder, f"/{name}"), "k").children) < MOST_COMPONENTS
