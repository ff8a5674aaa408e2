"""Damaged requests to the app: an answer, or a refusal in one sentence; never an exception in the log."""

import copy
import json
import logging
import random
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from workbench_app.callback_requests import KEPT
from workbench_app.server import make_app

from tests.app.made_runs import make_run
from tests.fuzz.mutations import each, mutate, mutate_text, told

JUNK: list[Any] = [
    None, True, 0, -1, 1.5, float("nan"), 10**30, "", "x", "\ud83d", "\0", "a" * 9000, [], [None], [[]], {}, {"id": 1},
    {"id": {"type": "control", "index": ["ALL"]}, "property": "value"}, [{"data": 3}],
    [{"data": {"id": ["x"], "note": 5}}],
    "selection.data", "..main.children..", "url.search", "../../etc", "__proto__", "{}",
]  # fmt: skip
ADDRESSES = [
    "/_dash-layout?x=1", "/_dash-dependencies", "/_reload-hash", "/_favicon.ico", "/static/x",
    "/_dash-update-component?endId=1&job=2", "/_dash-component-suites/dash/dcc/async-graph.js?v=1",
    "/assets/app.css?m=1",
    "/download/single/p-embedding.csv", "/cases/single.csv?probe=p&answers=&position=2&where=both&find=a",
    "/figure/p-probe.pdf?runs=single&panels=single&width=3.3&font=8",
]  # fmt: skip
HEADERS = ["Referer", "Range", "If-None-Match", "If-Modified-Since", "Accept-Encoding", "Cookie"]
HEADER_VALUES = [
    "", "x", "http://localhost/p-probe?step=16", "a" * 3000, "é", "bytes=0-5", 'W/"x"', "null", "-1",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder, "single", steps=(0, 16))
    return make_app(folder).server.test_client()


def wanted_of(client: FlaskClient) -> list[dict[str, Any]]:
    """A right request for each callback of the server, as Dash's own page would send it."""
    values = {
        "selection.data": "/p-probe?runs=single", "step.data": 16, "theme.data": "dark", "changed.data": "abc",
        "cell.data": "single:0:birth_city/first", "tick.n_intervals": 3, "seen.data": {"address": "/", "version": "x"},
        "runs-grid.rowData": [{"id": "single", "note": ""}],
        "runs-grid.cellValueChanged": [{"data": {"id": "single", "note": "a note", "tags": "a, b"}}],
    }  # fmt: skip
    assert set(values) == set(KEPT)
    made = []
    for one in client.get("/_dash-dependencies").json:
        if one["clientside_function"] is not None:
            continue
        name = one["output"]
        outputs = [
            dict(zip(("id", "property"), part.rsplit(".", 1), strict=True))
            for part in name.strip(".").split("...")
        ]
        parts = {
            part: [spec | {"value": values[f"{spec['id']}.{spec['property']}"]} for spec in one[part]]
            for part in ("inputs", "state")
        }
        first = parts["inputs"][0]
        body = {
            "output": name, "outputs": outputs if name.startswith("..") else outputs[0], **parts,
            "changedPropIds": [f"{first['id']}.{first['property']}"],
        }  # fmt: skip
        made.append(body if parts["state"] else {key: body[key] for key in body if key != "state"})
    return made


