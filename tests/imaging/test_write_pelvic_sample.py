import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from imaging.classify_image import classify_image
from imaging.diffusion import DiffusionRole, adc_unit, b_value, diffusion_role
from imaging.image_kind import Plane, Weighting
from imaging.load_study import load_study
from imaging.pair_series import pair_series
from imaging.pelvic_phantom import Tissue, label_pelvis
from imaging.pelvic_signals import draw_tissues
from imaging.select_series import SeriesRule
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_pelvic_sample import (
    ADC,
    AXIAL_T2W,
    B_VALUES,
    CERVIX_MM,
    DWI,
    OTHERS,
    SAMPLE_ML,
    expected_tumour,
    sample_pelvis,
    series_affine,
    series_pixels,
    write_pelvic_study,
)

pytestmark = pytest.mark.system  # slow: many voxels

EVERY = (AXIAL_T2W, DWI, ADC, *OTHERS)


def small(series):
    """The same field of view in fewer voxels, one place in each."""
    planes = tuple(max(3, size // step) for size, step in zip(series.shape, (2, 4, 4), strict=True))
    spacing_mm = tuple(
        one * size / fewer for one, size, fewer in zip(series.spacing_mm, series.shape, planes, strict=True)
    )
    return replace(series, shape=planes, spacing_mm=spacing_mm, samples=(1, 1, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    series = (AXIAL_T2W, DWI, ADC, *(small(one) for one in OTHERS))
    return write_pelvic_study(tmp_path_factory.mktemp("pelvis") / "study", series=series)


@pytest.fixture(scope="module")
def stacks(folder):
    """The stacks of each series, by its number."""
    return {series.number: split_series(series) for series in load_study(folder).series}


@pytest.fixture(scope="module")
def headers(folder):
    return [dcmread(path, stop_before_pixels=True) for path in sorted(folder.rglob("*.dcm"))]


@pytest.fixture(scope="module")
def t2w(stacks):
    return to_volume(stacks[AXIAL_T2W.number][0]).volume


def image_of(volume):
    """The volume for SimpleITK, which knows nothing of this suite."""
    image = SimpleITK.GetImageFromArray(np.asarray(volume.array, np.float32))
    image.SetSpacing([float(size) for size in volume.spacing[::-1]])
    image.SetDirection(np.asarray(volume.direction)[:, ::-1].ravel().tolist())
    image.SetOrigin([float(place) for place in volume.position])
    return image


@pytest.mark.parametrize(("series", "weighting", "plane"), [
    (AXIAL_T2W, Weighting.T2W, Plane.AXIAL), (DWI, Weighting.DWI, Plane.AXIAL), (ADC, Weighting.ADC, Plane.AXIAL),
    (OTHERS[0], Weighting.LOCALIZER, Plane.AXIAL), (OTHERS[1], Weighting.T2W, Plane.SAGITTAL),
    (OTHERS[2], Weighting.T2W, Plane.AXIAL), (OTHERS[3], Weighting.PERFUSION, Plane.AXIAL),
], ids=lambda value: str(getattr(value, "number", value)))  # fmt: skip
def test_each_series_is_taken_for_what_it_is(stacks, series, weighting, plane):
    kinds = [classify_image(stack.header) for stack in stacks[series.number]]

    assert {kind.weighting for kind in kinds} == {weighting}
    assert {kind.plane for kind in kinds} == {plane}


def test_the_three_sequences_go_together(folder):
    def rule(weighting, **asked):
        return SeriesRule(title=str(weighting), modality="MR", weighting=weighting, **asked)

    pairing = pair_series(
        load_study(folder), rule(Weighting.T2W, plane=Plane.AXIAL), (rule(Weighting.DWI), rule(Weighting.ADC))
    )

    assert [companion.selection.stack.series.number for companion in pairing.companions] == [DWI.number, ADC.number]
    assert all(companion.overlap > 0.9 for companion in pairing.companions)


def test_one_series_holds_four_b_values(stacks):
    found = stacks[DWI.number]

    assert sorted(b_value(stack.header) for stack in found) == list(B_VALUES)
    assert {len(stack.frames) for stack in found} == {DWI.shape[0]}
    assert {diffusion_role(stack.header) for stack in found} == {DiffusionRole.TRACE}


def test_the_map_states_its_unit(stacks):
    (stack,) = stacks[ADC.number]
    unit = adc_unit(stack.header)

    assert diffusion_role(stack.header) is DiffusionRole.ADC
    assert (unit.mm2_per_s, unit.stated) == (1e-6, True)


def test_the_dynamic_series_holds_five_times(stacks):
    assert len(stacks[OTHERS[3].number]) == 5


@pytest.mark.parametrize("series", EVERY, ids=lambda series: series.number)
def test_a_series_lies_on_the_grid_that_was_asked_for(stacks, series):
    asked = series if series in (AXIAL_T2W, DWI, ADC) else small(series)
    stack = max(stacks[series.number], key=lambda one: len(one.frames))
    volume = to_volume(stack).volume

    mirrored = series_affine(asked)
    if volume.affine[:3, 0] @ mirrored[:3, 0] < 0:  # the suite may sort slices the other way round
        mirrored[:3, 3] += mirrored[:3, 0] * (asked.shape[0] - 1)
        mirrored[:3, 0] *= -1
    assert volume.shape == asked.shape
    np.testing.assert_allclose(volume.affine, mirrored, atol=1e-3)


def test_the_three_grids_are_oblique_to_each_other():
    normals = [series_affine(series)[:3, 0] / series.spacing_mm[0] for series in (AXIAL_T2W, DWI, ADC)]

    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert 1.5 < np.degrees(np.arccos(normals[one] @ normals[two])) < 15
    assert len({series.spacing_mm for series in (AXIAL_T2W, DWI, ADC)}) == 3


def test_all_series_share_study_and_frame_of_reference_and_no_instance(headers):
    assert len({header.StudyInstanceUID for header in headers}) == 1
    assert len({header.FrameOfReferenceUID for header in headers}) == 1
    assert len({header.SeriesInstanceUID for header in headers}) == len(EVERY)
    assert len({header.SOPInstanceUID for header in headers}) == len(headers)
    assert len({(header.SeriesNumber, header.InstanceNumber) for header in headers}) == len(headers)


def test_everything_is_called_synthetic(headers):
    for header in headers:
        assert "synthetic" in header.StudyDescription
        assert "phantom" in header.SeriesDescription
        assert str(header.PatientName).startswith("Synthetic")
        assert header.PatientSex == "F"


def test_the_expected_tumour_has_its_volume_and_lies_whole_inside_the_view():
    expected = expected_tumour()
    inner = expected[1:-1, 1:-1, 1:-1]

    assert expected.shape == AXIAL_T2W.shape
    assert np.count_nonzero(expected) * np.prod(AXIAL_T2W.spacing_mm) / 1000 == pytest.approx(SAMPLE_ML, rel=0.03)
    assert inner.sum() == expected.sum()


def test_the_expected_tumour_is_that_of_the_phantom_at_the_same_millimetres():
    expected = expected_tumour()
    index = np.argwhere(expected)[::97]
    points = index @ series_affine(AXIAL_T2W)[:3, :3].T + series_affine(AXIAL_T2W)[:3, 3]

    assert (label_pelvis(sample_pelvis(), points - np.array(CERVIX_MM)) == Tissue.TUMOUR).all()


def test_simpleitk_finds_the_tumour_bright_in_diffusion_and_dark_in_the_map_at_the_same_place(stacks, t2w):
    inside = core(expected_on(t2w))
    high = max(stacks[DWI.number], key=lambda stack: b_value(stack.header))
    diffusion, adc = (
        SimpleITK.GetArrayFromImage(
            SimpleITK.Resample(image_of(to_volume(stack).volume), image_of(t2w), SimpleITK.Transform())
        )
        for stack in (high, stacks[ADC.number][0])
    )

    true_adc = draw_tissues(0).adc_um2_per_s[Tissue.TUMOUR]
    assert np.median(adc[inside]) == pytest.approx(true_adc, rel=0.05)
    assert np.percentile(diffusion[inside], 5) > np.percentile(diffusion, 99)


def test_the_outline_of_the_tumour_in_diffusion_is_that_on_the_t2w_grid(stacks, t2w):
    expected = expected_on(t2w)
    high = max(stacks[DWI.number], key=lambda stack: b_value(stack.header))
    grid = image_of(t2w)
    diffusion = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(image_of(to_volume(high).volume), grid, SimpleITK.Transform())
    )
    bright = diffusion > 0.6 * np.median(diffusion[core(expected)])

    labels = SimpleITK.GetArrayFromImage(
        SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(bright.astype(np.uint8)))
    )
    found = labels == np.bincount(labels[expected]).argmax()
    assert 2 * np.count_nonzero(found & expected) / (found.sum() + expected.sum()) > 0.85


def test_equal_arguments_give_equal_files_and_another_seed_gives_another_study(folder, tmp_path):
    localizer = small(OTHERS[0])
    again = write_pelvic_study(tmp_path / "again", series=(localizer,)) / "series1"
    other = write_pelvic_study(tmp_path / "other", seed=1, series=(localizer,)) / "series1"

    for path in sorted((folder / "series1").iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes()
    one, two = dcmread(again / "0001.dcm"), dcmread(other / "0001.dcm")
    assert one.StudyInstanceUID != two.StudyInstanceUID
    assert one.PixelData != two.PixelData


def test_noise_is_mild_and_the_signal_is_not_cut_off():
    pixels = series_pixels(small(DWI), 0)

    assert pixels.shape[0] == len(B_VALUES)
    assert (pixels == 4095).mean() < 0.001
    assert pixels[0].mean() > pixels[-1].mean() > 20


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("series", EVERY, ids=lambda series: series.number)
def test_dciodvfy_finds_no_error(folder, series):
    path = folder / f"series{series.number}" / "0002.dcm"
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=30, check=False).stderr

    assert "MRImage" in said
    assert "Error" not in said


def expected_on(volume):
    """The expected tumour in the order of slices of a volume that was read."""
    expected = expected_tumour()
    return expected if volume.affine[:3, 0] @ series_affine(AXIAL_T2W)[:3, 0] > 0 else expected[::-1]


def core(mask):
    """What lies well inside: partial volume of the coarse sequences does not reach it."""
    image = SimpleITK.BinaryErode(SimpleITK.GetImageFromArray(mask.astype(np.uint8)), (8, 8, 1))
    return SimpleITK.GetArrayFromImage(image) > 0
