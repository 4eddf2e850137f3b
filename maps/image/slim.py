"""Runs while an image is built: take out of site-packages what no application loads, and make the rest repeatable.

What goes: files that nothing here loads (the lists below), libraries of CUDA that no other one names, symbol tables of
libraries, which the loader never reads, a second copy of a library, blanks in tables. The lists of files that packages
bring (RECORD) say what is left. That it is enough is proved by running the applications in the finished image with
every backend and option.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import mmap
import os
import shutil
import struct
import sys
from pathlib import Path
from typing import BinaryIO, NamedTuple

FRONTENDS = ("onnx", "paddle", "pytorch", "tensorflow", "tensorflow_lite", "gguf", "jax")
"""Formats of networks that OpenVINO reads besides its own."""
DEVELOPMENT = (
    "**/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.a", "**/*.h", "**/*.hpp", "**/*.cmake", "**/__pycache__",
    "pip", "pip-*.dist-info", "include", "torch/include", "torch/share", "torch/test", "torch/bin/[!t]*",
    "torch/bin/test_*", "torch/lib/lib*_test.so", "torch/lib/libbackend_with_compiler.so",
    "torch/lib/libaoti_custom_ops.so", "openvino/include", "openvino/cmake", "holoscan/include", "holoscan/examples",
    "numpy/_core/include", "numpy/_core/lib", "numpy/random/lib", "numpy/_core/*_tests.*.so", "numpy/_core/_simd.*.so",
)  # fmt: skip
"""Headers, test suites and what only they load, stubs of types, the installer."""
OTHER_DEVICES = (
    "openvino/libs/libopenvino_intel_gpu_plugin.so", "openvino/libs/libopenvino_intel_npu_*",
    "openvino/libs/libopenvino_auto_plugin.so", "openvino/libs/libopenvino_hetero_plugin.so",
    "openvino/libs/cache.json", "holoscan/operators", "holoscan/lib/libholoscan_op_*", "holoscan/lib/libholoscan_viz*",
    "holoscan/lib/libholoscan_infer*", "holoscan/lib/libholoinfer*", "holoscan/lib/ucx", "holoscan/lib/libucxx.so",
    "holoscan/data_loggers", "holoscan/lib/libholoscan_data_loggers_*", "holoscan/network_contexts",
    "holoscan/pose_tree", "holoscan/lib/libholoscan_pose_tree.so*", "holoscan/lib/libgxf_sample.so",
)  # fmt: skip
"""What drives displays, cameras, robots and clusters, Holoscan's own operators, processors nobody asks OpenVINO for."""
OTHER_FORMATS = (
    *(f"openvino/libs/libopenvino_{name}_frontend.so*" for name in FRONTENDS),
    *(f"openvino/frontend/{name}" for name in FRONTENDS), "openvino/tools", "openvino/libs/libopenvino_c.so*",
    "pydicom/data/test_files", "pydicom/data/charset_files",
)  # fmt: skip
"""Networks come as TorchScript and in OpenVINO's own format."""
UNUSED = (
    *(f"scipy/{name}" for name in
      ("stats", "optimize", "interpolate", "integrate", "signal", "fft", "fftpack", "odr", "io", "cluster")),
    "scipy/special/cython_special.*.so",
    "numpy/distutils", "numpy/f2py/src", "reportlab/graphics/charts", "reportlab/graphics/barcode",
    "reportlab/fonts/*.pfb", "reportlab/fonts/*.sfd",
)  # fmt: skip
"""Statistics, solvers, signals, charts, bar codes."""
COMPILERS = (
    "torch/_inductor", "torch/_dynamo", "torch/_numpy", "torch/_vendor/quack", "torch/_functorch/_activation_*",
    "torch/_functorch/_aot_autograd/[!_u]*", "torch/_functorch/partitioners.py", "torch/sparse/_triton_ops*",
    "torch/utils/_sympy", "torch/utils/hipify", "torch/utils/cpp_extension.py", "torch/onnx", "functorch",
    *(f"torchgen/{name}" for name in ("packaged", "api", "dest", "gen*.py", "static_runtime")),
)  # fmt: skip
"""torch's compilers: TorchScript needs none, and most of them ask for packages that are not here."""
TRAINING = (
    *(f"torch/distributed/{name}" for name in
      ("_local_tensor", "_shard", "_symmetric_memory", "_tools", "checkpoint", "elastic", "flight_recorder", "fsdp",
       "optim", "pipelining", "tensor")),
    "torch/utils/benchmark", "torch/utils/tensorboard",
)  # fmt: skip
"""Training on many machines, and watching it."""
TORCH_TESTS = ("__init__", "common_dtype", "logging_tensor")
"""Modules of torch's test suite that torch itself imports."""
CODECS = ("_shared", "_shared_cython", "_imcd", "_jpeg8", "_jpegls", "_jpeg2k")
"""Modules of imagecodecs that decode still DICOM images (imaging/decode_stream.py)."""
UNNAMED = (
    "nvidia/cu13/lib/libcusolverMg.so*", "nvidia/cu13/lib/libnvrtc.alt.so*",
    "nvidia/cu13/lib/libnvrtc-builtins.alt.so*", "nvidia/nvshmem/lib/libnvshmem_device.bc",
)  # fmt: skip
"""Of CUDA: solvers on several GPUs, a second build of the compiler of kernels, code for kernels of clusters.

NCCL, NVSHMEM's host library, cuFile and cuSPARSELt stay, although one GPU needs none: torch's libraries link to them.
"""
LIBRARIES = {"PIL": "pillow.libs"}
PICTURES = ("_imaging", "_imagingft", "_imagingmath", "_imagingmorph")
"""Modules of Pillow; the others are formats and windows that are never asked for."""


