import http.client
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from pacs.orthanc import Orthanc
from pacs.ports import LOOPBACK, free_port
from pacs.serve import HEADERS, serve_viewer


class Recorder(BaseHTTPRequestHandler):
    """Stands for Orthanc: says what it was asked."""

    def do_GET(self):
        asked = json.dumps({"path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(206)
        self.send_header("Content-Type", "multipart/related")
        self.send_header("Set-Cookie", "secret")
        self.end_headers()
        self.wfile.write(asked)

    def log_message(self, *args):
        pass


@contextmanager
def recorder():
    with HTTPServer((LOOPBACK, 0), Recorder) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def viewer(tmp_path):
    """Address of a viewer of two files before an Orthanc that says what it was asked."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "index.html").write_text("the page")
    (folder / "decode.wasm").write_bytes(b"wasm")
    (tmp_path / "private.txt").write_text("not the viewer's")
    with recorder() as port, serve_viewer(folder, Orthanc(port, 0, "secret"), 0) as address:
        yield address.removeprefix("http://").rstrip("/")


def get(address, path, method="GET", **headers):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize("path", ["/", "/viewer?StudyInstanceUIDs=1.2.3", "/../private.txt", "/%2e%2e/private.txt"])
def test_what_is_no_file_of_the_viewer_is_its_page(viewer, path):
    answer, content = get(viewer, path)

    assert (answer.status, content) == (200, b"the page")


def test_every_answer_isolates_the_page_and_lets_nothing_leave(viewer):
    for path in ("/", "/decode.wasm", "/dicom-web/studies"):
        answer, _ = get(viewer, path)
        assert HEADERS.items() <= dict(answer.getheaders()).items()
    assert "'self'" in HEADERS["Content-Security-Policy"]


def test_web_assembly_has_its_type(viewer):
    answer, _ = get(viewer, "/decode.wasm")

    assert answer.getheader("Content-Type") == "application/wasm"


def test_the_configuration_is_ours(viewer):
    _, content = get(viewer, "/app-config.js")

    assert b"'/dicom-web'" in content


def test_dicomweb_is_passed_on_with_the_password_which_the_browser_never_sees(viewer):
    answer, content = get(viewer, "/dicom-web/studies?limit=1", Accept="application/dicom+json", Cookie="theirs")
    asked = json.loads(content)

    assert asked["path"] == "/dicom-web/studies?limit=1"
    assert asked["headers"]["Authorization"] == Orthanc(0, 0, "secret").authorization
    assert asked["headers"]["Accept"] == "application/dicom+json"
    assert asked["headers"]["Host"] == viewer
    assert "Cookie" not in asked["headers"]
    assert answer.status == 206
    assert answer.getheader("Content-Type") == "multipart/related"
    assert answer.getheader("Set-Cookie") is None


@pytest.mark.parametrize("headers", [{"Host": "rebound.example"}, {"Origin": "http://elsewhere.example"}])
@pytest.mark.parametrize("path", ["/dicom-web/studies", "/"])
def test_pages_of_other_addresses_are_refused(viewer, path, headers):
    answer, _ = get(viewer, path, **headers)

    assert answer.status == 403


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_nothing_is_written_through_the_viewer(viewer, method):
    answer, _ = get(viewer, "/dicom-web/studies", method)

    assert answer.status == 501


def test_a_pacs_that_is_gone_is_a_bad_gateway(tmp_path):
    with serve_viewer(tmp_path, Orthanc(free_port(0), 0, "secret"), 0) as address:
        answer, _ = get(address.removeprefix("http://").rstrip("/"), "/dicom-web/studies")

    assert answer.status == 502
