"""What an image holds, and what it must not hold; how it presents itself to hosts."""

import json

import pytest

from imaging.model_package import sha256_of
from maps.describe_app import describe_app
from tests.system.map_images import APPS, ROOT

pytestmark = [pytest.mark.system, pytest.mark.servers]
VARIABLES = {
    "HOLOSCAN_INPUT_PATH": "/var/holoscan/input",
    "HOLOSCAN_OUTPUT_PATH": "/var/holoscan/output",
    "HOLOSCAN_WORKDIR": "/var/holoscan",
    "HOLOSCAN_APPLICATION": "/opt/holoscan/app",
    "HOLOSCAN_TIMEOUT": "0",
    "HOLOSCAN_MODEL_PATH": "/opt/holoscan/models",
    "HOLOSCAN_DOCS_PATH": "/opt/holoscan/docs",
    "HOLOSCAN_CONFIG_PATH": "/var/holoscan/app.yaml",
    "HOLOSCAN_APP_MANIFEST_PATH": "/etc/holoscan/app.json",
    "HOLOSCAN_PKG_MANIFEST_PATH": "/etc/holoscan/pkg.json",
    "HOLOSCAN_LOGS_PATH": "/var/holoscan/logs",
}
"""As the packager of the SDK sets them."""
LARGEST_MB, ALL_MB = 900, 1000
CUDA_MB = 3100
"""What the CUDA build of torch and NVIDIA's libraries add at most, once for all images."""
UNWANTED = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -type f -perm -0002 -print
find / -xdev -type f -perm /6000 -path '/opt/*' -print
find / -xdev \( -name '*.dcm' -o -name '*.nii' -o -name '*.nii.gz' -o -name '*.ima' -o -name '.git' -o -name '.env' \
  -o -name '*_history' -o -name 'id_rsa*' -o -name '*.pem' -o -name '*.key' -o -name 'pip.conf' -o -name '.netrc' \) \
  ! -path '*/pydicom/data/palettes/*' -print
for name in perl pip pip3 gcc cc g++ make ld as apt apt-get curl wget git sudo; do command -v $name; done
find / -xdev \( -name 'nvcc*' -o -name 'ptxas*' -o -name 'cicc*' -o -name 'libnvidia-*' -o -name 'libcuda.so*' \) -print
find /opt/holoscan /etc/holoscan /etc/monai ! -readable -print
python3 -c 'import importlib.util as u
print(*(n for n in ("pip", "setuptools", "grpc", "pytest", "triton", "cupy") if u.find_spec(n)), sep="\n", end="")'
"""
FACTORY = """
import json
from monai.deploy.core.models import ModelFactory
found = ModelFactory.create("/opt/holoscan/models")
print(json.dumps([type(found).__name__, sorted(name for name, _ in found.items())]))
"""
DISTRIBUTIONS = """
import importlib.metadata
print(*sorted({f"{one.name}=={one.version}" for one in importlib.metadata.distributions()}))
"""


MISSING_LIBRARIES = r"""
find /usr/bin /usr/sbin /usr/lib -type f \( -perm /111 -o -name '*.so*' \) | while read -r file; do
  case $(head -c 4 "$file" | tr -d '\0') in ?ELF) ldd "$file" 2>&1 | grep 'not found' && echo "$file" ;; esac
done
true
"""
UNTRUE_RECORDS = """
import importlib.metadata
for one in importlib.metadata.distributions():
    for file in one.files or ():
        path = file.locate()
        if not path.exists() or file.size not in (None, path.stat().st_size):
            print(path)
"""


@pytest.fixture(params=APPS)
def app(request):
    return request.param


def say(docker, app, *arguments, user="4321:4321", **named):
    """Run an image's entry point, or another one."""
    options = [f"--{name}={value}" for name, value in named.items()]
    return docker("run", "--rm", "--network", "none", "--user", user, *options, docker.load(app), *arguments)


def manifest(docker, app, path):
    return json.loads(say(docker, app, path, entrypoint="cat").stdout)


def cuda_mb(docker):
    """What CUDA may add to an image: nothing to one without."""
    return CUDA_MB if docker.runtime().startswith("map-runtime:gpu-") else 0


