"""What the cases write is what they declare: read by pydicom alone, with the formulas of PS3.3."""

import re
import shutil
import subprocess
import warnings

import numpy as np
import pytest
from pydicom import dcmread

from tests.dicom_cases import OF_SLICES, cases
from tests.dicom_cases.case import Exact
from tests.dicom_cases.phantom import VOLUME_STEP
from tests.dicom_cases.quick import mostly_system
from tests.phantoms import position_code

CASES = cases(OF_SLICES)
PLAIN_READING = [
    case
    for case in CASES
    if isinstance(case.expected, Exact)
    and not case.expected.may_refuse
    and not any(grid.blank for grid in case.expected.grids)
    and not case.name.startswith(
        ("unsigned-12-high-bit", "signed-12", "unsigned-12", "rescale-empty", "few-digits", "positions-jitter")
    )
]
VALIDATED = ["plain", "plain-ct", "tilt", "b-values", "echoes", "mixed-matrix", "monochrome1-ct", "slope-per-slice"]


def named(case):
    return case.name


def positions_mm(header):
    """LPS position of each pixel, (row, column, 3), by equation C.7.6.2.1-1 of PS3.3."""
    origin, orientation = (np.array(header[name].value, float) for name in (0x00200032, 0x00200037))
    between_rows, between_columns = map(float, header.PixelSpacing)
    row, column = np.mgrid[: header.Rows, : header.Columns][..., None]
    return origin + column * between_columns * orientation[:3] + row * between_rows * orientation[3:]


def test_names_are_kebab_case_and_each_has_one_sentence():
    for case in cases():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.name)
        assert case.about.endswith("."), case.name
        assert "\n" not in case.about, case.name


@pytest.mark.parametrize("case", mostly_system(PLAIN_READING, 8))
def test_every_pixel_holds_the_code_of_its_position(case, written):
    for path in written(case).iterdir():
        header = dcmread(path)
        values = header.pixel_array * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
        rest = values - position_code(positions_mm(header))
        volume = np.rint(np.median(rest) / VOLUME_STEP)
        assert 0 <= volume < case.expected.volumes + len(case.expected.refused)
        assert np.abs(rest - volume * VOLUME_STEP).max() <= case.expected.rounding * 1.001 + 0.01


@pytest.mark.parametrize("case", CASES[::7], ids=named)
def test_a_case_is_written_alike_every_time(case, written, tmp_path):
    case.write(tmp_path)

    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (written(case), tmp_path))

    assert one == two


@pytest.mark.parametrize("case", mostly_system(CASES, 8))
def test_every_instance_has_a_uid_of_its_own_in_one_series(case, written):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        headers = [dcmread(path, stop_before_pixels=True) for path in written(case).iterdir()]

    assert len({header.SOPInstanceUID for header in headers}) == len(headers)
    assert len({header.SeriesInstanceUID for header in headers}) == 1


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize("case", [case for case in CASES if case.name in VALIDATED], ids=named)
def test_the_headers_are_valid(case, written):
    for path in written(case).iterdir():
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False, timeout=60)
        assert not [line for line in done.stderr.splitlines() if line.startswith("Error")]
