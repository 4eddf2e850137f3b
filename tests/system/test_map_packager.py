"""The manifests of images, value by value, and those that Holoscan's own packager makes of the same application."""

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

from maps.describe_app import describe_app
from tests.system.map_images import APPS

pytestmark = [pytest.mark.system, pytest.mark.servers]
PACKAGER = "holoscan-cli==4.2.0"
"""The last release with a packager; it cannot be installed beside the command, whose name it takes."""
DRY_RUN = """
import json
import sys
from holoscan_cli.__main__ import parse_args
from holoscan_cli.packager.arguments import PackagingArguments

sys.argv[0] = "monai-deploy"  # by which it knows which SDK an application is of
made = PackagingArguments(parse_args(sys.argv), "/nowhere")
print(json.dumps({"app": made.application_manifest.data, "pkg": made.package_manifest.data}))
"""
"""What `monai-deploy package` does before it builds."""
DIFFERENCES = {
    # Unbuffered: otherwise the last words of a run that is killed are lost.
    "app.command": ('["python3", "/opt/holoscan/app"]', '["python3", "-u", "/opt/holoscan/app"]'),
    # A relative path would be that of whatever folder a host starts in.
    "app.environment.HOLOSCAN_INPUT_PATH": ("input/", "/var/holoscan/input"),
    "app.environment.HOLOSCAN_OUTPUT_PATH": ("output/", "/var/holoscan/output"),
    # It knows no platform of x86 without a GPU, although its own list of configurations has "cpu".
    "pkg.platformConfig": ("dgpu", "cpu"),
}
"""Where ours are another value, theirs first; every other value must be theirs, and each of these must differ."""


@pytest.fixture(scope="module")
def packager(tmp_path_factory):
    """A folder with the packager and what it imports."""
    folder = tmp_path_factory.mktemp("packager")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, PACKAGER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"{PACKAGER} cannot be had: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """The list of releases that it otherwise downloads; of it only that the installed release exists counts here."""
    version = importlib.metadata.version("holoscan-cu13")
    builds = {kind: {} for kind in ("igpu", "dgpu", "cpu")}
    images = {"base-images": {"dgpu": "any"}, "build-images": builds}
    holoscan = {"wheel-version": version, "debian-version": version, **images}
    file = tmp_path_factory.mktemp("releases") / "artifacts.json"
    file.write_text(json.dumps({version: {"holoscan": holoscan}}))
    return file


def values(manifest, path):
    """Each value of nested mappings by its path; an empty mapping is a value."""
    if not isinstance(manifest, dict) or not manifest:
        return {path: manifest}
    return {name: value for key in manifest for name, value in values(manifest[key], f"{path}.{key}").items()}


@pytest.mark.parametrize("app", APPS)
def test_manifests_are_those_of_the_packager(docker, packager, releases, tmp_path, app):
    """A5: it is given application, configuration and models as they come out of the image, and the time limit."""
    tmp_path.chmod(0o777)
    image, inside = docker.load(app), tmp_path / "inside"
    inside.mkdir(mode=0o777)
    inside.chmod(0o777)
    docker("run", "--rm", "-v", f"{inside}:/var/run/holoscan/export", image, "extract", check=True)
    ours = {name: json.loads((inside / f"config/{name}.json").read_text()) for name in ("app", "pkg")}

    command = ["package", inside / "app", "--config", inside / "config/app.yaml", "--models", inside / "models"]
    command += ["--platform", "x86_64", "--tag", "any:1", "--source", releases]
    command += ["--timeout", describe_app(app).deployment.timeout_s]
    environment = {**os.environ, "PYTHONPATH": str(packager)}
    done = subprocess.run(
        [sys.executable, "-c", DRY_RUN, *map(str, command)], env=environment, cwd=tmp_path, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])

    found = {name: value for kind in ours for name, value in values(ours[kind], kind).items()}
    wanted = {name: value for kind in theirs for name, value in values(theirs[kind], kind).items()}
    missing = object()
    different = {
        name: (value, found.get(name, missing)) for name, value in wanted.items() if value != found.get(name, missing)
    }
    assert different == DIFFERENCES
