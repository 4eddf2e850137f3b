"""Good and bad input of the lung application, with its own networks: marks that cannot be used, and odd chests.

Every image here is synthetic.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from imaging.chest_phantom import LEFT_LUNG, NODULES, RIGHT_LUNG
from imaging.write_chest_sample import LUNG_CT, series_affine, series_hu, write_chest_study
from imaging.write_ct_series import CtSeries, write_ct_series
from tests.phantoms import voxel_centres_mm
from tests.system.command import ROOT, VERDICT, execute

pytestmark = pytest.mark.system

SMALL = replace(LUNG_CT, shape=(90, 120, 120), spacing_mm=(3.0, 2.6, 2.6))
"""The whole chest in few voxels."""
AFFINE = series_affine(SMALL)
SPICULATED = next(nodule for nodule in NODULES if nodule.name == "spiculated")
OBLONG = next(nodule for nodule in NODULES if nodule.name == "oblong")
TISSUE_HU, METAL_HU = 30.0, 3071.0


@pytest.fixture(scope="module")
def models():
    if not (ROOT / "models" / "lung_nodule" / "classifier" / "metadata.json").exists():
        pytest.skip("no weights in models/lung_nodule")
    return ROOT / "models"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_chest_study(tmp_path_factory.mktemp("chest") / "study", series=(SMALL,))


def point_at(*nodules):
    return "--points=" + ";".join(",".join(f"{value:g}" for value in nodule.centre_mm) for nodule in nodules)


def run_on(study, tmp_path, models, *options):
    return execute(study, tmp_path / "out", models, *options, app="lung_nodule")


def nodules_of(ended):
    assert ended.code == 0, ended.stderr
    return ended.record["measurements"]["nodules"]


def refused(ended, reason):
    assert ended.code == 4, ended.stderr
    assert ended.record["reason"] == reason
    assert ended.files == set(VERDICT)


def text_of(item):
    """All text of a report."""
    own = [str(item.TextValue)] if "TextValue" in item else []
    return " ".join([*own, *map(text_of, item.get("ContentSequence", []))])


def said_everywhere(ended, text):
    """Whether the record, the report and what the command prints say it."""
    report = text_of(dcmread(ended.output / "sr.dcm"))
    return [text in said for said in (" ".join(ended.record["flags"]), report, ended.stdout + ended.stderr)] == [
        True
    ] * 3


# What marks nodules and cannot be used


@pytest.fixture(scope="module")
def marked(study, models, tmp_path_factory):
    """A run with two points, whose segmentation and report mark nodules."""
    ended = run_on(study, tmp_path_factory.mktemp("marked"), models, point_at(SPICULATED, OBLONG))
    assert len(nodules_of(ended)) == 2
    return ended


def with_object(study, folder, dataset):
    """A copy of a study that holds one more object."""
    shutil.copytree(study, folder)
    dataset.save_as(folder / "marks.dcm")
    return folder


def without_voxels(seg):
    seg.PixelData = bytes(len(seg.PixelData))


def without_segments(seg):
    seg.SegmentSequence = []


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (without_voxels, "a segment of the study that marks a nodule is empty"),
        (without_segments, "a segmentation of the study marks no nodules and was not used"),
    ],
    ids=["no voxel", "no segment"],
)
def test_an_empty_segmentation_leads_to_a_search_and_is_said(study, marked, models, tmp_path, change, flag):
    seg = dcmread(marked.output / "seg.dcm")
    change(seg)

    ended = run_on(with_object(study, tmp_path / "study", seg), tmp_path, models)

    assert nodules_of(ended)
    assert ended.record["way"] == ["computer"]
    assert said_everywhere(ended, flag)


def on_another_frame(seg):
    seg.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.1"
    return seg


def test_marks_on_another_frame_of_reference_are_refused(study, marked, models, tmp_path):
    elsewhere = with_object(study, tmp_path / "study", on_another_frame(dcmread(marked.output / "seg.dcm")))

    ended = run_on(elsewhere, tmp_path, models)

    refused(ended, "other_frame")
    assert "Marks of nodules within the CT are needed" in ended.stderr


def test_points_of_the_user_help_where_the_marks_of_the_study_cannot(study, marked, models, tmp_path):
    elsewhere = with_object(study, tmp_path / "study", on_another_frame(dcmread(marked.output / "seg.dcm")))

    ended = run_on(elsewhere, tmp_path, models, point_at(OBLONG))

    assert len(nodules_of(ended)) == 1
    assert ended.record["way"] == ["user"]


def test_marks_of_another_ct_beside_those_of_this_one_are_flagged(study, marked, models, tmp_path):
    seg = on_another_frame(dcmread(marked.output / "seg.dcm"))
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    both = with_object(study, tmp_path / "study", seg)
    shutil.copy(marked.output / "seg.dcm", both / "own.dcm")

    ended = run_on(both, tmp_path, models)

    assert len(nodules_of(ended)) == 2
    assert ended.record["way"] == ["seg"]
    assert said_everywhere(ended, "a segmentation of the study lies in another frame of reference and was not used")


def test_a_point_in_the_air_in_front_of_the_chest_is_flagged(study, models, tmp_path):
    ended = run_on(study, tmp_path, models, point_at(OBLONG) + ";0,-135,0")

    in_lung = [one for one in nodules_of(ended) if one["side"]]
    assert [one["flags"] for one in in_lung] == [[]]
    assert said_everywhere(ended, "No nodule could be outlined" if len(nodules_of(ended)) == 1 else "in neither lung")


# Images of something else


def write_ct(folder, hu, affine=AFFINE, *, body_part="CHEST", series="changed"):
    facts = CtSeries(
        study="lung input", series=(series,), patient="Chest", number=3, description="synthetic (phantom)",
        body_part=body_part, thickness_mm=3.0, kernel="LUNG",
    )  # fmt: skip
    return write_ct_series(folder, hu, affine, facts)


def head_hu():
    """Brain in a skull in a skin, with a cavity of air behind the nose that is open to the front."""
    places = voxel_centres_mm(SMALL.shape, AFFINE)

    def within(*half_mm):
        return np.linalg.norm(places / half_mm, axis=-1) < 1

    hu = np.full(SMALL.shape, -1000.0)
    for half_mm, density in (((82, 102, 95), TISSUE_HU), ((75, 95, 88), 1200.0), ((68, 88, 81), 35.0)):
        hu[within(*half_mm)] = density
    hu[np.linalg.norm((places - (0, -70, -40)) / (18, 40, 20), axis=-1) < 1] = -1000
    return hu


@pytest.mark.parametrize(("body_part", "code"), [("HEAD", 3), ("", 4)], ids=["said", "not said"])
def test_a_head_ct_is_not_taken_for_a_chest(models, tmp_path, body_part, code):
    ended = run_on(write_ct(tmp_path / "study", head_hu(), body_part=body_part), tmp_path, models)

    assert ended.code == code
    assert ended.record["reason"] == {3: "no_match", 4: "empty_result"}[code]
    assert ended.files == set(VERDICT)


def test_a_contrast_ct_of_5_mm_alone_is_nothing_to_work_on(models, tmp_path):
    thick = replace(SMALL, shape=(54, 120, 120), spacing_mm=(5.0, 2.6, 2.6), kernel="STANDARD")
    study = write_chest_study(tmp_path / "study", series=(thick,))
    for path in [path for path in study.rglob("*") if path.is_file()]:
        image = dcmread(path)
        image.ContrastBolusAgent, image.ContrastBolusRoute = "iodine", "IV"
        image.save_as(path)

    ended = run_on(study, tmp_path, models)

    assert ended.code == 3
    assert "voxels of 5.0 mm, at most 3.0 allowed" in ended.stderr
    assert ended.files == set(VERDICT)


# Chests that are odd


def depths_mm(lung):
    """How deep each voxel of the small series lies in a lung of the phantom."""
    return -lung.distance_mm(*np.moveaxis(voxel_centres_mm(SMALL.shape, AFFINE), -1, 0).astype(np.float32))


def test_with_one_lung_opaque_the_other_one_is_searched_and_the_lack_is_said(models, tmp_path):
    hu = series_hu(SMALL)
    hu[(depths_mm(RIGHT_LUNG) > -4) & (hu < TISSUE_HU)] = TISSUE_HU

    ended = run_on(write_ct(tmp_path / "study", hu), tmp_path, models)

    found = nodules_of(ended)
    assert found
    assert {one["side"] for one in found} == {"left"}
    assert any(np.linalg.norm(np.subtract(one["centre_lps_mm"], SPICULATED.centre_mm)) < 5 for one in found)
    assert said_everywhere(ended, "No right lung was found")


def with_metal(hu):
    """A screw in the left lung, with streaks in its slices, and a case of metal in the chest wall."""
    places = voxel_centres_mm(SMALL.shape, AFFINE)
    away = places - SCREW_MM
    angle, in_slice = np.arctan2(away[..., 1], away[..., 0]), np.linalg.norm(away[..., :2], axis=-1)
    streaks = 250 * np.sign(np.sin(12 * angle)) * np.exp(-in_slice / 60) * (np.abs(away[..., 2]) < 7)
    hu = hu + np.where(in_slice > 6, streaks, 0)
    hu[np.linalg.norm(away, axis=-1) < 6] = METAL_HU
    hu[np.linalg.norm((places - (70, -98, 80)) / (25, 6, 25), axis=-1) < 1] = METAL_HU
    return np.clip(hu, -1024, METAL_HU)


SCREW_MM = np.array([80.0, 20.0, -20.0])


@pytest.fixture(scope="module")
def with_screw(tmp_path_factory):
    return write_ct(tmp_path_factory.mktemp("metal") / "study", with_metal(series_hu(SMALL)))


def test_metal_that_somebody_marks_is_called_metal(with_screw, models, tmp_path):
    ended = run_on(with_screw, tmp_path, models, "--points=80,20,-20")

    (found,) = nodules_of(ended)
    assert found["mean_hu"] > 200
    assert said_everywhere(ended, "calcified, or metal")


def test_beside_metal_the_nodules_are_found_and_what_is_metal_is_flagged(with_screw, models, tmp_path):
    found = nodules_of(run_on(with_screw, tmp_path, models))

    for nodule in (SPICULATED, OBLONG):
        near = [one for one in found if np.linalg.norm(np.subtract(one["centre_lps_mm"], nodule.centre_mm)) < 5]
        assert near
        assert near[0]["mean_hu"] < 200
    for one in found:
        assert ("metal" in " ".join(one["flags"])) == (one["mean_hu"] > 200)
        assert 0 < one["volume_ml"] < 30
        assert 0 <= one["malignancy_probability"] <= 1


def cut_above(hu):
    """Slices up to the middle of the nodule; they run from the head down."""
    first = round(float((SPICULATED.centre_mm[2] - AFFINE[2, 3]) / AFFINE[2, 0]))
    affine = AFFINE.copy()
    affine[:3, 3] += first * AFFINE[:3, 0]
    return hu[first:], affine


def cut_at_the_left(hu):
    """Columns up to the middle of the nodule."""
    last = round(float((SPICULATED.centre_mm[0] - AFFINE[0, 3]) / AFFINE[0, 2]))
    return np.ascontiguousarray(hu[:, :, : last + 1]), AFFINE


@pytest.mark.parametrize(("cut", "border"), [(cut_above, "upper"), (cut_at_the_left, "left")], ids=["upper", "left"])
def test_a_nodule_at_the_border_of_the_image_is_flagged_as_cut(models, tmp_path, cut, border):
    hu, affine = cut(series_hu(SMALL))
    study = write_ct(tmp_path / "study", np.ascontiguousarray(hu), affine)

    ended = run_on(study, tmp_path, models, point_at(SPICULATED))

    (found,) = nodules_of(ended)
    assert np.linalg.norm(np.subtract(found["centre_lps_mm"], SPICULATED.centre_mm)) < SPICULATED.reach_mm
    assert said_everywhere(ended, "touches the edge of the image: it may be larger than measured")
    assert said_everywhere(ended, f"The field of view cuts the lungs at its {border} border")


def test_a_search_up_to_the_border_of_the_image_ends_in_results(models, tmp_path):
    hu, affine = cut_at_the_left(series_hu(SMALL))

    ended = run_on(write_ct(tmp_path / "study", hu, affine), tmp_path, models)

    assert any(one["side"] == "right" for one in nodules_of(ended))
    assert said_everywhere(ended, "The field of view cuts the lungs at its left border")


def test_two_opaque_lungs_are_no_lungs(models, tmp_path):
    hu = series_hu(SMALL)
    hu[(np.maximum(depths_mm(RIGHT_LUNG), depths_mm(LEFT_LUNG)) > -4) & (hu < TISSUE_HU)] = TISSUE_HU

    refused(run_on(write_ct(tmp_path / "study", hu), tmp_path, models), "empty_result")
