"""The spine application with its own network, on the embedded sample and on real volumes made DICOM."""

import csv
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  its usual name
import torch
from highdicom import Volume
from highdicom.seg import segread
from pydicom import dcmread

from imaging.evaluate_masks import evaluate_masks
from imaging.load_study import load_study
from imaging.lumbar_phantom import BODIES, Body
from imaging.model_package import load_model_package
from imaging.order_bodies import order_bodies
from imaging.prepare_image import prepare_image
from imaging.resample import resample
from imaging.restore_mask import restore_mask
from imaging.separate_bodies import separate_bodies
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_lumbar_sample import SAGITTAL_T2W, expected_bodies, series_affine, series_pixels
from imaging.write_mr_series import MrSeries, write_mr_series
from tests.lumbar_series import acquired_grid, load_nifti, sampled, write_lumbar_series
from tests.series_samples import assert_same_at_the_same_mm
from tests.system.command import ROOT, VERDICT, execute, written_sample
from tests.system.spine_study import FACTS, with_metal, write_bodies
from tests.system.test_readers import output_of, read_image, tool

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # deprecated, and still the format
]

CASES = ("VB2_02", "VB2_08", "VB1_12")
ALIKE = 0.01
"""Largest difference of Dice between the application on DICOM and the bare networks on the volume."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A copy of the model: what is trained meanwhile does not change it."""
    if not (ROOT / "models" / "spine" / "metadata.json").exists():
        pytest.skip("no weights in models/spine")
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / "spine", folder / "spine", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return written_sample("spine", tmp_path_factory.mktemp("sample") / "study")


@pytest.fixture(scope="module")
def sample_run(sample, models, tmp_path_factory):
    ended = execute(sample, tmp_path_factory.mktemp("run") / "out", models, "--nifti", "--votes", app="spine")
    assert ended.code == 0, ended.stderr
    return ended