def main(site: Path) -> None:
    """Slim the site-packages folder in place."""
    remove(site, (*DEVELOPMENT, *OTHER_DEVICES, *OTHER_FORMATS, *UNUSED, *COMPILERS, *TRAINING))
    keep_only(site / "torch/testing/_internal", "*", TORCH_TESTS)
    keep_only(site / "imagecodecs", "_*.so", CODECS)
    keep_only(site / "PIL", "_*.so", PICTURES)
    for package in ("imagecodecs", "PIL"):
        needed_libraries(site / package)
    remove_unnamed(site, UNNAMED)
    files = [path for path in site.rglob("*") if path.is_file() and not path.is_symlink()]
    saved = sum(cut_symbols(path) + close_gaps(path) for path in files)
    sys.stdout.write(f"symbols cut: {saved / 1e6:.0f} MB\n")
    link_twins(site)
    for path in site.glob("highdicom/_standard/*.json"):  # 7 MB of blanks
        path.write_text(json.dumps(json.loads(path.read_text()), separators=(",", ":")))
    for path in site.glob("*.dist-info/RECORD"):
        update_record(path)


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
        if path.name.partition(".")[0] in stems:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
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


def link_twins(site: Path) -> None:
    """Make a second copy of a library that packages bring along (``*.libs``) a link to the first."""
    found: dict[bytes, Path] = {}
    for path in sorted(site.glob("*.libs/*")):
        first = found.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
        if first != path:
            path.unlink()
            path.symlink_to(os.path.relpath(first, path.parent))


def update_record(record: Path) -> None:
    """Let the list of files of a package (PyPA, "Recording installed projects") say what is there and what it holds."""
    with record.open(newline="") as file:
        rows = [row for row in csv.reader(file) if (record.parent.parent / row[0]).exists()]
    with record.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for name, digest, size in rows:
            if digest:
                content = (record.parent.parent / name).read_bytes()
                coded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                digest, size = f"sha256={coded}", str(len(content))
            writer.writerow((name, digest, size))


