"""A build that fails or is ended says why in one line, and takes away what it began."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imaging.outcome import TerminatedError
from maps.engine import Engine
from maps.failures import BuildError
from maps.run_build import Leftovers, explain, interruptible, run_logged
from maps.save import save_image
from tests.maps.fake_engine import fake_engine


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("map-build: the base has no python3", r"failed: the base has no python3\. Name another base"),
        ("map-build: the base needs Python 3.11, it has 3.9", r"needs Python 3\.11, it has 3\.9\. Name another base"),
        (
            r"unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no such file or directory: unknown",
            r"failed: the base has no shell, and no Python\. Name another base",
        ),
        ("fork/exec /bin/sh: no such file or directory", "failed: the base has no shell"),
        ("cp: /bin/ship: no such file or directory", "exit code 7: cp"),
        ("write /x: no space left on device", "No space is left where images are kept"),
        ("OSError: [Errno 28] No space left on device", "No space is left where images are kept"),
        ("something else", "exit code 7: something else"),
    ],
)
def test_one_message_says_why(tmp_path, said, message):
    log = tmp_path / "build.log"
    command = ["sh", "-c", f"echo first; echo '{said}'; exit 7"]

    with pytest.raises(BuildError, match=message):
        run_logged(command, log, {"PATH": "/usr/bin:/bin"})

    assert said in log.read_text()


def test_a_silent_failure_is_said_too(tmp_path):
    (tmp_path / "log").write_text("")

    assert "no output" in explain(tmp_path / "log", 1, "here")


def test_the_step_that_would_print_a_message_is_not_the_message(tmp_path):
    (tmp_path / "log").write_text('STEP 6: RUN x || { echo "map-build: the base has no python3" >&2; }\nError: other\n')

    assert "Error: other" in explain(tmp_path / "log", 1, "here")


def test_a_signal_ends_the_engine_and_its_children(tmp_path):
    script = (
        "from pathlib import Path\n"
        "from maps.run_build import interruptible, run_logged\n"
        "with interruptible():\n"
        f"    run_logged(['sh', '-c', 'sleep 60 & echo $! > {tmp_path}/child; wait'], Path('{tmp_path}/log'), {{}})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    while not (tmp_path / "child").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)

    child = (tmp_path / "child").read_text().strip()
    assert "TerminatedError: Ended by SIGTERM" in said
    assert not Path(f"/proc/{child}/status").exists() or "zombie" in Path(f"/proc/{child}/status").read_text()


def test_handlers_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)

    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
        with pytest.raises(TerminatedError, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


@pytest.mark.parametrize("name", ["buildah", "podman", "docker"])
def test_containers_that_were_begun_are_removed_and_others_stay(on_path, tmp_path, name):
    listed = tmp_path / "listed"
    listed.write_text("old\n")
    body = f'case "$1" in containers|ps) cat {listed} ;; rm) sed -i /new/d {listed} ;; images) echo image ;; esac'
    log = fake_engine(on_path, name, body)
    leftovers = Leftovers(Engine(name), "number")
    listed.write_text("old\nnew\n")

    leftovers.remove()

    asked = log.read_text().splitlines()
    removed = [line.split()[-1] for line in asked if line.split()[1] == "rm"]
    assert removed == ["new"]
    assert any("label=map.build=number" in line and ("prune" in line or "images" in line) for line in asked)


def test_an_archive_appears_whole_with_its_hash(on_path, tmp_path):
    fake_engine(on_path, "buildah", 'target=${4#oci-archive:}; printf abc > "${target%%:*}"')

    saved = save_image(Engine("buildah"), "localhost/map-suite/spine:1.0", tmp_path)

    digest, name = saved.with_name(f"{saved.name}.sha256").read_text().split()
    assert (saved.name, name) == ("map-spine-1.0.oci.tar", "map-spine-1.0.oci.tar")
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc": FIPS 180-2, B.1
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".sha256", ".tar"]


def test_an_archive_that_fails_leaves_nothing_but_its_log(on_path, tmp_path):
    body = 'target=${4#oci-archive:}; printf ab > "${target%%:*}"; echo "no space left on device"; exit 1'
    fake_engine(on_path, "buildah", body)
    (tmp_path / "archives").mkdir()

    with pytest.raises(BuildError, match=rf"No space is left in {tmp_path}/archives"):
        save_image(Engine("buildah"), "localhost/map-suite/spine:1.0", tmp_path / "archives")

    assert [path.name for path in (tmp_path / "archives").iterdir() if not path.name.startswith(".")] == []