def test_the_configuration_is_that_of_a_map(docker, app):
    """A1."""
    config = docker.inspect(docker.load(app))["Config"]
    labels, variables = config["Labels"], dict(item.split("=", 1) for item in config["Env"])

    assert config["User"] == "1000:1000"
    assert config["WorkingDir"] == "/var/holoscan"
    assert variables.items() >= VARIABLES.items()
    described = describe_app(app)
    assert labels["org.opencontainers.image.title"] == described.title
    assert labels["org.opencontainers.image.version"] == described.version
    assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert labels["org.opencontainers.image.revision"]
    assert labels["org.opencontainers.image.licenses"]


def test_manifests_name_what_is_there(docker, app):
    """A2: every path of both manifests exists, with the models' hashes; version and needs are the application's."""
    app_json, pkg_json = (manifest(docker, app, f"/etc/holoscan/{name}.json") for name in ("app", "pkg"))
    described, command = describe_app(app), json.loads(app_json["command"])
    files = {f"{pkg_json['models'][name]}/{one['file']}": one["sha256"] for name, one in pkg_json["modelFiles"].items()}
    paths = [command[-1], pkg_json["applicationRoot"], pkg_json["modelRoot"], *app_json["environment"].values()]

    found = say(docker, app, *files, entrypoint="sha256sum").stdout.split("\n")
    listed = say(docker, app, "-d", *(path for path in paths if path != "/var/holoscan/logs"), entrypoint="ls")

    assert {line.split("  ")[1]: line.split("  ")[0] for line in found if line} == files
    assert listed.returncode == 0, listed.stderr
    assert app_json["version"] == pkg_json["version"] == described.version
    assert app_json["timeout"] == described.deployment.timeout_s
    assert pkg_json["resources"]["memory"] == f"{described.deployment.memory_mib}Mi"
    assert {one["sha256"] for one in pkg_json["modelFiles"].values()} == {
        sha256_of(path) for path in (ROOT / "models" / described.model).rglob("*.ts")
    }


def test_the_older_manifests_say_the_same(docker):
    old, new = (manifest(docker, "spine", f"/etc/{folder}/app.json") for folder in ("monai", "holoscan"))

    assert old["command"].split() == json.loads(new["command"])
    assert old["version"] == new["version"]


def test_nothing_unwanted_is_inside(docker, app):
    """A3: no file anybody can write, no installer, compiler, history, secret or image of anybody; all is readable."""
    ended = say(docker, app, "-c", UNWANTED, entrypoint="/bin/sh")

    assert ended.stdout == ""
    assert ended.returncode == 0, ended.stderr


