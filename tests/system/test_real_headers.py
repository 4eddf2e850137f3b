"""The classifier on the headers of real studies, where the folder of development data is there."""

import os
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from imaging.classify_image import classify_image
from imaging.diffusion import DiffusionRole, b_value
from imaging.image_kind import Kernel, Plane, Weighting
from tests.system.command import ROOT

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore")]  # real headers hold odd values
DATA = Path(os.environ.get("MAP_SHARED_DATA", ROOT.parent / "shared" / "data"))
WEIGHTINGS = {  # archive: series number: weighting
    "skull_strip/dicom/adi_brain.tar.xz": {
        5: Weighting.T1W, 6: Weighting.T2W, 17: Weighting.PERFUSION, 18: Weighting.MAP,
    },
    "skull_strip/dicom/studyforrest.tar.xz": {401: Weighting.T1W},
    "cervical_tumor/dicom/ProstateX-0000.tar.xz": {
        3: Weighting.T2W, 4: Weighting.T2W, 5: Weighting.T2W, 6: Weighting.DWI, 7: Weighting.ADC, 8: Weighting.DWI,
        9: Weighting.PDW,
    },
    "lung_nodule/dicom/C3N-00247.tar.xz": {2: Weighting.CT},
    "dicom_edge_cases/gantry_tilt_variable_spacing_ge_ct.tar.xz": {2: Weighting.CT},
}  # fmt: skip
FOLDERS = {
    "dicom_edge_cases/transfer_syntaxes": Weighting.T2STAR,  # echo-planar gradient echo: functional imaging
    "dicom_edge_cases/jpeg2000_ct": Weighting.CT,
}


def headers_of(name: str) -> dict[int, list[Dataset]]:
    """Headers of an archive by series number."""
    archive = DATA / name
    if not archive.exists():
        pytest.skip(f"needs {name} of the development data (MAP_SHARED_DATA)")
    found = defaultdict(list)
    with tarfile.open(archive) as packed:
        for member in packed:
            if not member.isfile():
                continue
            try:
                header = dcmread(packed.extractfile(member), stop_before_pixels=True)
            except InvalidDicomError:
                continue
            found[int(header.SeriesNumber)].append(header)
    return found


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_every_image_of_every_series_is_known(name):
    found = headers_of(name)

    assert {number: {classify_image(header).weighting for header in found[number]} for number in found} == {
        number: {weighting} for number, weighting in WEIGHTINGS[name].items()
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_image_of_the_edge_cases_is_known(folder):
    files = sorted((DATA / folder).glob("*"))
    if not files:
        pytest.skip(f"needs {folder} of the development data (MAP_SHARED_DATA)")

    assert {classify_image(dcmread(file, stop_before_pixels=True)).weighting for file in files} == {FOLDERS[folder]}


def test_the_b_values_of_a_diffusion_series_are_told_apart():
    found = headers_of("cervical_tumor/dicom/ProstateX-0000.tar.xz")
    kinds = [classify_image(header) for header in found[6]]

    assert sorted(b_value(header) for header in found[6]) == [50] * 19 + [400] * 19 + [800] * 19
    assert {kind.diffusion for kind in kinds} == {DiffusionRole.TRACE}
    assert {classify_image(header).diffusion for header in found[8]} == {DiffusionRole.CALCULATED}
    assert {classify_image(header).b_value for header in found[8]} == {1000}


def test_planes_of_a_pelvis_are_named_with_their_tilt():
    found = headers_of("cervical_tumor/dicom/ProstateX-0000.tar.xz")
    planes = {number: classify_image(found[number][0]) for number in (3, 4, 5)}

    assert [kind.plane for kind in planes.values()] == [Plane.SAGITTAL, Plane.AXIAL, Plane.CORONAL]
    assert [round(kind.tilt_deg) for kind in planes.values()] == [0, 18, 18]


def test_a_weighting_that_only_a_description_tells_is_unsure():
    found = headers_of("skull_strip/dicom/studyforrest.tar.xz")

    kind = classify_image(found[401][0])

    assert kind.described_only
    assert kind.confidence < 0.5


def test_a_lung_kernel_is_sharp():
    found = headers_of("lung_nodule/dicom/C3N-00247.tar.xz")

    assert {classify_image(header).kernel for header in found[2]} == {Kernel.SHARP}
