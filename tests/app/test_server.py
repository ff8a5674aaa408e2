"""Who is answered and what: Host, token, headers, strange addresses."""

import json
import random

import pytest
from workbench_app.server import make_app

from workbench.errors import WorkbenchError


@pytest.fixture(scope="module")
def client(runs_folder):
    return make_app(runs_folder).server.test_client()


def draw_page(client, selection, step=None, prefix=""):
    """What the page callback answers for the `selection` store."""
    outputs = [
        {"id": name, "property": prop}
        for name, prop in (("main", "children"), ("frames", "data"), ("resolved", "data"), ("seen", "data"))
    ]
    body = {
        "output": "..main.children...frames.data...resolved.data...seen.data..",
        "outputs": outputs,
        "inputs": [
            {"id": "selection", "property": "data", "value": selection},
            {"id": "changed", "property": "data", "value": None},
        ],
        "state": [
            {"id": "step", "property": "data", "value": step},
            {"id": "theme", "property": "data", "value": "light"},
        ],
        "changedPropIds": ["selection.data"],
    }
    return client.post(f"{prefix}/_dash-update-component", json=body)


def test_every_answer_is_sealed(client):
    answer = client.get("/p-probe")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "https://" not in answer.text.replace("https://www.w3.org", "")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example", "[::", ""])
def test_another_host_name_is_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8050", "localhost", "[::1]:8050"])
def test_this_machines_names_are_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_another_sites_page_cannot_write(client):
    assert (
        client.post("/_dash-update-component", json={}, headers={"Origin": "http://evil.example"}).status_code
        == 403
    )


def test_a_reachable_host_needs_a_token(runs_folder):
    with pytest.raises(WorkbenchError, match="needs --token"):
        make_app(runs_folder, host="0.0.0.0")
    client = make_app(runs_folder, host="0.0.0.0", token="s3cret").server.test_client()
    assert client.get("/p-probe").status_code == 401
    assert client.get("/p-probe?token=wrong").status_code == 401
    traded = client.get("/p-probe?token=s3cret&runs=single")
    assert traded.status_code == 302
    assert traded.headers["Location"].endswith("/p-probe?runs=single")
    assert "HttpOnly" in traded.headers["Set-Cookie"]
    assert client.get("/p-probe").status_code == 200


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(WorkbenchError, match="There is no folder"):
        make_app(tmp_path / "nothing")


def test_a_prefix_for_proxies(runs_folder):
    client = make_app(runs_folder, url_prefix="tools/workbench").server.test_client()
    page = client.get("/tools/workbench/p-probe")
    assert page.status_code == 200
    assert "/tools/workbench/_dash-component-suites" in page.text
    assert client.get("/tools/workbench/download/single/p-embedding.csv").status_code == 200
    assert (
        draw_page(client, "/tools/workbench/p-probe?runs=single", prefix="/tools/workbench").status_code
        == 200
    )


@pytest.mark.parametrize(
    "path",
    [
        "/download/../p-embedding.csv",
        "/download/..%2f..%2fetc/passwd",
        "/download/single/..%2f..%2frecipe.toml",
        "/download/single/p-embedding.exe",
        "/download/single/p-nothing.csv",
        "/download/%2e%2e/p-embedding.csv",
        "/assets/..%2fserver.py",
        "/assets/../server.py",
        "/_dash-component-suites/dash/..%2f..%2fetc%2fpasswd",
    ],
)
def test_paths_that_try_to_leave_find_nothing(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404) or "_dash-config" in answer.text
    assert "def make_app" not in answer.text
    assert "root:" not in answer.text


def test_a_thousand_malformed_addresses(client):
    """Random queries for every page: always a page, never a traceback."""
    rng = random.Random(0)
    pages = [
        "runs",
        "p-probe",
        "q-probe",
        "layers",
        "training",
        "entity",
        "paper",
        "attention",
        "nothing",
        "../..",
        "%00",
    ]
    keys = [
        "runs",
        "step",
        "metric",
        "set",
        "layer",
        "target",
        "position",
        "entity",
        "form",
        "baseline",
        "arm",
        "cell",
        "x",
    ]
    values = [
        "",
        "-1",
        "9" * 40,
        "../../etc/passwd",
        "single",
        "%",
        "\0",
        "<script>",
        "💥",
        "single,single,nope",
        "a:b:c",
        "NaN",
        "1e9",
    ]
    for number in range(1000):
        page = rng.choice(pages)
        query = "&".join(f"{rng.choice(keys)}={rng.choice(values)}" for _ in range(rng.randrange(4)))
        if number % 40:
            answer = client.get(f"/{page}?{query}")
            assert answer.status_code in (200, 308), (page, query)
        else:
            answer = draw_page(client, f"/{page}?{query}", rng.choice([None, 0, 64, -5, "x", 10**30]))
            assert answer.status_code == 200, (page, query, answer.text)
            assert "This page failed" not in answer.text, (page, query, answer.text[:2000])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"output": 5}', b"\xff" * 100])
def test_malformed_posts_are_one_sentence(client, body):
    answer = client.post("/_dash-update-component", data=body, content_type="application/json")
    assert answer.status_code >= 400
    assert "Traceback" not in answer.text


def test_downloads_hold_every_cell(client):
    rows = json.loads(client.get("/download/single/p-embedding.json").text)["rows"]
    assert len(rows) == 5 * 6 * 11
    assert client.get("/download/single/p-embedding.csv").text.startswith("run,kind,family")
