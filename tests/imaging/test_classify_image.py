import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import Dataset

from imaging.classify_image import classify_image
from imaging.diffusion import DiffusionRole
from imaging.image_kind import Kernel, Plane, Weighting
from tests.imaging.build_header import VendorHeader
from tests.imaging.classify_report import confusion, wrong_facts
from tests.imaging.vendor_headers import VENDOR_HEADERS

ROOT = Path(__file__).parents[2]


def header_with(**attributes):
    header = Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize("case", VENDOR_HEADERS, ids=lambda case: case.name)
def test_a_header_of_each_maker_is_known_without_its_description(case: VendorHeader):
    assert wrong_facts(case) == []


def test_nineteen_of_twenty_synthetic_headers_are_right():
    counts = confusion()

    right = sum(number for (expected, found), number in counts.items() if expected == found)

    assert right >= 0.95 * counts.total()


@pytest.mark.system
def test_the_confusion_table_is_one_command():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.imaging.classify_report"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert f"of {len(VENDOR_HEADERS)} right" in ended.stdout


@pytest.mark.parametrize("case", VENDOR_HEADERS, ids=lambda case: case.name)
def test_a_misleading_description_changes_no_weighting_that_attributes_tell(case):
    header = case.dataset()
    header.SeriesDescription = "localizer"
    expected = classify_image(case.dataset())

    kind = classify_image(header)

    assert kind.weighting is expected.weighting or expected.confidence <= 0.5


@pytest.mark.parametrize(
    ("description", "weighting"),
    [
        ("anat-T1w", Weighting.T1W),
        ("ep2d_diff_tra_ADC", Weighting.ADC),
        ("t2_tse_sag", Weighting.T2W),
        ("AX DWI b1000", Weighting.DWI),
        ("t2_tirm_tra_dark-fluid", Weighting.FLAIR),
        ("STIR SAG", Weighting.STIR),
        ("tfl_3d PD ref", Weighting.PDW),
        ("Scout 3 plane", Weighting.LOCALIZER),
    ],
)
def test_a_description_alone_gives_a_confidence_under_a_half_and_says_so(description, weighting):
    kind = classify_image(header_with(Modality="MR", SeriesDescription=description))

    assert (kind.weighting, kind.described_only) == (weighting, True)
    assert kind.confidence < 0.5
    assert "only the description names a weighting" in kind.evidence


@pytest.mark.parametrize("description", ["", "brain", "pd+t2_tse_sag", "pdf export"])
def test_a_description_without_one_contrast_tells_nothing(description):
    kind = classify_image(header_with(SeriesDescription=description))

    assert (kind.weighting, kind.confidence) == (Weighting.UNKNOWN, 0.0)


def test_a_description_that_agrees_raises_the_confidence():
    t2w = {"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 100}

    named = classify_image(header_with(**t2w, SeriesDescription="t2_tse")).confidence

    assert named > classify_image(header_with(**t2w)).confidence


def test_a_description_breaks_a_tie_between_readings_of_the_same_facts():
    derived = {
        "ImageType": ["DERIVED", "SECONDARY", "COMBINED"],
        "ScanningSequence": ["EP", "SE"],
        "DiffusionBValue": 1000.0,
        "RepetitionTime": 7000,
        "EchoTime": 68,
    }

    assert classify_image(header_with(**derived)).weighting is Weighting.DWI
    assert classify_image(header_with(**derived, SeriesDescription="ADC (10^-6 mm2/s)")).weighting is Weighting.ADC


def test_a_contrast_that_the_times_contradict_is_less_sure():
    t2w = {"EchoPulseSequence": "SPIN", "RepetitionTime": 4000, "EffectiveEchoTime": 100.0}

    kind = classify_image(header_with(**t2w, AcquisitionContrast="T1"))

    assert (kind.weighting, kind.confidence) == (Weighting.T2W, 0.6)
    assert "Acquisition Contrast says T1w" in kind.evidence


@pytest.mark.parametrize(
    ("orientation", "plane", "tilt_deg"),
    [
        ([1, 0, 0, 0, 1, 0], Plane.AXIAL, 0.0),
        ([-1, 0, 0, 0, 1, 0], Plane.AXIAL, 0.0),
        ([0, 1, 0, 0, 0, -1], Plane.SAGITTAL, 0.0),
        ([1, 0, 0, 0, 0, -1], Plane.CORONAL, 0.0),
        ([1, 0, 0, 0, 0.9397, -0.3420], Plane.AXIAL, 20.0),
        ([0.9848, 0.1736, 0, 0, 0, -1], Plane.CORONAL, 10.0),
        ([1, 0, 0, 1, 0, 0], None, None),
        ([1, 0, 0], None, None),
        (None, None, None),
    ],
)
def test_the_plane_is_the_nearest_one_and_its_tilt_is_said(orientation, plane, tilt_deg):
    kind = classify_image(header_with(ImageOrientationPatient=orientation))

    assert kind.plane is plane
    assert kind.tilt_deg == (tilt_deg if tilt_deg is None else pytest.approx(tilt_deg, abs=0.05))


@pytest.mark.parametrize(
    ("attributes", "enhanced"),
    [
        ({"ContrastBolusAgent": "GADOVIST"}, True),
        ({"ContrastBolusAgent": "NONE"}, False),
        ({"ContrastBolusAgent": ""}, None),
        ({"ContrastBolusVolume": 15}, True),
        ({"ContrastBolusVolume": 0}, None),
        ({"ContrastBolusAgentSequence": [Dataset()]}, True),
        ({}, None),
    ],
)
def test_contrast_is_yes_no_or_not_stated(attributes, enhanced):
    assert classify_image(header_with(**attributes)).contrast_enhanced is enhanced


@pytest.mark.parametrize(
    ("attributes", "suppressed"),
    [
        ({"ScanOptions": ["PFP", "FS"]}, True),
        ({"ScanOptions": "SAT1"}, False),
        ({"ScanOptions": ""}, None),
        ({"SpectrallySelectedSuppression": "FAT"}, True),
        ({"SpectrallySelectedSuppression": "NONE"}, False),
        ({"SpectrallySelectedExcitation": "WATER"}, True),
        ({}, None),
    ],
)
def test_fat_suppression_is_yes_no_or_not_stated(attributes, suppressed):
    assert classify_image(header_with(**attributes)).fat_suppressed is suppressed


def test_an_image_of_another_modality_is_unknown():
    kind = classify_image(header_with(Modality="PT", RepetitionTime=500, EchoTime=10))

    assert (kind.weighting, kind.confidence, kind.modality) == (Weighting.UNKNOWN, 0.0, "PT")


def test_a_kernel_that_is_in_no_table_is_unknown():
    assert classify_image(header_with(Modality="CT", ConvolutionKernel="XYZZY")).kernel is Kernel.UNKNOWN


def test_b_0_of_a_philips_diffusion_series_is_diffusion_although_it_is_no_epi_by_its_attributes():
    case = next(case for case in VENDOR_HEADERS if "DwiSE" in case.name and case.facts.get("b_value") == 0)

    assert classify_image(case.dataset()).diffusion is DiffusionRole.UNWEIGHTED