def remove_unnamed(site: Path, patterns: tuple[str, ...]) -> None:
    """Remove what the patterns match, unless a library that stays names it: without its name none can load it."""
    found = [path for pattern in patterns for path in site.glob(pattern)]
    staying = [path for path in site.rglob("*.so*") if path.is_file() and path not in found] if found else []
    for path in found:
        name = path.name.partition(".so")[0].encode()  # a library may be asked for by any version
        if not any(holds(library, name) for library in staying):
            path.unlink()


def holds(path: Path, text: bytes) -> bool:
    """Return whether a file has a text in it; libraries of CUDA are too large to be read at once."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0


def cut_symbols(path: Path) -> int:
    """Cut what a 64-bit ELF file holds after the last byte that is loaded; return how many bytes that were.

    Section headers and symbol tables are for linkers and debuggers; dynamic symbols are part of what is loaded. Where a
    tool has put loaded segments at the end nothing is cut, and there is a gap to close.
    """
    end, size = loaded_end(path), path.stat().st_size
    if end is None or end >= size:
        return 0
    with path.open("r+b") as file:
        file.truncate(end)
        _forget_sections(file)
    return size - end


def close_gaps(path: Path) -> int:
    """Take out whole pages between the segments of a 64-bit ELF file; return how many bytes that were.

    Addresses stay; offsets after a gap shrink by whole pages, so that both agree as the loader asks (ELF, ``p_align``).
    """
    table = segment_table(path)
    if table is None:
        return 0
    start, entry, segments = table
    size, loaded = entry * len(segments), [one.align for one in segments if one.kind == PT_LOAD]
    gaps = _gaps([(start, start + size), *((one.start, one.end) for one in segments)], max(loaded, default=1))
    if not gaps:
        return 0
    content = bytearray(path.read_bytes())
    for number, one in enumerate(segments):
        struct.pack_into("<Q", content, start + number * entry + 8, _moved(one.start, gaps))  # p_offset
    struct.pack_into("<Q", content, 32, _moved(start, gaps))  # e_phoff
    for first, last in reversed(gaps):
        del content[first:last]
    path.write_bytes(content)
    with path.open("r+b") as file:
        _forget_sections(file)
    return sum(last - first for first, last in gaps)


def _gaps(used: list[tuple[int, int]], page: int) -> list[tuple[int, int]]:
    """Return the ranges of whole pages that no used range touches."""
    found, end = [], 64  # the header
    for start, stop in sorted(used):
        first, last = -(-end // page) * page, start // page * page
        if first < last:
            found.append((first, last))
        end = max(end, stop)
    return found


def _moved(offset: int, gaps: list[tuple[int, int]]) -> int:
    return offset - sum(last - first for first, last in gaps if last <= offset)


def _forget_sections(file: BinaryIO) -> None:
    file.seek(40)  # e_shoff
    file.write(struct.pack("<Q", 0))
    file.seek(58)  # e_shentsize, e_shnum, e_shstrndx
    file.write(struct.pack("<HHH", 0, 0, 0))


def loaded_end(path: Path) -> int | None:
    """Return where the last segment of a 64-bit little-endian ELF file ends; None for any other file."""
    table = segment_table(path)
    if table is None:
        return None
    start, entry, segments = table
    return max([start + entry * len(segments), *(one.end for one in segments)])


class Segment(NamedTuple):
    """Where a segment lies in its file."""

    kind: int
    start: int
    end: int
    align: int


PT_LOAD = 1


def segment_table(path: Path) -> tuple[int, int, list[Segment]] | None:
    """Return offset, size of an entry and segments of a 64-bit little-endian ELF file; None for any other file."""
    with path.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return None
        (start,) = struct.unpack_from("<Q", header, 32)
        entry, count = struct.unpack_from("<HH", header, 54)
        file.seek(start)
        table = file.read(entry * count)
    found = []
    for position in range(0, len(table), entry):
        kind, _, offset, _, _, length, _, align = struct.unpack_from("<IIQQQQQQ", table, position)
        found.append(Segment(kind, offset, offset + length, align))
    return start, entry, found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
