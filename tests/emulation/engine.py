"""The Engine API of docker over its socket: what the docker plug-in calls, and nothing that the command line adds."""

import contextlib
import http.client
import json
import os
import socket
from urllib.parse import urlencode, urlsplit

SECONDS = 600  # the longest run of an image, which one request waits for


class EngineError(Exception):
    """The engine refused; its message."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(method, path, body=None):
    """Return the answer of the engine that DOCKER_HOST names, parsed if it is JSON."""
    text, kind = _ask(method, path, body)
    return json.loads(text) if text and kind.startswith("application/json") else text


def pull(image):
    """Fetch an image from its registry; the answer begins with success, and one of its lines tells a failure."""
    for line in _ask("POST", f"/images/create?{urlencode({'fromImage': image})}")[0].splitlines():
        if error := json.loads(line).get("error"):
            raise EngineError(error)


def _ask(method, path, body=None):
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    content = None if body is None else json.dumps(body)
    with contextlib.closing(_Connection(urlsplit(host).path)) as connection:
        connection.request(method, f"/v1.41{path}", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    if answer.status >= 400:
        raise EngineError(f"{answer.status} {text.decode()}")
    return text, answer.getheader("Content-Type", "")


def has(image):
    """Whether an image is there."""
    try:
        call("GET", f"/images/{image}/json")
    except EngineError:
        return False
    return True


def create(name, body):
    """Create a container and return its id."""
    return call("POST", f"/containers/create?name={name}", body)["Id"]


def start(identity):
    call("POST", f"/containers/{identity}/start")


def wait(identity):
    """Exit code of a container, after its end."""
    return call("POST", f"/containers/{identity}/wait")["StatusCode"]


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
        return wait(identity), output(identity)
    finally:
        remove(identity)
