"""What runs inside a build: nothing that is loaded is cut, nothing that is needed is removed."""

import ctypes
import json
import shutil
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from imaging.model_package import METADATA, load_model_package
from maps.describe_app import ROOT, app_names, describe_app
from maps.image import finish
from maps.image.slim import (
    close_gaps,
    cut_symbols,
    keep_only,
    link_twins,
    loaded_end,
    needed_libraries,
    remove,
    remove_unnamed,
    update_record,
)
from maps.imports import imported_modules
from maps.lock_requirements import GPU_ONLY, LEFT_OUT, dependencies, normalised
from maps.manifests import app_json, old_app_json, pkg_json
from maps.stage_app import stage_app
from maps.stage_models import MODELS, PACKAGES, stage_models
from maps.wheelhouse import LOCKS, digest_of, locked

SITE = Path(sysconfig.get_paths()["purelib"])


def library():
    """A library with symbols after its last loaded byte."""
    for path in sorted(SITE.glob("ml_dtypes/*.so")):
        end = loaded_end(path)
        if end is not None and end < path.stat().st_size:
            return path
    pytest.skip("no library with symbols at its end is installed")


def test_a_library_works_without_its_symbols(tmp_path):
    path = Path(shutil.copy(library(), tmp_path))
    before = path.stat().st_size

    saved = cut_symbols(path)

    assert saved > 0
    assert path.stat().st_size == before - saved
    ctypes.CDLL(str(path))
    assert cut_symbols(path) == 0


def test_the_cut_is_after_the_end_that_binutils_see():
    """An independent judge of where loading ends: readelf."""
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf")
    path = library()
    said = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines() if line.startswith("  ") and line.count("0x") >= 5]
    ends = [int(row[1], 16) + int(row[4], 16) for row in rows]

    assert loaded_end(path) >= max(ends)


def segments(path):
    """Rows of binutils' table of segments: kind, address, size in memory, and the content."""
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf")
    said = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines() if line.startswith("  ") and line.count("0x") >= 5]
    content = path.read_bytes()
    table = [(row[0], *(int(text, 16) for text in row[1:6])) for row in rows]
    return [
        (kind, address, in_memory, content[offset : offset + size])
        for kind, offset, address, _, size, in_memory in table
        if kind != "PHDR"  # holds the offsets, which move
    ]


def test_a_library_works_without_the_pages_between_its_segments(tmp_path):
    """Those that patchelf leaves behind where it moves a table to the end of a file."""
    path = Path(shutil.copy(next(SITE.glob("numpy/linalg/_umath_linalg.*.so")), tmp_path))
    cut_symbols(path)
    before, size = segments(path), path.stat().st_size
    headers = 64 + 56 * (len(before) + 1)

    saved = close_gaps(path)

    assert saved > 0
    assert path.stat().st_size == size - saved
    after = segments(path)
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert all(new[3][headers:] == old[3][headers:] for new, old in zip(after, before, strict=True))
    assert close_gaps(path) == 0


def test_a_library_is_loaded_without_the_pages_between_its_segments(tmp_path):
    code = "import sys, numpy; sys.modules.pop('numpy.linalg._umath_linalg'); import importlib.util as u; "
    code += "s = u.spec_from_file_location('numpy.linalg._umath_linalg', sys.argv[1]); m = u.module_from_spec(s); "
    code += "s.loader.exec_module(m); print(m.det(numpy.diag([2.0, 3.0, 7.0])))"
    path = Path(shutil.copy(next(SITE.glob("numpy/linalg/_umath_linalg.*.so")), tmp_path))

    close_gaps(path)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(42)


def test_a_second_copy_of_a_library_is_a_link_to_the_first(tmp_path):
    for name, content in (("a.libs/one.so", b"same"), ("b.libs/one.so", b"same"), ("b.libs/two.so", b"other")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    link_twins(tmp_path)

    assert (tmp_path / "b.libs/one.so").readlink() == Path("../a.libs/one.so")
    assert (tmp_path / "b.libs/one.so").read_bytes() == b"same"
    assert not (tmp_path / "a.libs/one.so").is_symlink()
    assert not (tmp_path / "b.libs/two.so").is_symlink()


def test_the_list_of_a_packages_files_says_what_is_left(tmp_path):
    """Hash of an empty file by ``printf '' | openssl dgst -sha256 -binary | basenc --base64url``."""
    (tmp_path / "one.dist-info").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a, b.py").write_text("")
    record = tmp_path / "one.dist-info/RECORD"
    record.write_text('"one/a, b.py",sha256=before,7\none/gone.py,sha256=x,3\none.dist-info/RECORD,,\n')

    update_record(record)

    digest = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    assert record.read_text() == f'"one/a, b.py",sha256={digest},0\none.dist-info/RECORD,,\n'


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"no library" * 20, b"\x7fELF\x01\x01" + bytes(100)])
def test_other_files_are_left_alone(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)

    assert cut_symbols(path) == close_gaps(path) == 0
    assert path.read_bytes() == content


def test_a_table_of_segments_after_everything_else_is_kept(tmp_path):
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 32, 200)  # the table begins behind the only segment
    struct.pack_into("<HH", header, 54, 56, 1)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 100, 100, 1)
    path = tmp_path / "file"
    path.write_bytes(bytes(header) + bytes(136) + segment + b"symbols")

    assert cut_symbols(path) == len(b"symbols")


def test_removed_is_what_patterns_match(tmp_path):
    for name in ("one/tests/test_x.py", "one/x.py", "one/x.pyi", "tests.py", "link"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    remove(tmp_path, ("**/tests", "**/*.pyi", "nothing*"))

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "link", "one/x.py", "tests.py",
    ]  # fmt: skip


