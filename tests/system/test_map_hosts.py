"""Images run as their hosts run them: the Workflow Manager's Docker plug-in, Argo, mercure, a careful shell."""

import json
import shutil
import time

import pydicom
import pytest

from cli.expectations import CHECKS
from imaging.model_package import sha256_of
from maps.describe_app import describe_app
from tests.emulation import plug_in
from tests.emulation.stored_study import as_gateway
from tests.system.command import VERDICT, copy_of, monai_deploy
from tests.system.map_images import APPS, image_of

pytestmark = [pytest.mark.system, pytest.mark.servers]
SMALL_STACK = [{"Name": "stack", "Soft": 8 << 20, "Hard": 8 << 20}]


@pytest.fixture(scope="module")
def gateway_study(small, tmp_path_factory):
    """The small head study as a gateway stores it."""
    return as_gateway(small, tmp_path_factory.mktemp("gateway"))


def contents(folder):
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("app", APPS)
def test_the_plug_in_gets_the_results_of_each_image_in_time(docker, app, tmp_path):
    """B3, B9: the phantom's, with the memory, the time and the processors that are stated for the application."""
    made = monai_deploy("sample", app, tmp_path / "sample")
    assert made.code == 0, made.stderr
    study = as_gateway(tmp_path / "sample", tmp_path / "gateway")
    before, needs = contents(study), describe_app(app).deployment
    limits = {"Memory": needs.memory_mib << 20, "MemorySwap": needs.memory_mib << 20, "NanoCpus": needs.cpu * 10**9}

    started = time.monotonic()
    ended = plug_in.run(docker.load(app), study, tmp_path / "task", host=limits)
    seconds = time.monotonic() - started

    assert ended.code == 0, ended.said
    assert set(needs.always_writes) <= set(ended.files)
    assert list(CHECKS[app](json.loads((ended.output / "metadata.json").read_text())["measurements"])) == []
    assert seconds < needs.timeout_s
    assert contents(tmp_path / "task/inputs/input-dicom") == before


def test_the_plug_in_may_give_any_user_and_the_smallest_limits(docker, gateway_study, tmp_path):
    """B4, B5: a user without name and home, 64 MB of shared memory, 8 MB of stack, a read-only root."""
    host = {"ReadonlyRootfs": True, "Tmpfs": {"/tmp": ""}, "ShmSize": 64 << 20, "Ulimits": SMALL_STACK}  # noqa: S108
    image = docker.load("skull_strip")

    ended = plug_in.run(image, gateway_study, tmp_path, user="4321:4321", host=host)

    assert ended.code == 0, ended.said
    assert "seg.dcm" in ended.files


def test_a_mount_over_the_working_folder_does_no_harm(docker, gateway_study, tmp_path):
    """The plug-in mounts a folder where env_MONAI_WORKDIR points: over the image's own files."""
    (tmp_path / "temp").mkdir(mode=0o777)
    host = {"Binds": [f"{tmp_path / 'temp'}:/var/holoscan"]}

    ended = plug_in.run(docker.load("skull_strip"), gateway_study, tmp_path / "task", host=host)

    assert ended.code == 0, ended.said


