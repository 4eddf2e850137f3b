"""Readers of segmentations: each takes cases and gives of each one the masks it reads, or a text that says why not."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import SimpleITK
from pydicom import dcmread

from pacs.fetch_viewer import fetch_viewer
from pacs.orthanc import run_orthanc
from pacs.serve import serve_viewer
from tests.system.command import ROOT

HERE = Path(__file__).parent
MAJORITY = 0.5
"""From this share of the maximum on, a voxel of a FRACTIONAL segmentation is compared as belonging to the segment."""


@dataclass(frozen=True)
class Case:
    """A segmentation on disk, and what it was made of."""

    folder: Path  # in which readers may write
    seg: Path
    sources: Sequence[Path]  # in the order of their slices
    slices: Sequence[int]  # of the volume, which those are
    affine: np.ndarray  # of the volume, (slice, row, column) to LPS mm

    def in_volume(self, maps: np.ndarray) -> Found:
        """Return the segments in label maps on the source images, (map, slice, row, column)."""
        volume = np.zeros((len(maps), max(self.slices) + 1, *maps.shape[2:]), np.uint8)
        volume[:, list(self.slices)] = maps
        numbers = [int(number) for number in np.unique(volume) if number]
        return {number: ((volume == number).any(axis=0), self.affine) for number in numbers}


Found = dict[int, tuple[np.ndarray, np.ndarray]]
"""Mask (slice, row, column) and affine of each segment that is not empty, by its number."""
Reader = Callable[[Sequence[Case]], list[Found | str]]


def read_by_highdicom(cases: Sequence[Case]) -> list[Found | str]:
    """As volumes, with every slice in its place."""

    def read(case: Case) -> Found:
        seg = hd.seg.segread(case.seg)
        volume = seg.get_volume(combine_segments=False, rescale_fractional=True)
        return {
            number: (volume.array[..., at] > MAJORITY, volume.affine)
            for at, number in enumerate(seg.segment_numbers)
            if number > 0
        }

    return [read(case) for case in cases]


def read_by_dcmqi(cases: Sequence[Case]) -> list[Found | str]:
    """By segimage2itkimage: the code of 3D Slicer's QuantitativeReporting."""
    return [_read_by_dcmqi(case) for case in cases]


def _read_by_dcmqi(case: Case) -> Found | str:
    out = case.folder / "dcmqi"
    out.mkdir()
    program = Path(sys.executable).with_name("segimage2itkimage")
    command = [program, "--inputDICOM", case.seg, "--outputDirectory", out, "-t", "nii"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    files = sorted(out.glob("*.nii.gz"))
    if done.returncode or not files:
        said = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line.upper()]
        return said[0] if said else f"exit code {done.returncode}"
    header = dcmread(case.seg, stop_before_pixels=True)
    least = 1 if header.SegmentationType != "FRACTIONAL" else header.MaximumFractionalValue * MAJORITY
    found: Found = {}
    for file in files:
        array, affine = _read_nifti(file)
        if header.SegmentationType == "LABELMAP":
            found |= {int(number): (array == number, affine) for number in np.unique(array) if number}
        else:
            found[int(file.name.partition(".")[0])] = (array >= least, affine)
    return found


def _read_nifti(file: Path) -> tuple[np.ndarray, np.ndarray]:
    image, affine = SimpleITK.ReadImage(str(file)), np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


def read_by_cornerstone(cases: Sequence[Case]) -> list[Found | str]:
    """By @cornerstonejs/adapters on dcmjs, in Node: what viewers built on Cornerstone call on a file."""
    jobs = [
        {"sources": list(map(str, case.sources)), "seg": str(case.seg), "voxels": str(case.folder / "voxels")}
        for case in cases
    ]
    with tempfile.TemporaryDirectory() as place:
        bundle = Path(place) / "load_seg.cjs"
        command = ["node_modules/.bin/esbuild", "load_seg.mjs", "--bundle", "--platform=node", f"--outfile={bundle}"]
        subprocess.run(command, cwd=HERE, check=True, capture_output=True)
        answers = _node(bundle, jobs)
    return [_of_cornerstone(case, answer) for case, answer in zip(cases, answers, strict=True)]


def _of_cornerstone(case: Case, answer: dict) -> Found | str:
    if "error" in answer:
        return str(answer["error"])
    source = dcmread(case.sources[0])
    voxels = np.frombuffer((case.folder / "voxels").read_bytes(), np.uint8)
    return case.in_volume(voxels.reshape(-1, len(case.sources), source.Rows, source.Columns))


def read_by_ohif(cases: Sequence[Case]) -> list[Found | str]:
    """By the viewer itself, in Chromium, from Orthanc's DICOMweb."""
    viewer = fetch_viewer(ROOT / ".viewer")
    with tempfile.TemporaryDirectory() as place, run_orthanc(Path(place), 0) as orthanc:
        for case in cases:
            for file in (*case.sources, case.seg):
                orthanc.request("POST", "/instances", file.read_bytes())
        with serve_viewer(viewer, orthanc, 0) as address:
            studies = [dcmread(case.seg, stop_before_pixels=True).StudyInstanceUID for case in cases]
            plan = {"address": address, "studies": studies}
            answers = _node(ROOT / "tests" / "browser" / "read_segs.mjs", plan)
    return [_of_ohif(case, answer) for case, answer in zip(cases, answers, strict=True)]


def _of_ohif(case: Case, answer: dict) -> Found | str:
    if "error" in answer:
        return str(answer["error"])
    headers = [dcmread(path, stop_before_pixels=True) for path in case.sources]
    images = [
        [np.frombuffer(base64.b64decode(one["voxels"]), np.uint8) for one in answer["images"] if uid in one["source"]]
        for uid in (header.SOPInstanceUID for header in headers)
    ]
    maps = np.array(images).swapaxes(0, 1)
    return case.in_volume(maps.reshape(*maps.shape[:2], headers[0].Rows, headers[0].Columns))


def _node(script: Path, work: object) -> list[dict]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(work, file)
        file.flush()
        done = subprocess.run(
            ["node", script, file.name], cwd=script.parent, capture_output=True, text=True, timeout=900, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


READERS: dict[str, Reader] = {
    "OHIF 3.13, from Orthanc": read_by_ohif,
    "`@cornerstonejs/adapters` 5.6": read_by_cornerstone,
    "dcmqi (3D Slicer)": read_by_dcmqi,
    "highdicom": read_by_highdicom,
}