def test_the_sdk_takes_every_model(docker, app):
    """A3: the folder of models as an App SDK application finds it."""
    ended = say(docker, app, "-W", "ignore", "-c", FACTORY, entrypoint="python3")

    pkg = manifest(docker, app, "/etc/holoscan/pkg.json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.strip().splitlines()[-1]) == ["NamedModel", sorted(pkg["models"])]


def test_words_of_the_specification(docker):
    """A4: show and env."""
    whole, app, pkg = (say(docker, "skull_strip", *words) for words in (["show"], ["show", "app"], ["show", "pkg"]))
    environment = say(docker, "skull_strip", "env")

    assert json.loads(app.stdout.partition("\n")[2]) == manifest(docker, "skull_strip", "/etc/holoscan/app.json")
    assert json.loads(pkg.stdout.partition("\n")[2]) == manifest(docker, "skull_strip", "/etc/holoscan/pkg.json")
    assert whole.stdout == app.stdout + pkg.stdout
    assert environment.stdout.splitlines() == sorted(environment.stdout.splitlines())
    assert "HOLOSCAN_WORKDIR=/var/holoscan" in environment.stdout
    assert say(docker, "skull_strip", "show", "what").returncode == 2


def test_extract_writes_what_a_folder_is_mounted_for(docker, tmp_path):
    """A4: all four parts, one of them, and a message where nothing is mounted."""
    image = docker.load("skull_strip")
    for name in ("all", "one/docs"):
        (tmp_path / name).mkdir(parents=True)
    for path in (tmp_path / "all", tmp_path / "one", tmp_path / "one/docs"):
        path.chmod(0o777)
    run = ("run", "--rm", "--network", "none")

    both = [
        docker(*run, "-v", f"{tmp_path / name}:/var/run/holoscan/export", image, "extract") for name in ("all", "one")
    ]
    nowhere = docker(*run, image, "extract")

    assert [ended.returncode for ended in both] == [0, 0], both[0].stderr
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["app", "config", "docs", "models"]
    assert (tmp_path / "all/models/skull_strip/model.ts").exists()
    assert (tmp_path / "all/config/app.json").exists()
    assert (tmp_path / "one/docs/sbom.cdx.json").exists()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["docs"]
    assert nowhere.returncode == 1
    assert "mount" in nowhere.stderr


def test_export_gives_a_folder_for_m(docker, tmp_path):
    tmp_path.chmod(0o777)

    ended = docker("run", "--rm", "-v", f"{tmp_path}:/var/run/holoscan/export", docker.load("spine"), "export")

    assert ended.returncode == 0, ended.stderr
    found = {path.relative_to(tmp_path / "models").as_posix(): sha256_of(path) for path in tmp_path.rglob("*.ts")}
    assert found == {f"spine/{path.name}": sha256_of(path) for path in (ROOT / "models/spine").glob("*.ts")}


def test_arguments_with_blanks_reach_the_application_whole(docker):
    """A1.8: what the packager's entry point takes apart."""
    ended = say(docker, "lung_nodule", "-i", "/no such folder", "--points", "1,2,3; 4,5,6")

    assert ended.returncode == 2
    assert "/no such folder" in ended.stderr


def test_unknown_arguments_end_in_2(docker):
    assert say(docker, "skull_strip", "--nonsense").returncode in (2, 3)


def test_explain_says_what_would_be_taken(docker, small):
    image = docker.load("skull_strip")

    ended = docker("run", "--rm", "--user", "4321:4321", "-v", f"{small}:/var/holoscan/input:ro", image, "explain")

    assert ended.returncode == 0, ended.stderr
    assert "TAKEN" in ended.stdout


def test_the_bill_of_materials_lists_what_is_inside(docker, app):
    """Each distribution that Python finds and each package that Debian's database has, and nothing else."""
    bill = manifest(docker, app, "/opt/holoscan/docs/sbom.cdx.json")
    inside = say(docker, app, "-c", DISTRIBUTIONS, entrypoint="python3").stdout.split()
    debian = say(docker, app, "-W", "-f", "${Package}=${Version}\\n", entrypoint="dpkg-query").stdout.split()

    listed = [one for one in bill["components"] if one.get("purl", "").startswith("pkg:pypi")]
    packages = [one for one in bill["components"] if one.get("purl", "").startswith("pkg:deb")]
    assert sorted(f"{one['name']}=={one['version']}" for one in listed) == sorted(inside)
    assert sorted(f"{one['name']}={one['version']}" for one in packages) == sorted(debian)
    assert all(one["licenses"][0]["license"]["name"] for one in listed)


def test_no_program_of_the_base_lacks_a_library(docker):
    """Packages are taken out of the base that others of Debian's ask for."""
    ended = say(docker, "skull_strip", "-c", MISSING_LIBRARIES, entrypoint="/bin/bash")

    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_the_packages_lists_of_files_are_true(docker, app):
    ended = say(docker, app, "-c", UNTRUE_RECORDS, entrypoint="python3")

    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_documents_come_with_the_image(docker, app):
    listed = say(docker, app, "/opt/holoscan/docs", entrypoint="ls").stdout.split()

    assert set(listed) >= {"README.md", "LICENSE", "model_card.md", "licences.txt", "outcomes.md", "sbom.cdx.json"}


def test_images_are_small(docker, app):
    size_mb = docker.inspect(docker.load(app))["Size"] / 1e6

    assert size_mb < LARGEST_MB + cuda_mb(docker)


def test_images_share_their_largest_layers(docker):
    """All four together: what they stand on is counted once."""
    images = [docker.inspect(docker.load(app)) for app in APPS]
    runtime = docker.inspect(docker.runtime())
    layers = runtime["RootFS"]["Layers"]

    assert all(image["RootFS"]["Layers"][: len(layers)] == layers for image in images)
    whole_mb = (runtime["Size"] + sum(image["Size"] - runtime["Size"] for image in images)) / 1e6
    assert whole_mb < ALL_MB + cuda_mb(docker)


def test_history_shows_no_path_and_no_host_of_the_building_machine(docker, app):
    said = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", docker.load(app)).stdout

    assert str(ROOT) not in said
    assert "http" not in said