@pytest.fixture
def unsuitable(tmp_path):
    """Each study no image must make results of, by the exit code it ends in."""

    def write(kind, small):
        study = copy_of(small, tmp_path / "study")
        files = sorted(path for path in study.rglob("*") if path.is_file())
        if kind == "empty":
            for path in files:
                path.unlink()
        for path in files if kind == "other modality" else ():
            header = pydicom.dcmread(path)
            header.Modality = "US"
            header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
            header.save_as(path)
        if kind == "cut short":
            content = files[len(files) // 2].read_bytes()
            files[len(files) // 2].write_bytes(content[: len(content) - 500])
        return study

    return write


@pytest.mark.parametrize(("kind", "code"), [("empty", 3), ("other modality", 3), ("cut short", 4)])
def test_a_failure_is_an_exit_code_a_message_and_an_empty_folder(docker, small, unsuitable, tmp_path, kind, code):
    """B7, B8: past the entry point as the plug-in runs it, and through it."""
    image, study = docker.load("skull_strip"), unsuitable(kind, small)
    output = tmp_path / "output"
    output.mkdir(mode=0o777)
    output.chmod(0o777)

    plugged = plug_in.run(image, study, tmp_path / "task")
    started = docker(
        "run", "--rm", "-v", f"{study}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output", image
    )

    assert (plugged.code, plugged.files) == (code, [])
    assert (started.returncode, list(output.iterdir())) == (code, [])
    assert started.stderr.strip()
    assert started.stderr.strip().splitlines()[-1] in plugged.said


def test_an_operator_that_raises_ends_in_1(docker, small, tmp_path):
    """B7e: an error nobody foresaw, in the middle of the graph."""
    broken = tmp_path / "keep_largest.py"
    broken.write_text("def keep_largest(*_, **__):\n    raise LookupError('unforeseen')\n")
    place = "/opt/holoscan/app/imaging/keep_largest.py"
    host = {"Binds": [f"{broken}:{place}:ro"]}

    image = docker.load("skull_strip")
    ended = plug_in.run(image, small, tmp_path / "task", host=host, env_PYTHONPYCACHEPREFIX="/tmp/none")  # noqa: S108

    assert (ended.code, ended.files) == (1, []), ended.said
    assert "internal error" in ended.said


def test_a_terminated_container_leaves_no_result(docker, small, tmp_path):
    """B7f: docker stop in the middle of a run."""
    output = tmp_path / "output"
    output.mkdir()
    output.chmod(0o777)
    name = f"map-test-{tmp_path.name}"
    mounts = ("-v", f"{small}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output")
    docker("run", "-d", "--name", name, *mounts, docker.load("skull_strip"), check=True)
    try:
        until = time.monotonic() + 30
        while not (output / ".partial").exists() and time.monotonic() < until:
            time.sleep(0.02)
        docker("stop", "--time", "20", name, check=True)
        code = docker("inspect", "--format", "{{.State.ExitCode}}", name, check=True).stdout.strip()
    finally:
        docker("rm", "--force", name)

    assert code == "143"
    assert [path for path in output.rglob("*") if path.suffix == ".dcm"] == []


def test_a_container_that_is_killed_for_its_memory_leaves_an_empty_folder(docker, small, tmp_path):
    """The kernel kills the run in the middle of the graph; the small process that watches over it clears the stage."""
    host = {"Memory": 160 << 20, "MemorySwap": 160 << 20}

    ended = plug_in.run(docker.load("skull_strip"), small, tmp_path / "task", host=host)

    assert (ended.code, ended.files) == (137, [])
    assert "Killed by signal 9" in ended.said


def test_argo_reads_the_exit_code_and_the_verdict(docker, small, unsuitable, tmp_path):
    """B10: a command in place of the entry point, a writable input, the code of the shell."""
    image = docker.load("skull_strip")
    results = {}
    for name, study in (("good", copy_of(small, tmp_path / "copy")), ("bad", unsuitable("empty", small))):
        output = tmp_path / name
        output.mkdir()
        output.chmod(0o777)
        command = ["run", "--rm", "--entrypoint", "/bin/bash", "--env", "MAP_EMPTY_ON_FAILURE=0"]
        command += ["-v", f"{study}:/var/holoscan/input", "-v", f"{output}:/var/holoscan/output", image]
        ended = docker(*command, "-c", "python3 -u /opt/holoscan/app/")
        results[name] = ended.returncode, isinstance(json.loads((output / "metadata.json").read_text()), dict)

    assert results == {"good": (0, True), "bad": (3, True)}
    assert sorted(path.name for path in (tmp_path / "bad").iterdir()) == VERDICT


@pytest.mark.parametrize("user", ["0:0", "4711:4711"])
def test_mercure_finds_the_map_and_runs_its_command(docker, small, tmp_path, user):
    """As mercure does: the manifest read by cat, its command split at blanks, its variables, no network, no rights."""
    image = docker.load("skull_strip")
    manifest = docker("run", "--rm", "--entrypoint", "", image, "cat", "/etc/monai/app.json", check=True).stdout
    output = tmp_path / "out"
    output.mkdir()
    output.chmod(0o777)
    names = {"MERCURE_IN_DIR": "/tmp/data", "MERCURE_OUT_DIR": "/tmp/output"}  # noqa: S108  what mercure calls them
    names |= {"MONAI_INPUTPATH": "/tmp/data", "MONAI_OUTPUTPATH": "/tmp/output"}  # noqa: S108
    names |= {"HOLOSCAN_INPUT_PATH": "/tmp/data", "HOLOSCAN_OUTPUT_PATH": "/tmp/output"}  # noqa: S108
    command = ["run", "--rm", "--user", user, "--network", "none", "--cap-drop", "ALL", "--entrypoint", ""]
    command += [f"--env={name}={value}" for name, value in names.items()]
    command += ["-v", f"{small}:/tmp/data:ro", "-v", f"{output}:/tmp/output", image]

    ended = docker(*command, *json.loads(manifest)["command"].split())

    assert ended.returncode == 0, ended.stderr
    assert json.loads((output / "result.json").read_text())
    assert (output / "seg.dcm").exists()


def test_a_users_own_weights_take_the_place_of_the_images(docker, small, models, tmp_path):
    """A folder of models mounted over the image's, as -m takes one on the command line."""
    image, output = docker.load("skull_strip"), tmp_path / "out"
    output.mkdir()
    output.chmod(0o777)
    own = tmp_path / "models"
    shutil.copytree(models, own)
    own.chmod(0o755)
    record = json.loads((own / "skull_strip" / "metadata.json").read_text())
    (own / "skull_strip" / "metadata.json").write_text(json.dumps({**record, "version": "9.9.9"}))
    mounts = ["-v", f"{small}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output"]

    ended = docker("run", "--rm", *mounts, "-v", f"{own}:/opt/holoscan/models:ro", image)

    assert ended.returncode == 0, ended.stderr
    assert json.loads((output / "metadata.json").read_text())["model"]["version"] == "9.9.9"


def test_weights_that_are_not_the_recorded_ones_are_refused(docker, small, tmp_path):
    """A file mounted over the image's one, without a word in the metadata."""
    (tmp_path / "model.ts").write_bytes(b"something else")
    weights = f"{tmp_path / 'model.ts'}:/opt/holoscan/models/skull_strip/model.ts:ro"

    ended = docker("run", "--rm", "-v", f"{small}:/var/holoscan/input:ro", "-v", weights, docker.load("skull_strip"))

    assert ended.returncode == 5
    assert "SHA-256" in ended.stderr


def test_images_have_the_names_that_hosts_are_told():
    assert {image_of(app).partition(":")[0] for app in APPS} == {f"map-suite/{describe_app(app).name}" for app in APPS}
