"""The viewer's files and the PACS behind them, under one address on loopback.

The browser needs no password and no CORS: DICOMweb is passed on with the credentials. Reading alone is passed on, and
only to pages of this address, so that no other page that is open in the browser reads the PACS.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from pacs.failure import DemoError
from pacs.orthanc import Orthanc
from pacs.ports import LOOPBACK

PASSED_ON = ("/dicom-web/", "/wado")
ASKED = ("Accept", "Range")
ANSWERED = ("Content-Type", "Content-Range", "Content-Encoding")
CONFIG = Path(__file__).with_name("app-config.js")
TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}  # whatever the machine's own table says
HEADERS = {
    # Cross-origin isolation, which the viewer's shared memory needs.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing leaves this machine, whatever a viewer of a later version may ask for.
    "Content-Security-Policy": "default-src 'self' blob: data: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class ViewerHandler(SimpleHTTPRequestHandler):
    """Files of the viewer; its pages, which are all index.html; and DICOMweb."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, *args: Any, orthanc: Orthanc, port: int, **kwargs: Any) -> None:
        self.orthanc, self.port = orthanc, port
        self.extensions_map = {**self.extensions_map, **TYPES}
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        """Answer a page of this address."""
        if not self._is_ours():
            self.send_error(http.client.FORBIDDEN)
        elif self.path.startswith(PASSED_ON):
            self._pass_on()
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        """Return the file for a path; what is no file is a page of the viewer."""
        name = path.partition("?")[0]
        if name == f"/{CONFIG.name}":
            return str(CONFIG)
        file = Path(super().translate_path(name))
        return str(file if file.is_file() else Path(self.directory) / "index.html")

    def end_headers(self) -> None:
        """Add what every answer has."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named by the library
        """Say nothing: addresses hold UIDs."""

    def _is_ours(self) -> bool:
        """Return whether the request is for this address (another name may be a rebound one), and from its pages."""
        ours = {f"{name}:{self.port}" for name in (LOOPBACK, "localhost")}
        origin = self.headers.get("Origin")
        return self.headers.get("Host") in ours and (origin is None or origin.removeprefix("http://") in ours)

    def _pass_on(self) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self.orthanc.http_port, timeout=120)
        headers = {name: self.headers[name] for name in ASKED if name in self.headers}
        headers |= {"Authorization": self.orthanc.authorization, "Host": str(self.headers["Host"])}
        try:
            connection.request("GET", self.path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.send_error(http.client.BAD_GATEWAY)
            return
        finally:
            connection.close()
        self.send_response(answer.status)
        for name in ANSWERED:
            if value := answer.getheader(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """One thread for each connection; a browser that leaves is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: browsers end connections as they like."""


@contextmanager
def serve_viewer(folder: Path, orthanc: Orthanc, port: int) -> Iterator[str]:
    """Serve the viewer in a folder; give its address.

    port  on loopback; 0 takes a free one
    """

    def handler(*args: Any) -> ViewerHandler:
        return ViewerHandler(*args, directory=str(folder), orthanc=orthanc, port=server.server_port)

    try:
        server = Server((LOOPBACK, port), handler)
    except OSError as error:
        raise DemoError(f"Port {port} is in use. End what uses it, or choose another one: --port.") from error
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
