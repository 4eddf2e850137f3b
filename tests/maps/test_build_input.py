"""What a build is given may be wrong in many ways: one message each, that says what to do, and nothing left behind."""

import hashlib
import re
import shutil
import tarfile
from types import SimpleNamespace

import pytest

from imaging.outcome import ModelError, OutputError, UsageError
from maps import build
from maps.base import PUBLIC, find_base
from maps.describe_app import ROOT
from maps.engine import Engine, check_engine, check_space, choose_engine, has_ranges
from maps.failures import BuildError
from maps.save import check_saver
from maps.stage_app import refuse_strangers, stage_app
from maps.wheelhouse import digest_of, find_wheels, locked
from tests.maps.fake_engine import INFO, fake_engine


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """A PATH that holds fake engines only."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name, path="/bin:/usr/bin"))
    return folder


@pytest.fixture
def lock(tmp_path):
    """A lock of two packages, and a wheelhouse with both."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lines = []
    for name in ("one-1.0", "two_more-2.0"):
        path = wheels / f"{name}-py3-none-any.whl"
        path.write_bytes(name.encode())
        requirement = name.replace("-", "==").replace("_", "-")
        lines += [f"{requirement} \\", f"    --hash=sha256:{hashlib.sha256(name.encode()).hexdigest()}"]
    file = tmp_path / "lock.txt"
    file.write_text("\n".join(lines))
    return file, wheels


def test_no_engine(on_path):
    with pytest.raises(BuildError, match="docker, podman, buildah is needed; none"):
        choose_engine(None, offline=True)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["etc/os-release", "bin/sh"], r"holds no python3\.11\. Make one with: maps/base/make_base\.sh"),
        (["./usr/bin/python3.9", "./usr/bin/sh"], r"holds no python3\.11"),
        (["./usr/local/bin/python3.11"], "holds no sh"),
        (None, r"is no whole \.tar file"),
    ],
)
def test_a_base_that_lacks_python_is_refused_before_it_is_imported(names, message, tmp_path):
    base = tmp_path / "base.tar"
    base.write_text("no archive")
    if names is not None:
        with tarfile.open(base, "w") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name))

    with pytest.raises(BuildError, match=message):
        find_base(str(base), Engine("buildah"))


@pytest.mark.parametrize("text", ["", "yesterday", "-5", "1e9", "17000000000"])
def test_a_time_of_files_that_is_none(text, tmp_path, on_path, monkeypatch):
    fake_engine(on_path, "buildah")
    monkeypatch.setattr(build, "check_space", lambda *_: None)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    options = SimpleNamespace(wheelhouse=None, engine="buildah", offline=False, save=None, base=None)

    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is a number of seconds"):
        build.prepare(options, "cpu", tmp_path)


def test_the_named_engine_is_missing_and_the_others_are_named(on_path):
    fake_engine(on_path, "buildah")

    with pytest.raises(BuildError, match=r"docker is needed and not on the PATH; found: buildah"):
        choose_engine("docker", offline=True)


def test_the_first_engine_that_is_there_is_taken(on_path):
    fake_engine(on_path, "buildah")

    assert choose_engine(None, offline=True).name == "buildah"