def bodies_in(ended):
    """Label map of a run, (slice, row, column)."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(ended.output / "bodies.nii.gz")))


def dice(found, truth):
    return evaluate_masks(truth > 0, found > 0, (4.4, 0.78, 0.78)).dice


def test_the_sample_has_its_expected_result(sample_run):
    found, expected = bodies_in(sample_run), expected_bodies()

    assert dice(found, expected) > 0.85
    for number in range(1, 7):
        assert np.bincount(found[expected == number], minlength=7).argmax() == number


def test_the_sample_has_its_six_bodies_and_their_levels(sample_run):
    bodies = sample_run.record["measurements"]["bodies"]

    assert [body["level"] for body in bodies] == ["L5", "L4", "L3", "L2", "L1", "T12"]


def test_of_the_sample_only_the_sagittal_t2w_series_is_taken(sample_run):
    assert [series["series_number"] for series in sample_run.record["series"] if series["eligible"]] == [3]


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm", "votes.dcm"])
def test_dciodvfy_finds_no_error(sample_run, name):
    said = output_of(tool("dciodvfy"), sample_run.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []


def test_dcmqi_finds_each_body_at_the_same_mm(sample_run, tmp_path):
    labels, affine = read_image(sample_run.output / "bodies.nii.gz")

    output_of(
        tool("segimage2itkimage"), "--inputDICOM", sample_run.output / "seg.dcm", "--outputDirectory", tmp_path,
        "-t", "nii",
    )  # fmt: skip

    for number in range(1, 7):
        found, found_affine = read_image(tmp_path / f"{number}.nii.gz")
        assert_same_at_the_same_mm(labels == number, affine, found > 0, found_affine)


def test_the_volumes_in_the_report_are_those_of_the_voxels_another_reader_counts(sample_run):
    bodies = segread(sample_run.output / "seg.dcm").get_volume(combine_segments=True)
    voxel_ml = abs(np.linalg.det(bodies.affine[:3, :3])) / 1000

    report = dcmread(sample_run.output / "sr.dcm")

    for number, group in enumerate(measurement_groups(report), start=1):
        (volume,) = [item for item in group.ContentSequence if meaning(item) == "Volume"]
        stated_ml = float(volume.MeasuredValueSequence[0].NumericValue)
        assert stated_ml == pytest.approx(np.count_nonzero(bodies.array == number) * voxel_ml, abs=0.006)


def measurement_groups(item):
    for child in item.get("ContentSequence", []):
        if meaning(child) == "Measurement Group":
            yield child
        else:
            yield from measurement_groups(child)


def meaning(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""


def test_the_votes_are_the_mean_of_the_networks_where_the_bodies_are(sample, sample_run, models):
    volume = source_volume(next(sample.glob("series3")))
    package, image, votes = votes_of_networks(volume, models)

    found = segread(sample_run.output / "votes.dcm").get_volume(rescale_fractional=True)

    mean = torch.stack(votes).mean(0)[package.channels.index("body")].numpy()
    expected = resample(image.with_array(mean), volume.get_geometry()).array[3:-3]  # the border is repeated there
    at_same_mm = volume.with_array(found.match_geometry(volume.get_geometry()).array[..., 0]).array[3:-3]
    assert np.abs(at_same_mm - expected).mean() < 0.002
    assert np.mean(np.abs(at_same_mm - expected) > 0.02) < 0.01
    assert np.ptp(at_same_mm) > 0.95


def votes_of_networks(volume, folder):
    """The model, its input, and the probabilities of each network, without operators."""
    package = load_model_package(folder / "spine")
    image = prepare_image(volume, package.input)
    batch = torch.from_numpy(np.ascontiguousarray(image.array))[None, None]
    with torch.inference_mode():
        votes = [torch.sigmoid(torch.jit.load(str(member.torchscript))(batch))[0] for member in package.members]
    return package, image, votes


@pytest.mark.parametrize("lowest", [0, 2], ids=["L5 and L4", "L3 and L2"])
def test_metal_over_two_bodies_of_the_sample_is_flagged(models, tmp_path, lowest):
    """No level is said of another body, and what lies where the metal is says so."""
    metal = with_metal(list(BODIES.values())[lowest : lowest + 2], 1000)
    pixels, affine = metal(series_pixels(SAGITTAL_T2W, 0), series_affine(SAGITTAL_T2W))
    study = write_mr_series(tmp_path / "study", pixels, affine, MrSeries(**FACTS))

    ended = execute(study, tmp_path / "out", models, "--nifti", app="spine")

    assert ended.record["flags"]
    if ended.code == 4:
        return
    found, expected = bodies_in(ended), expected_bodies()
    for body in ended.record["measurements"]["bodies"]:
        truth = np.bincount(expected[found == body["segment"]], minlength=7)
        owner = int(truth.argmax())
        gone = owner == 0 or owner - 1 in (lowest, lowest + 1)
        assert body["flags"] or not gone
        assert body["level"] in (None, ["", *BODIES][owner]) or body["flags"]


def test_both_libraries_find_the_same_bodies(sample, sample_run, models, tmp_path):
    torch_run = execute(sample, tmp_path / "out", models, "--nifti", "--backend", "torch", app="spine")

    assert torch_run.code == 0, torch_run.stderr
    assert np.mean(bodies_in(torch_run) != bodies_in(sample_run)) < 1e-4


def test_mirroring_changes_the_result_little(sample, sample_run, models, tmp_path):
    mirrored = execute(sample, tmp_path / "out", models, "--nifti", "--mirror", app="spine")

    assert mirrored.code == 0, mirrored.stderr
    assert dice(bodies_in(mirrored), bodies_in(sample_run)) > 0.95


def bare_bodies(volume, folder):
    """What the networks find in a volume without DICOM and without operators, by the same steps."""
    _, image, votes = votes_of_networks(volume, folder)
    mean = torch.logit(torch.stack(votes).mean(0), eps=1e-6).numpy()
    body, core = (restore_mask(image.with_array(channel), volume).array for channel in mean)
    return order_bodies(volume.with_array(separate_bodies(body, volume.spacing, core))).labels.array


@pytest.fixture(scope="module", params=CASES)
def case(request, shared_data):
    folder = shared_data / "spine" / request.param.split("_")[0].lower()
    with (shared_data / "spine" / "levels.csv").open(newline="") as file:
        levels = {int(row["label_id"]): row["level"] for row in csv.DictReader(file) if row["case_id"] == request.param}
    labels = load_nifti(folder / f"{request.param}_label.nii.gz")
    sacral = [number for number, level in levels.items() if level == "S1"]
    labels = labels.with_array(np.where(np.isin(labels.array, sacral), 0, labels.array))
    return load_nifti(folder / f"{request.param}_image.nii.gz"), labels, levels


@pytest.fixture(scope="module")
def case_run(case, models, tmp_path_factory):
    study = write_lumbar_series(case[0], tmp_path_factory.mktemp("case") / "study")
    ended = execute(study, tmp_path_factory.mktemp("case run") / "out", models, "--nifti", app="spine")
    assert ended.code == 0, ended.stderr
    return study, ended


def source_volume(study):
    (series,) = load_study(study).series
    (stack,) = split_series(series)
    return to_volume(stack).volume


def labels_at(labels, volume):
    return np.rint(sampled(labels, volume.shape, volume.affine, order=0)).astype(np.int16)


def known(labels):
    """Rows that are labelled: bodies above the uppermost label are seen but not labelled."""
    rows = np.flatnonzero((labels > 0).any(axis=(0, 2)))
    return slice(rows[0], None)


def test_the_application_on_dicom_finds_what_the_bare_networks_find_in_the_volume(case, case_run, models):
    image, labels, _ = case
    study, ended = case_run
    shape, affine = acquired_grid(image)
    acquired = Volume(sampled(image, shape, affine).astype(np.float32), affine, "PATIENT")
    truth = labels_at(labels, source_volume(study))
    expected = labels_at(labels, acquired)

    by_app = dice(bodies_in(ended)[:, known(truth)], truth[:, known(truth)])
    by_networks = dice(bare_bodies(acquired, models)[:, known(expected)], expected[:, known(expected)])

    assert by_app == pytest.approx(by_networks, abs=ALIKE)


def test_each_labelled_body_is_found_with_its_own_level_or_none(case, case_run):
    _, labels, levels = case
    study, ended = case_run
    truth, found = labels_at(labels, source_volume(study)), bodies_in(ended)

    named = {body["segment"]: body["level"] for body in ended.record["measurements"]["bodies"]}
    for number in np.unique(truth[truth > 0]):
        owner = int(np.bincount(found[truth == number]).argmax())
        assert owner > 0
        assert named[owner] in (levels[int(number)], None)


def test_of_two_stations_of_a_volume_the_lower_is_taken_and_its_bodies_are_found(models, shared_data, tmp_path):
    folder = shared_data / "spine" / "vb2"
    labels = load_nifti(folder / "VB2_08_label.nii.gz")
    study = write_lumbar_series(load_nifti(folder / "VB2_08_image.nii.gz"), tmp_path / "study", count=2)

    ended = execute(study, tmp_path / "out", models, "--nifti", app="spine")

    assert ended.code == 0, ended.stderr
    assert [series["series_number"] for series in ended.record["series"]] == [4, 3]
    assert "Another station, series 3" in " ".join(ended.record["flags"])
    truth, found = labels_at(labels, source_volume(study / "series2")), bodies_in(ended)
    whole = set(np.unique(truth)) - set(np.unique(truth[:, 0])) - {0}
    assert len(whole) >= 2
    assert len({int(np.bincount(found[truth == number]).argmax()) for number in whole} - {0}) == len(whole)


BOTTLE = [Body((0.0, 0.0, 0.0), 0.0, 170.0, 30.0, 45.0, concavity_mm=0.0)]
KNEE = [Body((0.0, 0.0, 45.0), 0.0, 80.0, 38.0, 30.0), Body((0.0, 0.0, -45.0), 0.0, 80.0, 36.0, 26.0)]


@pytest.mark.parametrize("bodies", [BOTTLE, KNEE], ids=["a bottle", "a knee"])
def test_the_networks_name_no_level_in_what_is_no_spine_and_it_is_flagged_or_refused(models, tmp_path, bodies):
    study = write_bodies(tmp_path / "study", bodies, body_part="", grid={"margin_mm": (12.0, 45.0, 60.0)})

    ended = execute(study, tmp_path / "out", models, app="spine")

    assert ended.code in (0, 4), ended.stderr
    if ended.code == 4:
        assert ended.record["reason"] == "empty_result"
        assert ended.files == set(VERDICT)
    else:
        assert {body["level"] for body in ended.record["measurements"]["bodies"]} == {None}
        assert len(ended.record["flags"]) > 1  # beside that the level is not established
