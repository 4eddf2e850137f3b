"""The suite on a host without any CUDA library: a minimal Debian root, where nothing can hide what is missing."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HOME = "/root"
pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
PACKAGES = "python3,libgomp1,libstdc++6,libexpat1"


@pytest.fixture(scope="module")
def debian_root(tmp_path_factory):
    """A Debian root with Python 3.11, the environment's site-packages and the repository mounted into it."""
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        pytest.skip("needs mmdebstrap and root")
    if sys.version_info[:2] != (3, 11):
        pytest.skip(f"Debian 12 has Python 3.11, this is {sys.version_info[:2]}")
    root = tmp_path_factory.mktemp("debian")
    subprocess.run(
        ["mmdebstrap", "--variant=essential", f"--include={PACKAGES}", "bookworm", str(root)],
        check=True,
        capture_output=True,
    )
    mounts = {sysconfig.get_paths()["purelib"]: root / "site", str(ROOT): root / "suite"}
    mounts |= {folder: root / folder[1:] for folder in ("/proc", "/sys", "/dev")}
    for source, target in mounts.items():
        target.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", source, str(target)], check=True)
    yield root
    for target in mounts.values():
        subprocess.run(["umount", str(target)], check=True)


def run_inside(root, *arguments):
    environment = {
        "PYTHONPATH": "/suite:/site",
        "HOME": HOME,
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        ["/usr/sbin/chroot", str(root), "python3", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_holoscan_alone_does_not_find_its_cuda_runtime_there(debian_root):
    """Shows that the root hides nothing: without the preload the import fails."""
    ended = run_inside(debian_root, "-c", "import holoscan.core")

    assert ended.returncode != 0
    assert "libcudart" in ended.stderr


def test_the_main_job_runs_there(debian_root):
    made = run_inside(debian_root, "-m", "cli.main", "sample", f"{HOME}/study")
    ended = run_inside(debian_root, "-m", "cli.main", "exec", "skull_strip", "-i", f"{HOME}/study", "-o", f"{HOME}/out")

    assert made.returncode == 0, made.stderr
    assert ended.returncode == 0, ended.stderr
    assert (debian_root / HOME[1:] / "out/seg.dcm").exists()
