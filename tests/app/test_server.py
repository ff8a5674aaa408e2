"""Who is answered and what: Host, token, headers, strange addresses."""

import json
import random
import socket

import pytest
from typer.testing import CliRunner
from workbench_app.index import RunIndex
from workbench_app.server import make_app, make_http_server

from tests.app.made_runs import make_run
from workbench.cli import app as cli
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


def write(client, **headers):
    """The status and the sentence of a request that a page sends."""
    answer = client.post("/_dash-update-component", json={}, headers=headers)
    return answer.status_code, answer.text


PROXIES = {
    "no proxy": {"Host": "127.0.0.1:8050", "Origin": "http://127.0.0.1:8050"},
    "nginx, Host is the upstream's": {"Host": "127.0.0.1:8050", "Origin": "https://lab.example"},
    "nginx, the port dropped": {"Host": "localhost", "Origin": "https://localhost:8443"},
    "codespace": {"Host": "localhost:8050", "Origin": "https://x-8050.app.example"},
}


@pytest.mark.parametrize("name", PROXIES)
def test_behind_proxies_the_page_may_write(client, runs_folder, name):
    """By the browser's word, by the proxy's, or by --origin; without any of them it is told what to set."""
    headers = PROXIES[name]
    assert (
        write(client, **headers, **{"Sec-Fetch-Site": "same-origin"})[0] == 400
    )  # let in: its empty body is refused
    origin = headers["Origin"]
    assert write(client, **headers, **{"X-Forwarded-Host": origin.split("//")[1]})[0] == 400
    started = make_app(runs_folder, origins=[origin]).server.test_client()
    assert write(started, **headers)[0] == 400
    status, said = write(client, **headers)
    if name == "no proxy":
        assert status == 400
    else:
        assert (status, said) == (
            403,
            f"A page of {origin} may not write here; if that is where you opened the app, behind a proxy, start it "
            "with --origin and that address.\n",
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "http://[::"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.example", "Origin": "http://evil.example", "X-Forwarded-Host": "localhost"},
    ],
)
def test_no_other_page_may_write(client, headers):
    assert write(client, **headers)[0] == 403


def test_a_host_that_a_proxy_passes_on_is_answered_where_it_was_named(client, runs_folder):
    refused = client.get("/", headers={"Host": "lab.example"})
    assert refused.status_code == 403
    assert "behind a proxy, start it with --origin and the address that browsers open" in refused.text
    named = make_app(runs_folder, origins=["https://lab.example"]).server.test_client()
    assert named.get("/", headers={"Host": "lab.example"}).status_code == 200
    assert named.get("/", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["lab.example", "https://lab.example/app", "file:///x", "https://[::", "", "https://h:x"]
)
def test_an_origin_is_an_address(runs_folder, origin):
    with pytest.raises(WorkbenchError, match="expected where a browser opens the app, scheme and host"):
        make_app(runs_folder, origins=[origin])


@pytest.mark.parametrize("token", ["Ab+c/d==", "a b&c=#?%25", "ünï☃", "💥", "'\"\\;,", "\x7f\x01"])
def test_a_token_of_any_characters_opens_the_app(runs_folder, monkeypatch, token):
    """The printed link, as a browser would send it."""
    served = {}
    monkeypatch.setattr(
        "workbench_app.server.serve", lambda app, host, port, ready: (served.update(app=app), ready(8050))
    )
    said = CliRunner().invoke(cli, ["ui", str(runs_folder), "--no-browser", "--token", token])
    assert said.exit_code == 0, said.output
    link = said.output.split(" at ")[1].split(" (Ctrl-C")[0]
    assert link.isascii()
    client = served["app"].server.test_client()
    traded = client.get(link.removeprefix("http://127.0.0.1:8050"))
    assert traded.status_code == 302
    assert traded.headers["Location"] == "/"
    assert client.get("/").status_code == 200


def test_two_apps_of_one_host_keep_their_tokens(runs_folder):
    """Browsers keep the cookies of a host's ports together."""
    one, two = (make_app(runs_folder, token=token).server.test_client() for token in ("one", "two"))
    names = [
        client.get(f"/?token={t}").headers["Set-Cookie"].split("=")[0]
        for client, t in ((one, "one"), (two, "two"))
    ]
    assert names[0] != names[1]


@pytest.mark.parametrize(("token", "words"), [("", "is empty"), ("  ", "is empty"), ("\udcff", "no UTF-8")])
def test_a_token_that_protects_nothing_is_refused(runs_folder, token, words):
    with pytest.raises(WorkbenchError, match=words):
        make_app(runs_folder, token=token)


def test_a_traded_token_leads_to_no_other_site(runs_folder):
    client = make_app(runs_folder, token="s3cret").server.test_client()
    traded = client.get("/?token=s3cret", environ_overrides={"PATH_INFO": "//evil.example/"})
    assert traded.headers["Location"] == "/evil.example/"


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "Cannot assign requested address"), ("no-such-host.invalid", "[Nn]ame"), ("a" * 70, "")],
)
@pytest.mark.parametrize("port", [0, 8050])
def test_an_address_that_cannot_be_had_says_the_systems_reason(runs_folder, host, reason, port):
    app = make_app(runs_folder, host=host, token="t")
    with pytest.raises(
        WorkbenchError, match=rf"Cannot listen on {host}, port {port}: .*{reason}.*; choose an address"
    ):
        make_http_server(app, host, port)


def test_a_port_that_is_taken_is_named(runs_folder):
    app = make_app(runs_folder)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            WorkbenchError, match=f"Port {port} of 127.0.0.1 is taken; choose another with --port"
        ):
            make_http_server(app, "127.0.0.1", port)


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
            answer = draw_page(client, f"/{page}?{query}", rng.choice([None, 0, 64, -5, 10**30]))
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


def test_a_run_whose_name_is_no_utf8_is_answered_like_any_other(tmp_path):
    """Such names come from old disks; a refusal that holds one is sent all the same."""
    make_run(tmp_path, "plain").path.rename(tmp_path / "r\udce9sum\udce9")
    client = make_app(tmp_path).server.test_client()
    (run,) = RunIndex(tmp_path).entries()
    refused = client.get(f"/cases/{run}.csv")
    assert refused.status_code == 409
    assert refused.text.startswith(f"{tmp_path}/r?sum? has no cases")
    assert (
        client.get("/_dash-layout", headers={"Referer": f"http://localhost/runs?runs={run}"}).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("https://lab.example:443/", "https://lab.example"),
        ("http://lab.example:80", "http://lab.example"),
        ("https://LAB.example:8443", "https://lab.example:8443"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("http://[::1]:8050", "http://[::1]:8050"),
    ],
)
def test_an_origin_is_what_a_browser_names(runs_folder, given, named):
    client = make_app(runs_folder, origins=[given]).server.test_client()
    assert write(client, Origin=named)[0] == 400  # let in, and no request of the page's
