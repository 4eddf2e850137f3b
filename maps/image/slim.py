"""Runs while an image is built: take out of site-packages what no application loads, and make the rest repeatable.

Two things go: files that only development, or another device, needs (``DEVELOPMENT`` and the list of the platform), and
the symbol tables of libraries, which the loader never reads. What is left is proved by running the applications in the
finished image with every backend and option.
"""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

DEVELOPMENT = (
    "**/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.a", "**/*.h", "**/*.hpp", "**/*.cmake", "**/__pycache__",
    "pip", "pip-*.dist-info", "include", "torch/include", "torch/share", "torch/test", "torch/bin/[!t]*",
    "torch/bin/test_*", *(f"torch/testing/_internal/{name}" for name in ("opinfo", "distributed", "generated")),
    "openvino/include", "openvino/cmake", "holoscan/include", "holoscan/examples", "numpy/_core/include",
    "numpy/_core/lib", "numpy/random/lib",
)  # fmt: skip
"""Headers, test suites, stubs of types, the installer."""
OTHER_DEVICES = (
    "openvino/libs/libopenvino_intel_gpu_plugin.so", "openvino/libs/libopenvino_intel_npu_*",
    "openvino/libs/cache.json", "holoscan/operators", "holoscan/lib/libholoscan_op_*", "holoscan/lib/libholoscan_viz*",
    "holoscan/lib/libholoscan_infer*", "holoscan/lib/libholoinfer*", "holoscan/lib/ucx",
)  # fmt: skip
"""What drives displays, cameras and clusters, Holoscan's own operators, processors that OpenVINO is not asked for."""
OTHER_FORMATS = (
    *(f"openvino/libs/libopenvino_{name}_frontend.so*" for name in
      ("onnx", "paddle", "pytorch", "tensorflow", "tensorflow_lite", "gguf", "jax")),
    "pydicom/data/test_files", "pydicom/data/charset_files",
)  # fmt: skip
"""Networks come as TorchScript and in OpenVINO's own format."""
UNUSED = (
    *(f"scipy/{name}" for name in
      ("stats", "optimize", "interpolate", "integrate", "signal", "fft", "fftpack", "odr", "io", "cluster")),
    "torch/_inductor", "torch/_dynamo", "torch/onnx", "torchgen/packaged", "numpy/distutils",
)  # fmt: skip
"""Parts of libraries that nothing imports: statistics and signals, torch's compilers."""
CODECS = ("_shared", "_shared_cython", "_imcd", "_jpeg8", "_jpegls", "_jpeg2k")
"""Modules of imagecodecs that decode still DICOM images (imaging/decode_stream.py)."""
LIBRARIES = {"PIL": "pillow.libs"}
PICTURES = ("_imaging", "_imagingft", "_imagingmath", "_imagingmorph")
"""Modules of Pillow; the others are formats and windows that are never asked for."""


def main(site: Path) -> None:
    """Slim the site-packages folder in place."""
    remove(site, (*DEVELOPMENT, *OTHER_DEVICES, *OTHER_FORMATS, *UNUSED))
    keep_only(site / "imagecodecs", "_*.so", CODECS)
    keep_only(site / "PIL", "_*.so", PICTURES)
    for package in ("imagecodecs", "PIL"):
        needed_libraries(site / package)
    saved = sum(cut_symbols(path) for path in site.rglob("*") if path.is_file() and not path.is_symlink())
    sys.stdout.write(f"symbols cut: {saved / 1e6:.0f} MB\n")


def remove(site: Path, patterns: tuple[str, ...]) -> None:
    """Remove what the patterns match below a folder."""
    for pattern in patterns:
        for path in list(site.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.exists() or path.is_symlink():
                path.unlink()


def keep_only(folder: Path, pattern: str, stems: tuple[str, ...]) -> None:
    """Remove the files of a folder that match a pattern, but for those named."""
    for path in folder.glob(pattern):
        if path.name.partition(".")[0] not in stems:
            path.unlink()


def needed_libraries(folder: Path) -> None:
    """Remove the libraries beside a package that nothing left in it links to."""
    libraries = folder.with_name(LIBRARIES.get(folder.name, f"{folder.name}.libs"))
    wanted, found = {""}, list(folder.rglob("*.so"))
    while found:
        text = found.pop().read_bytes()
        new = [path for path in libraries.glob("*") if path.name not in wanted and path.name.encode() in text]
        wanted.update(path.name for path in new)
        found += new
    for path in libraries.glob("*"):
        if path.name not in wanted:
            path.unlink()


def cut_symbols(path: Path) -> int:
    """Cut what a 64-bit ELF file holds after the last byte that is loaded; return how many bytes that were.

    Section headers and symbol tables are for linkers and debuggers; dynamic symbols are part of what is loaded. Where a
    tool has put loaded segments at the end nothing is cut.
    """
    end, size = loaded_end(path), path.stat().st_size
    if end is None or end >= size:
        return 0
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(40)  # e_shoff
        file.write(struct.pack("<Q", 0))
        file.seek(58)  # e_shentsize, e_shnum, e_shstrndx
        file.write(struct.pack("<HHH", 0, 0, 0))
    return size - end


def loaded_end(path: Path) -> int | None:
    """Return where the last segment of a 64-bit little-endian ELF file ends; None for any other file."""
    with path.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return None
        (table,) = struct.unpack_from("<Q", header, 32)
        entry, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        segments = file.read(entry * count)
    ends = [offset + length for offset, length in _segments(segments, entry)]
    return int(max([table + entry * count, *ends]))


def _segments(table: bytes, entry: int) -> Iterator[tuple[int, int]]:
    for start in range(0, len(table), entry):
        offset, length = struct.unpack_from("<Q", table, start + 8)[0], struct.unpack_from("<Q", table, start + 32)[0]
        yield offset, length


if __name__ == "__main__":
    main(Path(sys.argv[1]))
