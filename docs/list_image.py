"""Print the largest things in an image: python docs/list_image.py map-suite/skull_strip:0.1.0 [COUNT]."""

import collections
import subprocess
import sys

LIST = "find / -xdev -type f -printf '%s %p\\n'"
PARTS = {"opt": 6, "usr": 4}
"""How many parts of a path name a thing: a package below site-packages, a folder of the system."""


def main() -> None:
    """Add up files by package or folder, and print a table."""
    image, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    command = ["docker", "run", "--rm", "--user", "0:0", "--entrypoint", "/bin/sh", image, "-c", LIST]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    sizes: collections.Counter[str] = collections.Counter()
    for line in listed.splitlines():
        size, _, path = line.partition(" ")
        parts = path.split("/")
        sizes["/".join(parts[: PARTS.get(parts[1], 2) + 1])] += int(size)
    rows = [f"| {path} | {size / 1e6:.1f} |" for path, size in sizes.most_common(count)]
    sys.stdout.write(
        "\n".join(["| what | MB |", "| --- | ---: |", *rows, f"| all | {sizes.total() / 1e6:.1f} |"]) + "\n"
    )


if __name__ == "__main__":
    main()
