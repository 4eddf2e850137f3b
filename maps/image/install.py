"""Runs while the runtime is built, with the base's Python: make /opt/venv of the locked packages, and compile it.

The packages of the lock are all there is: no resolver, no dependency that nobody listed. What `slim.py` does not take
away is what the applications load.
"""

from __future__ import annotations

import csv
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path("/build")
VENV = Path("/opt/venv")
PYCACHE = Path("/opt/pycache")
SITE = VENV / "lib/python3.11/site-packages"


def main() -> None:
    """Install, finalise, slim, compile."""
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"map-build: the base needs Python 3.11, it has {sys.version_info[0]}.{sys.version_info[1]}")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", VENV], check=True)
    install()
    for script in (VENV / "bin").iterdir():  # a container runs the application and no command of a library
        if not script.name.startswith("python"):
            script.unlink()
    shutil.rmtree(VENV / "include", ignore_errors=True)
    make_links()
    shutil.copytree(BUILD / "stubs", SITE, dirs_exist_ok=True)
    subprocess.run([sys.executable, BUILD / "slim.py", SITE], check=True)
    python = [f"{VENV}/bin/python3", "-B", "-W", "ignore", "-X", f"pycache_prefix={PYCACHE}", f"{BUILD}/install.py"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "HOLOSCAN_LOG_LEVEL": "OFF"}  # noqa: S108
    subprocess.run([*python, "compile"], check=True, env=environment)
    settle(Path("/opt"))


def install() -> None:
    """Install the locked packages from the wheels that came along, with the pip that is one of them."""
    pip = next((BUILD / "wheels").glob("pip-*.whl"))
    options = ["--no-index", "--require-hashes", "--no-deps", "--no-compile", "--no-cache-dir", "--quiet"]
    options += ["--only-binary", ":all:", "--disable-pip-version-check", "--root-user-action", "ignore"]
    command = [f"{VENV}/bin/python3", f"{pip}/pip", "install", "--find-links", f"{BUILD}/wheels", *options]
    subprocess.run([*command, "-r", f"{BUILD}/lock.txt"], check=True)


def make_links() -> None:
    """Make the links between libraries that Holoscan's wheel lists, which it would make when Python first starts.

    One more lets its libraries find the CUDA runtime, which each of them asks for and which is a package of its own.
    """
    for table in SITE.glob("*.dist-info/symlinks.txt"):
        with table.open() as rows:
            for link, target, _ in csv.reader(rows):
                (SITE / Path(*Path(link).parts[2:])).symlink_to(target)
        table.with_name("axle.lck").unlink(missing_ok=True)
    for hook in SITE.glob("holoscan*.pth"):
        hook.unlink()
    for library in SITE.glob("nvidia/cu13/lib/libcudart.so.13"):
        (SITE / "holoscan/lib" / library.name).symlink_to(f"../../nvidia/cu13/lib/{library.name}")


def compile_loaded() -> None:
    """Import what the applications import, and compile that: a container cannot keep what Python compiles."""
    import importlib.util

    for name in (BUILD / "imports.txt").read_text().split():
        if importlib.util.find_spec(name.partition(".")[0]):  # packages of single applications are not here
            importlib.import_module(name)
    for module in list(sys.modules.values()):
        compile_file(getattr(module, "__file__", None))


def compile_file(file: str | None) -> None:
    """Compile a source for good: never compared with its source again, so that times of files do not matter."""
    if file and file.startswith("/") and file.endswith(".py") and not file.startswith(str(BUILD)):
        py_compile.compile(file, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def settle(folder: Path) -> None:
    """Give everything one time and modes that let anybody read and nobody but root write."""
    time = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (time, time), follow_symlinks=False)


if __name__ == "__main__":
    if sys.argv[1:] == ["compile"]:
        compile_loaded()
        sys.stdout.flush()
        os._exit(0)  # Holoscan's teardown has nothing to do
    main()
