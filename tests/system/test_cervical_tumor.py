"""The cervical tumour application on pelvic studies: three sequences on three oblique grids, and what it refuses."""

import shutil
import tarfile

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  its usual name
from highdicom import VolumeGeometry
from highdicom.seg import segread
from pydicom import dcmread

from imaging.evaluate_masks import evaluate_masks
from imaging.write_pelvic_sample import AXIAL_T2W, SAMPLE_ML
from imaging.write_pelvic_sample import expected_tumour as sample_tumour
from tests.series_samples import assert_same_at_the_same_mm, edit_study
from tests.system.command import ROOT, VERDICT, copy_of, execute, written_sample
from tests.system.pelvic_study import (
    SIGNALS,
    T2W_AFFINE,
    T2W_MM,
    T2W_SHAPE,
    TISSUE,
    TRUST,
    TUMOUR_MM,
    Nothing,
    Restricted,
    expected_tumour,
    stand_in,
    write_study,
)
from tests.system.test_readers import image_affine, output_of, read_image, tool

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # deprecated, and still the format
]

OBJECTS = {"seg.dcm", "sr.dcm", "report.html", *VERDICT}


def run_of(study, folder, models, *more):
    return execute(study, folder / "out", models, *more, app="cervical_tumor")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A formula in the place of the network: what it finds is known."""
    return stand_in(tmp_path_factory.mktemp("models"), Restricted())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("pelvis") / "study")


@pytest.fixture(scope="module")
def ended(study, models, tmp_path_factory):
    """A whole run with every output."""
    found = run_of(study, tmp_path_factory.mktemp("run"), models, "--votes", "--nifti")
    assert found.code == 0, found.stderr
    return found


def tumour_in(found):
    """Mask of the segment on the grid of the T2w series, by another reader."""
    return on_t2w_grid(segread(found.output / "seg.dcm").get_volume(combine_segments=True)) > 0


def on_t2w_grid(volume):
    """Values of a volume whose voxels are voxels of the T2w series, 0 elsewhere."""
    grid = VolumeGeometry(T2W_AFFINE, T2W_SHAPE, "PATIENT", frame_of_reference_uid=volume.frame_of_reference_uid)
    return volume.match_geometry(grid).array.reshape(T2W_SHAPE)


def test_the_tumour_is_segmented_where_it_is_on_the_t2w_grid(ended):
    scores = evaluate_masks(expected_tumour(), tumour_in(ended), T2W_MM)

    assert scores.dice > 0.94


def test_the_tumour_is_measured(ended):
    found = ended.record["measurements"]

    volume_ml = 4 / 3 * np.pi * np.prod(TUMOUR_MM[1]) / 1000
    assert found["tumour"]["volume_ml"] == pytest.approx(volume_ml, rel=0.08)
    assert found["tumour"]["longest_diameter_mm"] == pytest.approx(34, abs=2.5)
    assert found["tumour"]["longest_axial_diameter_mm"] == pytest.approx(34, abs=2.5)
    for kind, name in (("adc", "mean_adc_1e-6_mm2_per_s"), ("t2w", "mean_t2w_signal")):
        inside, around = SIGNALS["tumour"][1][kind], TISSUE[kind]
        assert abs(found["tumour"][name] - inside) < 0.2 * abs(around - inside)  # coarse voxels at the rim hold both
    np.testing.assert_allclose(found["tumour"]["centre_lps_mm"], TUMOUR_MM[0], atol=1)


def test_the_means_are_those_that_another_reader_computes(ended):
    mask = sitk.ReadImage(str(ended.output / "tumour.nii.gz"))
    for name, key in (("adc", "mean_adc_1e-6_mm2_per_s"), ("t2w", "mean_t2w_signal")):
        judge = sitk.LabelStatisticsImageFilter()
        judge.Execute(sitk.ReadImage(str(ended.output / f"{name}.nii.gz")), mask)
        assert ended.record["measurements"]["tumour"][key] == pytest.approx(judge.GetMean(1), rel=1e-4, abs=0.05)


def test_the_other_object_is_kept_with_its_volume_and_activation(ended):
    first, other = ended.record["measurements"]["objects"]

    assert (first["primary"], other["primary"]) == (True, False)
    assert other["mean_activation"] < first["mean_activation"]
    assert any("1 other object above the threshold" in flag for flag in ended.record["flags"])


def test_the_record_says_what_was_taken_and_what_the_weights_are(ended):
    sequences = ended.record["sequences"]

    assert [sequences[name]["series_number"] for name in ("t2w", "dwi", "adc")] == [3, 5, 6]
    assert sequences["dwi"]["b_value_s_per_mm2"] == 800
    assert ended.record["weights"] == TRUST
    assert TRUST.rstrip(".") in ended.record["flags"]


def test_what_was_asked_for_is_written(ended):
    nifti = {"tumour.nii.gz", "t2w.nii.gz", "dwi.nii.gz", "adc.nii.gz"}

    assert ended.files - ended.overlays == OBJECTS | nifti | {"votes.dcm"}


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm", "votes.dcm", "overlays/overlay_0001.dcm"])
def test_dciodvfy_finds_no_error(ended, name):
    said = output_of(tool("dciodvfy"), ended.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []


def test_dcmqi_finds_the_tumour_at_the_same_mm(ended, tmp_path):
    mask, affine = read_image(ended.output / "tumour.nii.gz")

    output_of(
        tool("segimage2itkimage"), "--inputDICOM", ended.output / "seg.dcm", "--outputDirectory", tmp_path, "-t", "nii"
    )

    found, found_affine = read_image(tmp_path / "1.nii.gz")
    assert_same_at_the_same_mm(mask > 0, affine, found > 0, found_affine)


def test_the_segment_is_a_primary_neoplasm_of_the_cervix(ended):
    (segment,) = dcmread(ended.output / "seg.dcm").SegmentSequence

    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Neoplasm, Primary"
    region = segment.AnatomicRegionSequence[0]
    assert (region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning) == ("71252005", "SCT", "Cervix uteri")
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName.startswith("stand-in")


def test_dsrdump_reads_the_measurements_and_what_the_weights_are(ended):
    said = output_of(tool("dsrdump"), "+Pl", ended.output / "sr.dcm")

    tumour = ended.record["measurements"]["tumour"]
    assert f'"{tumour["volume_ml"]:.2f}" (mL,UCUM,"mL")' in said
    assert f'"{tumour["longest_diameter_mm"]:g}" (mm,UCUM,"mm")' in said
    assert '(um2/s,UCUM,"um2/s")' in said
    assert '"1.0" (1,UCUM,"no units")' in said  # other objects
    assert TRUST.rstrip(".") in said
    assert "Research use only" in said


def test_the_votes_are_the_activation_of_every_object_and_exceed_the_threshold_where_the_tumour_is(ended):
    votes = on_t2w_grid(segread(ended.output / "votes.dcm").get_volume(rescale_fractional=True))
    mask = tumour_in(ended)

    assert votes[mask].min() > 0.495  # 255 steps
    decoy = (votes > 0.505) & ~mask
    volume_ml = ended.record["measurements"]["objects"][1]["volume_ml"]
    assert np.count_nonzero(decoy) * np.prod(T2W_MM) / 1000 == pytest.approx(volume_ml, rel=0.1)


@pytest.mark.parametrize("name", ["dwi", "adc"])
def test_diffusion_and_adc_are_where_simpleitk_puts_them(study, ended, name):
    found = sitk.ReadImage(str(ended.output / f"{name}.nii.gz"))

    assert_resampled(read_series(study / name), found)


def read_series(folder):
    """A series as SimpleITK reads it."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.Cast(reader.Execute(), sitk.sitkFloat32)


