"""The Engine API of docker over its socket: what the docker plug-in calls, and nothing that the command line adds."""

import http.client
import json
import os
import socket
from urllib.parse import urlsplit


class EngineError(Exception):
    """The engine refused; its message."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(method, path, body=None):
    """Return status and parsed answer."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    connection = _Connection(urlsplit(host).path)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/v1.41{path}", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise EngineError(f"{answer.status} {text.decode()}")
    return json.loads(text) if text and answer.getheader("Content-Type", "").startswith("application/json") else text


def create(name, body):
    """Create a container and return its id."""
    return call("POST", f"/containers/create?name={name}", body)["Id"]


def start(identity):
    call("POST", f"/containers/{identity}/start")


def state(identity):
    """State of a container: Status, ExitCode, FinishedAt and so on."""
    return call("GET", f"/containers/{identity}/json")["State"]


def output(identity):
    """What a container wrote to its streams, for messages of tests."""
    return call("GET", f"/containers/{identity}/logs?stdout=1&stderr=1").decode(errors="replace")


def remove(identity):
    call("DELETE", f"/containers/{identity}?force=1")


def run(body):
    """Run a container to its end and remove it; return exit code and output."""
    identity = call("POST", "/containers/create", body)["Id"]
    try:
        start(identity)
        code = call("POST", f"/containers/{identity}/wait")["StatusCode"]
        return code, output(identity)
    finally:
        remove(identity)
