"""The part of the gateway's REST API that its script uses: POST of AE titles, sources, destinations; C-ECHO."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pynetdicom import AE
from pynetdicom.sop_class import Verification

from maps.hosts.gateway_rules import destination_errors, scp_errors, source_errors

CHECKS = {"ae": scp_errors, "source": source_errors, "destination": destination_errors}


class Rest:
    """A running API and what was registered: by kind and name."""

    def __init__(self, port):
        self.entities = {kind: {} for kind in CHECKS}
        self.titles = {}  # by AE title
        self.url = f"http://127.0.0.1:{port}"
        self.server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (Handler,), {"rest": self}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def register(self, kind, body):
        """Register an entity as POST does; return the HTTP status."""
        if CHECKS[kind](body):
            return 400
        name = body.get("name") or body["aeTitle"]
        if name in self.entities[kind] or (kind == "ae" and body["aeTitle"] in self.titles):
            return 409
        self.entities[kind][name] = body
        if kind == "ae":
            self.titles[body["aeTitle"]] = {"grouping": "0020,000D", "timeout": 5, "workflows": [], **body}
        return 201

    def echo(self, name):
        """Whether a destination answers C-ECHO."""
        destination = self.entities["destination"].get(name)
        if destination is None:
            return 404
        ae = AE("MONAISCU")
        ae.add_requested_context(Verification)
        association = ae.associate(destination["hostIp"], destination["port"], ae_title=destination["aeTitle"])
        if not association.is_established:
            return 502
        status = association.send_c_echo()
        association.release()
        return 200 if status and status.Status == 0 else 502

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers as the gateway does, without its bodies."""

    rest: Rest

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.rest.register(self.path.removeprefix("/config/"), body))

    def do_GET(self):
        self._answer(self.rest.echo(self.path.removeprefix("/config/destination/cecho/")))

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass
