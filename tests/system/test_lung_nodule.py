"""The lung application with its own networks, on the embedded sample: three ways in, and what must be refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from highdicom import imread
from highdicom.seg import segread
from pydicom import dcmread

from imaging.chest_phantom import NODULES
from imaging.write_chest_sample import LUNG_CT, write_chest_study
from imaging.write_sample import write_head_study
from tests.system.command import ROOT, VERDICT, execute, written_sample
from tests.system.test_readers import output_of, tool

pytestmark = pytest.mark.system

LARGE = [nodule for nodule in NODULES if nodule.longest_mm >= 8]
NEAR_MM = 5.0


@pytest.fixture(scope="module")
def models():
    if not (ROOT / "models" / "lung_nodule" / "classifier" / "metadata.json").exists():
        pytest.skip("no weights in models/lung_nodule")
    return ROOT / "models"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return written_sample("lung_nodule", tmp_path_factory.mktemp("sample") / "study")


def run(study, folder, models, *more):
    ended = execute(study, folder / "out", models, *more, app="lung_nodule")
    assert ended.code == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def searched(sample, models, tmp_path_factory):
    return run(sample, tmp_path_factory.mktemp("searched"), models)


@pytest.fixture(scope="module")
def pointed(sample, models, tmp_path_factory):
    points = ";".join(",".join(f"{value:g}" for value in nodule.centre_mm) for nodule in NODULES)
    return run(sample, tmp_path_factory.mktemp("pointed"), models, f"--points={points}", "--parametric-map")


def nodules_of(ended):
    return ended.record["measurements"]["nodules"]


def nearest(nodule, ended):
    """The reported nodule that lies next to one of the phantom, and how far away, in mm."""
    apart = [np.linalg.norm(np.subtract(found["centre_lps_mm"], nodule.centre_mm)) for found in nodules_of(ended)]
    at = int(np.argmin(apart))
    return nodules_of(ended)[at], apart[at]


@pytest.mark.parametrize("nodule", LARGE, ids=lambda nodule: nodule.name)
def test_each_nodule_of_the_sample_from_8_mm_is_found(searched, nodule):
    _, apart_mm = nearest(nodule, searched)

    assert apart_mm < NEAR_MM


def test_what_a_computer_found_is_said_to_need_review(searched):
    assert searched.record["way"] == ["computer"]
    assert "computer-found, needs review" in searched.stdout
    assert {found["found"] for found in nodules_of(searched)} == {"computer"}


def test_of_the_sample_only_the_thin_series_is_taken(searched):
    assert [series["series_number"] for series in searched.record["series"] if series["eligible"]] == [3]


@pytest.mark.parametrize("nodule", LARGE, ids=lambda nodule: nodule.name)
def test_a_point_is_outlined_at_its_place_and_size(pointed, nodule):
    found, apart_mm = nearest(nodule, pointed)

    assert apart_mm < NEAR_MM
    assert found["found"] == "user"
    assert found["longest_mm"] == pytest.approx(nodule.longest_mm, abs=max(3.0, 0.3 * nodule.longest_mm))


def test_with_points_nothing_else_is_looked_for(pointed):
    assert pointed.record["way"] == ["user"]
    assert len(nodules_of(pointed)) <= len(NODULES)


def test_the_side_of_each_nodule_is_the_patients(pointed):
    sides = {found["side"] for found in nodules_of(pointed) if found["side"]}

    assert sides == {"left", "right"}
    for found in nodules_of(pointed):
        if found["side"]:
            assert (found["side"] == "left") == (found["centre_lps_mm"][0] > 0)


def test_every_probability_is_one_and_the_patient_has_the_highest(pointed):
    chances = [found["malignancy_probability"] for found in nodules_of(pointed)]

    assert all(0 <= chance <= 1 for chance in chances)
    assert chances == sorted(chances, reverse=True)
    assert pointed.record["patient"]["malignancy_probability"] == chances[0]
    assert any("not histology" in text for text in pointed.record["probability_means"])


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm", "heat.dcm"])
def test_dciodvfy_finds_no_error(pointed, name):
    said = output_of(tool("dciodvfy"), pointed.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []


def test_dciodvfy_finds_no_error_in_the_pictures(pointed):
    files = sorted((pointed.output / "heat_maps").rglob("*.dcm"))
    files += sorted((pointed.output / "overlays").rglob("*.dcm"))[::9]

    assert files
    for path in files:
        said = output_of(tool("dciodvfy"), path)
        assert [line for line in said.splitlines() if "Error" in line] == []
        assert dcmread(path, stop_before_pixels=True).BurnedInAnnotation == "YES"


def test_the_parametric_map_is_hot_where_a_nodule_is_suspicious_and_written_only_when_asked_for(pointed, searched):
    """The mean of the evidence is the logit, so there is some wherever the probability is above a half."""
    heat = imread(pointed.output / "heat.dcm").get_volume(allow_missing_positions=True)

    suspicious = [found for found in nodules_of(pointed) if found["malignancy_probability"] > 0.5]
    assert suspicious
    for found in suspicious:
        index = np.rint(heat.map_reference_to_indices(np.array([found["centre_lps_mm"]]))[0]).astype(int)
        reach = np.ceil(found["longest_mm"] / 2 / np.array(heat.spacing)).astype(int)
        near = tuple(slice(max(at - far, 0), at + far + 1) for at, far in zip(index, reach, strict=True))
        assert heat.array[near].max() > 0.5
    assert heat.array.max() <= 1
    assert "heat.dcm" not in searched.files


def test_dsrdump_reads_the_report(pointed):
    said = output_of(tool("dsrdump"), pointed.output / "sr.dcm")

    assert "Imaging Measurement Report" in said
    assert said.count("Probability of cancer") >= len(nodules_of(pointed))


def test_the_volumes_are_those_another_reader_counts(pointed):
    seg = segread(pointed.output / "seg.dcm")
    labels = seg.get_volume(combine_segments=True, skip_overlap_checks=False)
    voxel_ml = abs(np.linalg.det(labels.affine[:3, :3])) / 1000

    for found in nodules_of(pointed):
        counted_ml = np.count_nonzero(labels.array == found["segment"]) * voxel_ml
        assert found["volume_ml"] == pytest.approx(counted_ml, abs=1e-4)


def test_the_segmentation_of_a_run_is_a_way_in_for_the_next(sample, pointed, models, tmp_path):
    """What somebody outlined is taken as it is, and nothing is looked for."""
    study = tmp_path / "study"
    shutil.copytree(sample, study)
    shutil.copy(pointed.output / "seg.dcm", study / "seg.dcm")

    again = run(study, tmp_path, models)

    assert again.record["way"] == ["seg"]
    before = sorted((found["volume_ml"], found["longest_mm"]) for found in nodules_of(pointed))
    after = sorted((found["volume_ml"], found["longest_mm"]) for found in nodules_of(again))
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.fixture(scope="module")
def no_nodule(models, tmp_path_factory):
    """The phantom without its nodules; its vessels may look like one, but not to a strict eye."""
    study = write_chest_study(tmp_path_factory.mktemp("healthy") / "study", nodules=(), series=(LUNG_CT,))
    return run(study, tmp_path_factory.mktemp("none"), models, "--operating-point", "strict")


def test_without_any_nodule_there_is_a_report_that_says_so_and_no_segmentation(no_nodule):
    assert nodules_of(no_nodule) == []
    assert "seg.dcm" not in no_nodule.files
    assert not any(name.startswith("heat_maps") for name in no_nodule.files)
    assert no_nodule.overlays == {"overlays/overlay_0001.dcm"}
    assert "No nodule" in no_nodule.stdout
    said = output_of(tool("dciodvfy"), no_nodule.output / "sr.dcm")
    assert [line for line in said.splitlines() if "Error" in line] == []
    assert "no nodule was found" in output_of(tool("dsrdump"), "+Pl", no_nodule.output / "sr.dcm")


def test_a_point_outside_the_ct_is_refused(sample, models, tmp_path):
    ended = execute(sample, tmp_path / "out", models, "--points=0,0,9999", app="lung_nodule")

    assert ended.code == 4
    assert "point 1 of 1 lies outside" in ended.stderr
    assert ended.files == set(VERDICT)
    assert ended.record["reason"] == "outside"


def test_points_in_another_form_are_an_error_of_usage(sample, models, tmp_path):
    ended = execute(sample, tmp_path / "out", models, "--points=12;13", app="lung_nodule")

    assert ended.code == 2
    assert "x,y,z in LPS mm" in ended.stderr


def test_a_head_mr_is_nothing_to_work_on(models, tmp_path):
    study = write_head_study(tmp_path / "study", shape=(40, 48, 44), spacing_mm=(5.0, 4.75, 4.25))

    ended = execute(study, tmp_path / "out", models, app="lung_nodule")

    assert ended.code == 3
    assert ended.files == set(VERDICT)


SMALL = replace(LUNG_CT, shape=(90, 120, 120), spacing_mm=(3.0, 2.6, 2.6))
"""The whole chest in few voxels."""


def test_slices_of_5_mm_alone_are_nothing_to_work_on(models, tmp_path):
    thick = replace(SMALL, shape=(54, 120, 120), spacing_mm=(5.0, 2.6, 2.6))
    study = write_chest_study(tmp_path / "study", series=(thick,))

    ended = execute(study, tmp_path / "out", models, app="lung_nodule")

    assert ended.code == 3
    assert "voxels of 5.0 mm, at most 3.0 allowed" in ended.stderr
    assert ended.files == set(VERDICT)


def test_a_missing_slice_is_refused(models, tmp_path):
    study = write_chest_study(tmp_path / "study", series=(SMALL,))
    sorted(path for path in study.rglob("*") if path.is_file())[40].unlink()

    ended = execute(study, tmp_path / "out", models, app="lung_nodule")

    assert ended.code == 4
    assert ended.record["reason"] == "missing_slice"
    assert ended.files == set(VERDICT)


def test_a_ct_of_another_body_part_is_nothing_to_work_on(models, tmp_path):
    study = write_chest_study(tmp_path / "study", series=(SMALL,))
    for path in [path for path in study.rglob("*") if path.is_file()]:
        image = dcmread(path)
        image.BodyPartExamined = "ABDOMEN"
        image.save_as(path)

    ended = execute(study, tmp_path / "out", models, app="lung_nodule")

    assert ended.code == 3
    assert "body part ABDOMEN" in ended.stderr


def test_fifty_points_end_in_results_or_are_named(models, tmp_path):
    study = write_chest_study(tmp_path / "study", series=(SMALL,))
    points = ";".join(f"{x},{y},{z}" for x in (-90, -60, 60, 80, 95) for y in (-20, 30) for z in (-40, -10, 20, 50, 70))

    ended = execute(study, tmp_path / "out", models, f"--points={points}", app="lung_nodule")

    assert ended.code == 0, ended.stderr
    assert len(nodules_of(ended)) <= 50
    assert "sr.dcm" in ended.files