def test_a_daemon_that_is_not_there(on_path):
    fake_engine(on_path, "docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')

    with pytest.raises(BuildError, match=r"daemon does not answer.*another engine.*Cannot connect|not root"):
        choose_engine("docker", offline=True)


def test_a_client_that_reports_the_silence_of_its_daemon(on_path):
    fake_engine(on_path, "docker", """echo '{"ServerErrors": ["Cannot connect to the daemon"]}'""")

    with pytest.raises(BuildError, match="Cannot connect to the daemon"):
        choose_engine("docker", offline=True)


def test_a_daemon_that_never_answers(on_path):
    fake_engine(on_path, "docker", "exec sleep 30")

    with pytest.raises(BuildError, match=r"did not answer within 0 s.*Restart"):
        Engine("docker").ask("info", seconds=0.3)


@pytest.mark.parametrize(
    ("name", "remedy"), [("docker", "join the group docker.*permission denied"), ("buildah", "/etc/subuid")]
)
def test_a_user_who_is_not_root_is_told_what_is_missing(on_path, monkeypatch, name, remedy):
    fake_engine(on_path, name, 'echo "permission denied" >&2; exit 125')
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(BuildError, match=rf"not root.*{remedy}"):
        check_engine(Engine(name))


@pytest.mark.parametrize(("line", "has"), [("1000:100000:65536", True), ("1001:100000:65536", False), ("", False)])
def test_ranges_of_a_user_are_looked_up(tmp_path, monkeypatch, line, has):
    (tmp_path / "subuid").write_text(f"# ranges\n{line}\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="somebody"))

    assert has_ranges(tmp_path / "subuid") is has
    assert not has_ranges(tmp_path / "nothing")


def test_a_checkout_that_may_not_be_written_is_said(tmp_path):
    (tmp_path / "build").write_text("")

    with (
        pytest.raises(OutputError, match=r"cannot be written .*checkout of your own"),
        build.locked_folder(tmp_path / "build" / "maps"),
    ):
        pass


def test_two_builds_do_not_work_in_one_folder(tmp_path):
    with (
        build.locked_folder(tmp_path),
        pytest.raises(BuildError, match="Another build works"),
        build.locked_folder(tmp_path),
    ):
        pass


def test_no_space(tmp_path):
    with pytest.raises(BuildError, match=r"1000000 GB are needed below .*are free"):
        check_space(tmp_path / "not yet there", 1e6)


def test_wheels_of_a_lock_are_found(lock):
    file, wheels = lock

    assert [path.name for path in find_wheels(wheels, [file])] == sorted(path.name for path in wheels.iterdir())
    assert list(locked(file)) == ["one==1.0", "two-more==2.0"]


def test_a_missing_wheel_is_named(lock):
    file, wheels = lock
    (wheels / "one-1.0-py3-none-any.whl").unlink()

    with pytest.raises(BuildError, match=r"lacks one==1.0\. Fill it with"):
        find_wheels(wheels, [file])


def test_a_wheel_with_another_hash_is_named(lock):
    file, wheels = lock
    (wheels / "two_more-2.0-py3-none-any.whl").write_bytes(b"something else")

    with pytest.raises(BuildError, match=r"two-more==2.0 \(the file there, two_more.*another SHA-256"):
        find_wheels(wheels, [file])


def test_a_wheelhouse_that_is_not_there(tmp_path, lock):
    with pytest.raises(BuildError, match=r"no folder\. Fill one with"):
        find_wheels(tmp_path / "nothing", [lock[0]])


def test_each_locked_package_has_a_hash():
    for path in sorted((ROOT / "maps" / "locks").glob("*.txt")):
        requirements = locked(path)
        assert requirements, path
        assert all(len(digest) == 64 for allowed in requirements.values() for digest in allowed or {""}), path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], r"no application 'nothing'.*skull_strip"),
        (["skull_strip", "--tag", "a/b"], r"tag has up to 128 letters.*'a/b'"),
        (["skull_strip", "--tag", "-x; rm"], "tag has up to 128"),
        (["skull_strip", "--tag", "x y"], "tag has up to 128"),
        (["skull_strip", "--tag", "ä"], "tag has up to 128"),
        (["skull_strip", "--tag", "x" * 129], "tag has up to 128"),
        (["skull_strip", "--offline", "--engine", "buildah"], "--offline needs --wheelhouse"),
    ],
)
def test_a_wrong_command_ends_in_2_and_says_so(arguments, message, capsys):
    try:
        code = build.main(arguments)
    except SystemExit as end:
        code = end.code

    assert code == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_base_file_that_is_missing(on_path):
    fake_engine(on_path, "buildah")

    with pytest.raises(BuildError, match=r"base nowhere\.tar is missing.*make_base\.sh nowhere\.tar"):
        find_base("nowhere.tar", Engine("buildah", True))


def test_a_base_that_is_not_here_and_may_not_be_fetched(on_path):
    fake_engine(on_path, "buildah", f"{INFO}\nexit 1")

    with pytest.raises(BuildError, match=r"not on this machine, and --offline forbids"):
        find_base(None, Engine("buildah", True))


def test_the_public_base_is_pinned_by_its_digest(on_path):
    fake_engine(on_path, "buildah", f"{INFO}\nexit 1")

    base = find_base(None, Engine("buildah", False))

    assert base.image == PUBLIC
    assert base.digest == PUBLIC.partition("@")[2]
    assert len(base.digest) == len("sha256:") + 64


@pytest.mark.parametrize("name", ["a b", "-x", "$(id)", ""])
def test_a_base_with_odd_letters_is_refused(on_path, name):
    with pytest.raises(UsageError, match="--base takes the name of an image"):
        find_base(name, Engine("buildah", True))


def test_archives_need_a_folder_that_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="cannot be made"):
        check_saver(Engine("buildah"), tmp_path / "file" / "below")


def test_docker_alone_writes_no_archives(on_path, tmp_path):
    with pytest.raises(BuildError, match="install skopeo"):
        check_saver(Engine("docker"), tmp_path)


def test_half_an_archive_of_a_build_that_was_killed_is_removed(tmp_path):
    (tmp_path / "map-skull_strip-0.1.0.oci.tar.part").write_text("half")

    check_saver(Engine("buildah"), tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def models(tmp_path):
    """A copy of one model, to be spoiled."""
    return shutil.copytree(ROOT / "models" / "lung_nodule", tmp_path / "models" / "lung_nodule").parent


def test_a_model_with_a_wrong_hash_is_refused(models, tmp_path):
    with (models / "lung_nodule/outline/fold1.ts").open("ab") as file:
        file.write(b"x")

    with pytest.raises(ModelError, match=r"fold1\.ts are not those of metadata\.json: SHA-256"):
        stage_app(ROOT, "lung_nodule", tmp_path / "tree", "cpu", models)


def test_a_model_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no metadata\.json below"):
        stage_app(ROOT, "lung_nodule", tmp_path / "tree", "cpu", tmp_path)


@pytest.mark.parametrize("name", ["scan.dcm", "mask.nii.gz", "id_rsa", "data.npz", "notes.ini"])
def test_a_file_that_no_image_holds_is_refused_and_named(tmp_path, name):
    place = tmp_path / "opt/holoscan/app/imaging" / name
    place.parent.mkdir(parents=True)
    place.write_text("")

    with pytest.raises(BuildError, match=rf"imaging/{name}\. Remove"):
        refuse_strangers(tmp_path)


def test_a_digest_is_that_of_the_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")

    assert digest_of(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