def assert_resampled(moving, found, gain=1.0):
    """An aligned image is what SimpleITK makes of the series on its grid, and would not be half a pixel beside it."""
    errors = []
    for half_pixels in (0, 1):
        beside = sitk.TranslationTransform(3, [0.5 * half_pixels * size for size in (found.GetSpacing()[0], 0, 0)])
        expected = sitk.GetArrayFromImage(sitk.Resample(moving, found, beside, sitk.sitkLinear, -1.0))
        inside = expected >= 0  # SimpleITK has nothing between the outermost centres and the edges of voxels
        errors.append(np.abs(gain * expected - sitk.GetArrayFromImage(found))[inside].mean())
    assert np.ptp(expected[inside]) > 0
    assert errors[0] < 1e-3 * gain * np.ptp(expected[inside])
    assert errors[1] > 4 * errors[0]


def test_the_full_grid_gives_the_same_tumour(study, models, ended, tmp_path):
    full = run_of(study, tmp_path, models, "--full-grid")

    assert full.code == 0, full.stderr
    assert np.mean(tumour_in(full) != tumour_in(ended)) < 1e-5
    assert full.files == OBJECTS | full.overlays


def test_without_a_tumour_there_is_a_report_that_says_so_and_no_segmentation(tmp_path):
    found = run_of(write_study(tmp_path / "study"), tmp_path, stand_in(tmp_path / "models", Nothing()))

    assert found.code == 0, found.stderr
    assert found.files - {"overlays/overlay_0001.dcm"} == OBJECTS - {"seg.dcm"}
    assert found.overlays == {"overlays/overlay_0001.dcm"}
    assert found.record["measurements"] == {"tumour": None, "other_objects": 0, "objects": []}
    assert [line for line in output_of(tool("dciodvfy"), found.output / "sr.dcm").splitlines() if "Error" in line] == []
    assert "nothing is above the threshold" in output_of(tool("dsrdump"), "+Pl", found.output / "sr.dcm")