def places_in(body: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a JSON."""
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [here, *(place for key, value in inner for place in places_in(value, (*here, key)))]


def change(body: Any, rng: random.Random) -> Any:
    """One value exchanged for junk or for another of the same request, taken out, renamed, or there twice."""
    made = {"body": copy.deepcopy(body)}
    *way, last = rng.choice([("body", *place) for place in places_in(body)])
    holder: Any = made
    for key in way:
        holder = holder[key]
    kind = rng.randrange(5)
    if kind == 0 and way:
        del holder[last]
    elif kind == 1 and isinstance(holder, dict) and way:
        holder[rng.choice(["id", "property", "value", "x", "outputs"])] = holder.pop(last)
    elif kind == 2 and isinstance(holder, list):
        holder.insert(last, copy.deepcopy(holder[last]))
    elif kind == 3:
        value = body
        for key in rng.choice(places_in(body)):
            value = value[key]
        holder[last] = copy.deepcopy(value)
    else:
        holder[last] = rng.choice(JUNK)
    return made["body"]


def check(answer: Any, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """An answer of ours, or a refusal in one sentence; nothing failed on the way."""
    assert not caplog.records, (seed, [record.getMessage() for record in caplog.records])
    assert answer.status_code in (200, 204, 302, 304, 308) or 400 <= answer.status_code < 500, (
        seed,
        answer.status,
    )
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.text.count("\n") == 1, (seed, answer.text)
        assert answer.text.endswith((".\n", "?\n")), (seed, answer.text)
        assert "Traceback" not in answer.text, (seed, answer.text)
    answer.close()


def test_right_requests_are_answered(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    bodies = wanted_of(client)
    assert len(bodies) == 6
    for number, body in enumerate(bodies):
        answer = client.post("/_dash-update-component", json=body)
        assert answer.status_code in (200, 204), (number, answer.text)
        check(answer, number, caplog)


@pytest.mark.parametrize("seeds", each())
def test_a_request_of_a_page(seeds: range, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    bodies, answered = wanted_of(client), 0
    for seed in seeds:
        rng = random.Random(seed)
        body: Any = bodies[seed % len(bodies)]
        for _ in range(rng.randint(1, 2)):
            body = change(body, rng)
        content = json.dumps(body).encode()
        content = (content, mutate(content, seed), mutate_text(content, seed), content)[seed // 7 % 4]
        kind = "text/plain" if seed % 50 == 3 else "application/json"
        with told(seed):
            answer = client.post("/_dash-update-component", data=content, content_type=kind)
            if answer.status_code == 200:
                answered += 1
                assert "response" in json.loads(answer.data), seed
            check(answer, seed, caplog)
    assert 0 < answered < len(seeds)


@pytest.mark.parametrize("seeds", each())
def test_any_address_by_any_method(
    seeds: range, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for seed in seeds:
        rng = random.Random(seed)
        address = mutate_text(ADDRESSES[seed % len(ADDRESSES)].encode(), seed)
        headers = {name: rng.choice(HEADER_VALUES) for name in rng.sample(HEADERS, 2)}
        with told(seed):
            answer = client.open(
                quote(b"/" + address.lstrip(b"/"), safe="/?=&%:,+-"), method=rng.choice(METHODS), headers=headers,
                data=rng.choice([b"", b"{}", b"\xff\0"]),
            )  # fmt: skip
            check(answer, seed, caplog)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: [], "its body is no JSON object"),
        (lambda body: {}, "there is no output 'None'"),
        (lambda body: body | {"output": "url.search"}, "there is no output 'url.search'"),
        (lambda body: body | {"outputs": body["outputs"][:2]}, "its outputs are not those of the output it names"),
        (lambda body: body | {"inputs": []}, "its inputs must be selection.data, changed.data"),
        (lambda body: body | {"state": [*reversed(body["state"])]}, "its state must be step.data, theme.data"),
        (lambda body: body | {"changedPropIds": 3}, "changedPropIds is no list of texts"),
        (
            lambda body: body | {"state": [body["state"][0] | {"value": "last"}, body["state"][1]]},
            "step.data is no whole number",
        ),
    ],
)  # fmt: skip
def test_what_no_page_sends_is_told(client: FlaskClient, change: Any, said: str) -> None:
    body = next(one for one in wanted_of(client) if one["output"].startswith("..main"))
    answer = client.post("/_dash-update-component", json=change(body))
    assert (answer.status_code, answer.text) == (
        400,
        f"This request is none of this app's pages: {said}; load the page again.\n",
    )


def test_bodies_that_are_no_json_are_told(client: FlaskClient) -> None:
    answer = client.post("/_dash-update-component", data="x")
    assert (answer.status_code, answer.text) == (
        415,
        "This address takes JSON, with Content-Type: application/json.\n",
    )
    deep = client.post(
        "/_dash-update-component", data=b'{"a":' + b"[" * 100_000, content_type="application/json"
    )
    assert (deep.status_code, deep.text) == (
        400,
        "The body of this request is nested too deep to be read.\n",
    )
    wrong = client.get("/_dash-update-component")
    assert wrong.status_code in (200, 405)
    put = client.put("/_dash-update-component", json={})
    assert put.status_code == 405
    assert "POST" in put.headers["Allow"]