def test_libraries_beside_a_package_stay_when_something_links_to_them(tmp_path):
    package, beside = tmp_path / "codecs", tmp_path / "codecs.libs"
    package.mkdir()
    beside.mkdir()
    (package / "_used.so").write_bytes(b"needs libfirst-1.so")
    (package / "_unused.so").write_bytes(b"needs libother-1.so")
    for name, content in (("libfirst-1.so", b"libsecond-2.so"), ("libsecond-2.so", b""), ("libother-1.so", b"")):
        (beside / name).write_bytes(content)

    keep_only(package, "_*.so", ("_used",))
    needed_libraries(package)

    assert [path.name for path in package.iterdir()] == ["_used.so"]
    assert sorted(path.name for path in beside.iterdir()) == ["libfirst-1.so", "libsecond-2.so"]


def test_a_library_goes_when_none_that_stays_names_it(tmp_path):
    """One that is linked to, one that is opened by a name without version, two that name each other alone."""
    for name, content in {
        "torch/lib/libtorch.so": b"\0liblinked.so.13\0libopened.so\0",
        "torch/lib/empty.so": b"",
        "nvidia/lib/liblinked.so.13": b"",
        "nvidia/lib/libopened.so.12": b"libopened.so.12",
        "nvidia/lib/libalone.so.1": b"libother.alt",
        "nvidia/lib/libother.alt.so.1.0": b"libalone",
        "nvidia/lib/device.bc": b"",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    remove_unnamed(tmp_path, ("nvidia/lib/*.so*", "nvidia/lib/*.bc", "nothing/*"))

    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "empty.so", "liblinked.so.13", "libopened.so.12", "libtorch.so",
    ]  # fmt: skip


@pytest.mark.parametrize("name", app_names())
def test_the_sdks_folder_holds_one_file_for_each_network(name, tmp_path):
    """And the packages beside it load as the folder of models does."""
    model = describe_app(name).model

    found = stage_models(ROOT / "models", model, tmp_path)

    folders = sorted((tmp_path / MODELS).iterdir())
    assert [folder.name for folder in folders] == sorted(found)
    assert all(len(list(folder.iterdir())) == 1 for folder in folders)
    packages = [path.parent for path in (tmp_path / PACKAGES).rglob(METADATA)]
    members = [member for folder in packages for member in load_model_package(folder).members]
    assert sorted(member.sha256 for member in members) == sorted(digest for _, digest in found.values())
    assert all(member.openvino is None or member.openvino.exists() for member in members)


def test_the_bill_of_materials_has_what_no_package_brings(tmp_path, monkeypatch):
    """Each file of weights with its hash, and the viewer of the pages with what it bundles."""
    stage_app(ROOT, "lung_nodule", tmp_path, "cpu")
    monkeypatch.setattr(finish, "TREE", tmp_path)

    bill = finish.bill({"name": "lung_nodule", "version": "1", "licence": "Apache-2.0"}, finish.page_scripts())

    weights = [path for path in (tmp_path / MODELS, tmp_path / PACKAGES) for path in path.rglob("*")]
    digests = {digest_of(path) for path in weights if path.suffix in (".ts", ".bin", ".xml")}
    listed = [one["hashes"][0]["content"] for one in bill["components"] if "hashes" in one]
    assert sorted(listed) == sorted(digests)
    texts = (ROOT / "imaging/vendor/niivue.licences.txt").read_text().split("-" * 64)
    scripts = [one for one in bill["components"] if one["bom-ref"].startswith("pkg:npm/")]
    viewer = next(one for one in scripts if one["name"] == "@niivue/niivue")
    assert len(scripts) == len(texts)
    assert (ROOT / f"imaging/vendor/niivue-{viewer['version']}.umd.js.gz").exists()
    assert viewer["purl"] == "pkg:npm/%40niivue/niivue@0.69.0"


def test_manifests_are_json_with_text_versions():
    app = describe_app("spine")
    weights = {"spine_fold0": ("fold0.ts", "ab" * 32)}

    written = json.loads(json.dumps([app_json(app), pkg_json(app, weights, "cpu"), old_app_json(app)]))

    assert all(one["version"] == app.version for one in written)
    assert json.loads(written[0]["command"]) == written[2]["command"].split()
    assert written[1]["models"] == {"spine_fold0": "/opt/holoscan/models/spine_fold0"}


def test_every_dependency_is_locked_or_left_out_for_a_reason():
    """Whoever adds a package to the project is told to write the locks again."""
    names = {normalised(one.split("=")[0].split(">")[0].split("[")[0].strip()) for one in dependencies()}
    for kind in ("cpu", "gpu"):
        listed = {normalised(one.split("==")[0]) for one in locked(LOCKS / f"{kind}.txt")}
        assert names - listed - LEFT_OUT.keys() == set(), "python -m maps.lock_requirements"
        assert listed.isdisjoint(LEFT_OUT)
    assert set(GPU_ONLY) <= {one.split("==")[0] for one in locked(LOCKS / "gpu.txt")}


def test_what_the_suite_imports_is_compiled():
    names = imported_modules(ROOT)

    assert {"numpy", "pydicom", "highdicom", "torch", "openvino", "monai.deploy.core"} <= set(names)
    assert not [name for name in names if name.split(".")[0] in ("cli", "imaging", "maps")]


@pytest.mark.parametrize("module", ["http", "grpc.model_config_pb2"])
def test_the_stand_in_for_a_network_client_says_what_it_is(module):
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'maps/image/stubs')!r})\n"
        f"import tritonclient.{module} as found\n"
        "getattr(found, 'InferenceServerClient', getattr(found, 'ModelConfig', None))('host')"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "no client of Triton servers" in ended.stderr