def test_t2w_alone_is_refused_and_taken_when_that_is_allowed(models, tmp_path):
    study = write_study(tmp_path / "study", series=("t2w",))

    refused = run_of(study, tmp_path / "refused", models)
    taken = run_of(study, tmp_path / "taken", models, "--allow-missing")

    assert (refused.code, refused.files) == (3, set(VERDICT))
    assert "--allow-missing" in refused.stderr
    assert taken.code == 0, taken.stderr
    assert taken.files == OBJECTS | taken.overlays
    assert any("no diffusion-weighted images" in flag for flag in taken.record["flags"])
    assert taken.record["measurements"]["tumour"]["mean_adc_1e-6_mm2_per_s"] is None


def test_a_model_that_needs_every_sequence_does_not_run_without_one(tmp_path):
    study = write_study(tmp_path / "study", series=("t2w", "dwi"))
    models = stand_in(tmp_path / "models", Restricted(), may_be_absent=("DWI",))

    found = run_of(study, tmp_path, models, "--allow-missing")

    assert (found.code, found.record["reason"]) == (3, "no_match")
    assert "without ADC it does not work" in found.record["exception_message"]


def in_another_frame(header, _):
    """As after the patient moved: 5 mm, and a frame of reference of its own."""
    header.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.1"
    header.ImagePositionPatient = [
        float(at) + by for at, by in zip(header.ImagePositionPatient, (3, -4, 2), strict=True)
    ]


def test_two_frames_of_reference_are_refused_and_registered_when_that_is_asked_for(study, models, ended, tmp_path):
    elsewhere = copy_of(study, tmp_path / "study")
    for kind in ("dwi", "adc"):
        edit_study(elsewhere / kind, in_another_frame)

    refused = run_of(elsewhere, tmp_path / "refused", models)
    registered = run_of(elsewhere, tmp_path / "registered", models, "--register")

    assert (refused.code, refused.files) == (3, set(VERDICT))
    assert "another frame of reference" in refused.stderr
    assert registered.code == 0, registered.stderr
    assert evaluate_masks(tumour_in(ended), tumour_in(registered), T2W_MM).dice > 0.7
    assert registered.record["sequences"]["adc"]["registration"] is not None
    assert any("frame of reference" in flag for flag in registered.record["flags"])


@pytest.mark.parametrize(("kind", "number", "usual_mm", "gap_mm"), [
    ("t2w", 3, "3.00", "6.00"), ("dwi", 5, "4.20", "8.40"), ("adc", 6, "4.20", "8.40"),
])  # fmt: skip
def test_a_missing_slice_is_refused_with_its_place_and_nothing_else_is_left(
    study, models, tmp_path, kind, number, usual_mm, gap_mm
):
    short = copy_of(study, tmp_path / "study")
    (short / kind / "0009.dcm").unlink()

    found = run_of(short, tmp_path, models, "--votes", "--nifti")

    assert (found.code, found.record["reason"]) == (4, "missing_slice")
    assert f"evenly spaced ({usual_mm} mm in series {number} " in found.stderr
    assert f"{gap_mm} mm between slices 8 and 9" in found.stderr
    assert {path.name for path in found.output.iterdir()} == set(VERDICT)  # no folder either


