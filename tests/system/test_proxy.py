"""docs/nginx.conf in a real nginx: it refuses requests without a password, and those of links and forms of other sites.

The server behind it answers everything, so a refusal always comes from the proxy.
"""

import base64
import http.client
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from support.served import free_port

from atlas_resources.files.project import PROJECT_ROOT

NGINX = shutil.which("nginx")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(NGINX is None, reason="no nginx on the PATH"),
]

PAGE = {"Authorization": "Basic " + base64.b64encode(b"ada:plates").decode(), "Origin": "https://atlas.example.org"}
JSON = {"Content-Type": "application/json"}


class Answering(BaseHTTPRequestHandler):
    """Answers every request with its method and path, and the Authorization header if it has one."""

    def do_GET(self) -> None:
        content = f"{self.command} {self.path} {self.headers.get('Authorization', 'no password')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def write_config(folder: Path, port: int, behind: int) -> Path:
    """The documented file, changed to loopback, without TLS, on another port."""
    (folder / "htpasswd").write_text("ada:{PLAIN}plates\n")
    text = (PROJECT_ROOT / "docs" / "nginx.conf").read_text()
    swaps = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        "ssl_certificate     /etc/nginx/atlas.crt;": "",
        "ssl_certificate_key /etc/nginx/atlas.key;": "",
        "/etc/nginx/atlas.htpasswd": str(folder / "htpasswd"),
        "http://127.0.0.1:3000": f"http://127.0.0.1:{behind}",
    }
    for old, new in swaps.items():
        assert old in text
        text = text.replace(old, new)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{text}\n}}\n"
    )
    return config


@pytest.fixture(scope="module")
def proxy(tmp_path_factory) -> Iterator[int]:
    """The proxy's port."""
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    behind = HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=behind.serve_forever, daemon=True).start()
    config = write_config(folder, port, behind.server_port)
    process = subprocess.Popen([str(NGINX), "-e", folder / "error.log", "-c", config])
    try:
        deadline = time.monotonic() + 30
        while not is_listening(port):
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
        behind.shutdown()
        behind.server_close()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """The status and the text of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body="{}" if method != "GET" else None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_the_sites_own_pages_may_query_and_load(proxy):
    assert ask(proxy, "POST", "/graphql", {**PAGE, **JSON}) == (200, "POST /graphql no password")
    assert ask(proxy, "GET", "/assets/plate/manifest?view=partitions", PAGE)[0] == 200


def test_the_sites_own_websocket_is_allowed(proxy):
    assert ask(proxy, "GET", "/graphql", {**PAGE, "Upgrade": "websocket", "Connection": "Upgrade"})[0] == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/graphql"), ("GET", "/"), ("GET", "/graphql?query={x}")])
def test_a_request_without_a_password_is_refused(proxy, method, path):
    assert ask(proxy, method, path, {"Origin": PAGE["Origin"], **JSON})[0] in (401, 403)


@pytest.mark.parametrize("path", ["/graphql?query=mutation{x}", "//graphql?query=mutation{x}", "/%67raphql?query={x}"])
def test_a_link_executes_nothing(proxy, path):
    no_origin = {"Authorization": PAGE["Authorization"]}
    assert ask(proxy, "GET", path, no_origin)[0] == 403
    assert ask(proxy, "GET", path, {**no_origin, "Accept": "text/html"})[0] == 403
    assert ask(proxy, "GET", path, PAGE)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {**JSON},
        {**JSON, "Origin": "https://elsewhere.example.org"},
        {**JSON, "Origin": "https://atlas.example.org.elsewhere.org"},
        {**JSON, "Origin": "null"},
        {"Content-Type": "text/plain", "Origin": PAGE["Origin"]},
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": PAGE["Origin"]},
    ],
)
def test_a_form_of_another_site_executes_nothing(proxy, headers):
    asked = {"Authorization": PAGE["Authorization"], **headers}
    assert ask(proxy, "POST", "/graphql?query=mutation{x}", asked)[0] == 403


def test_a_websocket_of_another_site_is_refused(proxy):
    headers = {**PAGE, "Upgrade": "websocket", "Connection": "Upgrade", "Origin": "https://elsewhere.example.org"}
    assert ask(proxy, "GET", "/graphql", headers)[0] == 403


@pytest.mark.parametrize("path", ["/report_asset_materialization/catalogue", "/report_asset_check/catalogue", "/"])
def test_events_from_outside_a_run_are_refused(proxy, path):
    for method in ("POST", "PUT", "DELETE"):
        assert ask(proxy, method, path, {**PAGE, **JSON})[0] == 403
