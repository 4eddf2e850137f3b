"""Write the locks of the images' packages: exact versions and hashes, and only what the applications load.

    python -m maps.lock_requirements cpu      # where pip finds the CPU build of torch first
    python -m maps.lock_requirements gpu      # where pip finds the CUDA build
    python -m maps.lock_requirements tool     # pip itself, which installs the others and is taken away again

pip resolves the dependencies of pyproject.toml; what no application loads is left out, with the reason why. The locks
of the CPU have the hash of the wheel that the resolving machine found. A build of torch from elsewhere has another one:
add a line ``--hash=sha256:...`` for it, or write the lock there again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import Any

from maps.describe_app import ROOT

LOCKS = ROOT / "maps" / "locks"
GPU_ONLY = ("cuda-bindings", "cuda-pathfinder")
"""torch asks for them where it is a CUDA build; Holoscan lists them always."""
TRITON = "client of Triton servers; a stand-in satisfies the SDK's import (maps/image/stubs)"
COMPILER = "torch's compilers and symbolic shapes; TorchScript needs none of it"
LEFT_OUT = {
    "cupy-cuda13x": "arrays on a GPU: the applications pass numpy arrays",
    "cuda-core": "used by cupy alone",
    "cuda-python": "used by cupy alone",
    "holoscan-cli": "a command line",
    "perf-analyzer": TRITON,
    "tritonclient": TRITON, "grpcio": TRITON, "gevent": TRITON, "geventhttpclient": TRITON, "greenlet": TRITON,
    "python-rapidjson": TRITON, "brotli": TRITON, "ml-dtypes": TRITON, "urllib3": TRITON, "certifi": TRITON,
    "aiohttp": TRITON, "aiohappyeyeballs": TRITON, "aiosignal": TRITON, "attrs": TRITON, "frozenlist": TRITON,
    "multidict": TRITON, "propcache": TRITON, "yarl": TRITON, "idna": TRITON, "zope-event": TRITON,
    "zope-interface": TRITON,
    "sympy": COMPILER, "mpmath": COMPILER, "networkx": COMPILER, "jinja2": COMPILER, "markupsafe": COMPILER,
    "fsspec": COMPILER, "triton": COMPILER, "setuptools": COMPILER, "filelock": COMPILER, "cuda-toolkit": "no files",
    "wheel-axle-runtime": "makes links at the first start; the build makes them (maps/image/install.py)",
    "pip": "installs the others and is taken away",
    "simpleitk": "reads masks for `monai-deploy evaluate`, which no image holds",
    "openvino-telemetry": "sends statistics; OpenVINO runs without it",
    "pyjpegls": "an encoder of JPEG-LS; results are not compressed, and imagecodecs decodes",
    "importlib-resources": "nibabel's own test data",
    "colorama": "colours of a terminal",
    "cloudpickle": "distributed graphs",
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Write one lock."""
    if arguments not in (["cpu"], ["gpu"], ["tool"]):
        sys.stderr.write("usage: python -m maps.lock_requirements cpu|gpu|tool\n")
        return 2
    kind = arguments[0]
    resolved = resolve(["pip"] if kind == "tool" else dependencies())
    head = f"# Written by: python -m maps.lock_requirements {kind}\n"
    out = {**LEFT_OUT, **({} if kind == "gpu" else dict.fromkeys(GPU_ONLY))}
    wanted = [name for name in resolved if kind == "tool" or name not in out]
    (LOCKS / f"{kind}.txt").write_text(head + lines(resolved, wanted))
    return 0


def dependencies() -> list[str]:
    """Return what the suite needs at run time, from pyproject.toml."""
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])


def resolve(wanted: list[str]) -> dict[str, dict[str, Any]]:
    """Return what pip would install, by normalised name."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--only-binary", ":all:", "--report", "-", *wanted]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    return {normalised(item["metadata"]["name"]): item for item in report["install"]}


def normalised(name: str) -> str:
    """Return a name as indexes compare it (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")


def lines(resolved: dict[str, dict[str, Any]], names: list[str]) -> str:
    """Return the lines of a lock, sorted."""
    found = []
    for name in sorted(names):
        item = resolved[name]
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        found.append(f"{name}=={item['metadata']['version']} \\\n    --hash=sha256:{digest}\n")
    return "".join(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