@pytest.mark.parametrize(("kind", "file"), [("dwi", "0009.dcm"), ("b0", "0027.dcm")])
def test_a_b_value_with_a_missing_slice_is_not_fitted_to(models, tmp_path, kind, file):
    study = write_study(tmp_path / "study", series=("t2w", "dwi", "b0"))
    (study / kind / file).unlink()

    found = run_of(study, tmp_path, models, "--derived-adc")

    assert (found.code, found.record["reason"]) == (3, "no_match")
    assert "two b-values on one grid" in found.stderr
    assert {path.name for path in found.output.iterdir()} == set(VERDICT)


def test_an_adc_that_is_not_there_is_fitted_and_written_when_that_is_asked_for(models, ended, tmp_path):
    study = write_study(tmp_path / "study", series=("t2w", "dwi", "b0"))

    found = run_of(study, tmp_path, models, "--derived-adc")

    assert found.code == 0, found.stderr
    assert any("fitted to b = 0, 800" in flag for flag in found.record["flags"])
    assert any(name.startswith("adc/") for name in found.files)
    own, other = (one.record["measurements"]["tumour"]["mean_adc_1e-6_mm2_per_s"] for one in (found, ended))
    assert own == pytest.approx(other, rel=0.06)
    assert evaluate_masks(tumour_in(ended), tumour_in(found), T2W_MM).dice > 0.9


def test_two_runs_give_the_same_objects_and_other_settings_other_uids(study, models, ended, tmp_path):
    again = run_of(study, tmp_path / "again", models)
    other = run_of(study, tmp_path / "other", models, "--allow-missing")

    segs = [dcmread(one.output / "seg.dcm") for one in (ended, again, other)]
    assert segs[0].SOPInstanceUID == segs[1].SOPInstanceUID != segs[2].SOPInstanceUID
    assert segs[0].PixelData == segs[1].PixelData == segs[2].PixelData


# -- the embedded sample ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return written_sample("cervical_tumor", tmp_path_factory.mktemp("sample") / "study")


