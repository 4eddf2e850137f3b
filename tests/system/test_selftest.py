"""The self-test of an application fails, loudly, on what would make its results wrong."""

import os
import shutil
import subprocess
import sys

import imagecodecs
import pytest

from cli import selftest
from tests.system.command import ROOT, environment, monai_deploy

pytestmark = pytest.mark.system


@pytest.fixture
def spoiled(models, tmp_path):
    """A copy of the models, to be changed."""
    return shutil.copytree(models, tmp_path / "models")


def test_it_passes_in_under_a_minute_and_says_what_it_ran_on(models):
    ended = monai_deploy("selftest", "skull_strip", "-m", models)

    assert ended.code == 0, ended.stderr
    assert "passed" in ended.stdout
    assert "phantom" in ended.stdout
    assert float(ended.stdout.split("passed in ")[1].split(" s")[0]) < 60


def test_weights_with_another_hash_fail_it(spoiled):
    with (spoiled / "skull_strip" / "model.ts").open("ab") as file:
        file.write(b"x")

    ended = monai_deploy("selftest", "skull_strip", "-m", spoiled)

    assert ended.code == 1
    assert "ended in 5" in ended.stderr
    assert "SHA-256" in ended.stderr


def test_a_decoder_that_is_missing_fails_it(models, tmp_path):
    (tmp_path / "imagecodecs.py").write_text("raise ImportError('no decoders')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    ended = monai_deploy("selftest", "skull_strip", "-m", models, env={"PYTHONPATH": path})

    assert ended.code == 1
    assert "decoders of compressed images cannot be loaded" in ended.stderr


@pytest.mark.parametrize("lacking", ["jpeg8", "jpegls", "jpeg2k", "dicomrle"])
def test_a_library_of_decoders_that_is_missing_is_named(lacking, monkeypatch):
    """The modules of imagecodecs load their libraries when first used."""

    def missing(*_args, **_named):
        raise imagecodecs.DelayedImportError(lacking)

    monkeypatch.setattr(imagecodecs, f"{lacking}_decode", missing)

    said = list(selftest._decoders())

    assert len(said) == 1
    assert "does not work (DelayedImportError)" in said[0]
    assert ("run lengths" if lacking == "dicomrle" else lacking) in said[0]


def test_an_unwritable_folder_for_temporary_files_fails_it(models, tmp_path):
    script = (
        "import tempfile, sys\n"
        "def refuse(*_, **__): raise OSError(30, 'Read-only file system')\n"
        "tempfile.mkdtemp = refuse\n"
        "from cli.main import main\n"
        f"sys.exit(main(['selftest', 'skull_strip', '-m', {str(models)!r}]))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 6
    assert "Read-only file system" in ended.stderr
    assert "--tmpfs /tmp" in ended.stderr
