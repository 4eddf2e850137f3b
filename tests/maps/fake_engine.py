"""A program in the place of docker, podman or buildah: it answers as told, and writes down what it was asked."""

from pathlib import Path

SCRIPT = """\
#!/bin/sh
echo "$0 $*" >> "{log}"
{body}
"""
INFO = """case "$1 $2" in info*) echo '{"DockerRootDir": "/", "store": {"GraphRoot": "/"}}'; exit 0 ;; esac"""


def fake_engine(folder: Path, name: str, body: str = INFO) -> Path:
    """Write the program into a folder; return the file with what it was asked."""
    folder.mkdir(exist_ok=True)
    log = folder / "asked.txt"
    log.touch()
    path = folder / name
    path.write_text(SCRIPT.format(log=log, body=body))
    path.chmod(0o755)
    return log