def test_of_the_sample_the_three_right_series_are_taken(sample, models, tmp_path):
    found = run_of(sample, tmp_path, models)

    assert found.code == 0, found.stderr
    sequences = found.record["sequences"]
    assert [sequences[name]["series_number"] for name in ("t2w", "dwi", "adc")] == [4, 5, 6]
    assert (sequences["dwi"]["b_value_s_per_mm2"], sequences["dwi"]["calculated"]) == (1000, False)
    assert not any("field of view" in flag for flag in found.record["flags"])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A copy of the model: what is trained meanwhile does not change it."""
    own = ROOT / "models" / "cervical_tumor"
    if not (own / "metadata.json").exists():
        pytest.skip("no weights in models/cervical_tumor")
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(own, folder / "cervical_tumor", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


@pytest.fixture(scope="module")
def sample_run(sample, weights, tmp_path_factory):
    found = run_of(sample, tmp_path_factory.mktemp("sample run"), weights, "--nifti")
    assert found.code == 0, found.stderr
    return found


def test_the_sample_has_its_expected_result(sample_run):
    found, _ = read_image(sample_run.output / "tumour.nii.gz")
    expected = sample_tumour()

    scores = evaluate_masks(expected, found > 0, AXIAL_T2W.spacing_mm)

    assert scores.dice > 0.6  # the median between two raters and the published network
    assert sample_run.record["measurements"]["tumour"]["volume_ml"] == pytest.approx(SAMPLE_ML, rel=0.5)


def test_the_sample_says_that_its_weights_saw_synthetic_pelvises_only(sample_run):
    said = output_of(tool("dsrdump"), "+Pl", sample_run.output / "sr.dcm")

    assert "synthetic pelvises" in said
    assert "synthetic pelvises" in sample_run.stdout


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm"])
def test_dciodvfy_finds_no_error_in_the_result_on_the_sample(sample_run, name):
    said = output_of(tool("dciodvfy"), sample_run.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []


def test_both_libraries_find_the_same_tumour(sample, sample_run, weights, tmp_path):
    other = run_of(sample, tmp_path, weights, "--nifti", "--backend", "torch")

    assert other.code == 0, other.stderr
    masks = [read_image(one.output / "tumour.nii.gz")[0] for one in (sample_run, other)]
    assert np.mean(masks[0] != masks[1]) < 1e-5


# -- a real study of another organ -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prostate(shared_data, tmp_path_factory):
    """A real multiparametric study: a male prostate, a stand-in for the cervix. It says nothing of accuracy."""
    archive = shared_data / "cervical_tumor" / "dicom" / "ProstateX-0000.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive.name} of the development data (MAP_SHARED_DATA)")
    folder = tmp_path_factory.mktemp("prostate")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def prostate_run(prostate, tmp_path_factory):
    """What is a little bright on DWI and dark in the ADC map is taken for a tumour: something is found."""
    models = stand_in(tmp_path_factory.mktemp("low limit"), Restricted(1.0))
    ended = run_of(prostate, tmp_path_factory.mktemp("prostate run"), models, "--nifti")
    assert ended.code == 0, ended.stderr
    return ended


def series_of(study, number):
    """Files of a series in the order of their positions along its normal, by b-value."""
    found = {}
    for path in sorted(study.rglob("*.dcm")):
        header = dcmread(path, stop_before_pixels=True)
        if header.get("SeriesNumber") == number:
            found.setdefault(str(header.get("SequenceName", "")), []).append((header, path))
    return found


def test_diffusion_and_adc_of_a_real_study_are_where_simpleitk_puts_them(prostate, prostate_run):
    sequences = prostate_run.record["sequences"]

    for name in ("dwi", "adc"):
        groups = series_of(prostate, sequences[name]["series_number"])
        wanted = max(groups, key=lambda one: int("".join(filter(str.isdigit, one)) or 0)) if name == "dwi" else None
        pairs = groups[wanted] if wanted else [pair for group in groups.values() for pair in group]
        assert_resampled(stacked(pairs), sitk.ReadImage(str(prostate_run.output / f"{name}.nii.gz")))


def stacked(pairs):
    """Files as one image, in the order of their positions."""
    normal = np.cross(*np.array(pairs[0][0].ImageOrientationPatient, float).reshape(2, 3))
    pairs = sorted(pairs, key=lambda pair: float(np.dot(normal, np.array(pair[0].ImagePositionPatient, float))))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for _, path in pairs])
    return sitk.Cast(reader.Execute(), sitk.sitkFloat32)


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm"])
def test_dciodvfy_finds_no_error_in_the_results_on_a_real_study(prostate_run, name):
    said = output_of(tool("dciodvfy"), prostate_run.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []


def test_of_a_real_study_the_right_series_are_taken(prostate_run):
    sequences = prostate_run.record["sequences"]

    assert [sequences[name]["series_number"] for name in ("t2w", "dwi", "adc")] == [4, 6, 7]
    assert (sequences["dwi"]["b_value_s_per_mm2"], sequences["dwi"]["calculated"]) == (800, False)


def test_dcmqi_finds_the_segment_on_a_real_study_in_place(prostate, prostate_run, tmp_path):
    output_of(
        tool("segimage2itkimage"), "--inputDICOM", prostate_run.output / "seg.dcm", "--outputDirectory", tmp_path,
        "-t", "nii",
    )  # fmt: skip

    found, found_affine = read_image(tmp_path / "1.nii.gz")
    mask, affine = read_image(prostate_run.output / "tumour.nii.gz")
    assert mask.any()
    assert_same_at_the_same_mm(mask > 0, affine, found > 0, found_affine)
    (pairs,) = series_of(prostate, 4).values()
    source = stacked(pairs)
    assert source.GetSize() == (384, 384, 19)
    np.testing.assert_allclose(image_affine(source), affine, atol=1e-3)
