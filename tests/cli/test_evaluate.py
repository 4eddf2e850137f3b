import argparse
import csv
import json
import shutil
import sys

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from cli.evaluate import add_arguments, run
from imaging.load_mask import load_mask
from tests.imaging.test_load_mask import asymmetric_mask, ct_slices, oblique_affine, write_nifti, write_seg

SPACING_MM = (4.0, 0.7, 1.5)
VOXEL_ML = 4.0 * 0.7 * 1.5 / 1000


def evaluate(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


def write_box(path, columns, *, origin_mm=(0.0, 0.0, 0.0)):
    """Write a mask of 2 x 3 x columns voxels; two of them differ in the number of columns alone."""
    array = np.zeros((6, 9, 13), np.uint8)
    array[1:3, 2:5, 1 : 1 + columns] = 1
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING_MM[::-1])
    image.SetOrigin(origin_mm)
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.fixture
def folders(tmp_path):
    """Three cases: one hit, one with 8 of 10 columns, one missed."""
    references, predictions = tmp_path / "references", tmp_path / "predictions"
    for name, columns in (("hit", 6), ("short", 8), ("missed", 0)):
        write_box(references / f"{name}.nii.gz", 10 if name == "short" else 6)
        write_box(predictions / f"{name}.nii.gz", columns)
    return references, predictions


def test_scores_of_the_files_are_those_counted_by_hand(folders, tmp_path):
    assert evaluate(*folders, "-o", tmp_path / "out") == 0

    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["hit", "missed", "short"]
    assert float(rows["short"]["dice"]) == pytest.approx(16 / 18)
    assert float(rows["short"]["hausdorff_mm"]) == pytest.approx(3.0)  # two columns of 1.5 mm
    assert float(rows["short"]["volume_reference_ml"]) == pytest.approx(60 * VOXEL_ML)
    assert float(rows["short"]["volume_difference_percent"]) == pytest.approx(-20)
    assert rows["missed"]["hausdorff_mm"] == ""
    assert float(rows["hit"]["dice"]) == 1


def test_the_summary_is_that_counted_by_hand(folders, tmp_path):
    evaluate(*folders, "-o", tmp_path)

    document = json.loads((tmp_path / "scores.json").read_text())

    dice = {name: row["dice"] for name, row in document["summary"].items()}
    mean = (1 + 0 + 16 / 18) / 3
    sd = (((1 - mean) ** 2 + mean**2 + (16 / 18 - mean) ** 2) / 2) ** 0.5
    assert dice == pytest.approx({"mean": mean, "sd": sd, "min": 0, "max": 1, "n": 3})
    assert document["summary"]["n"]["hausdorff95_mm"] == 2
    assert document["summary"]["mean"]["hausdorff_mm"] == pytest.approx(1.5)
    assert document["cases"]["missed"]["hausdorff_mm"] is None


def test_the_agreement_of_the_volumes_is_that_counted_by_hand(folders, tmp_path):
    evaluate(*folders, "-o", tmp_path)

    agreement = json.loads((tmp_path / "scores.json").read_text())["volume_agreement"]

    # references 36, 36, 60 and predictions 36, 0, 48 voxels: differences 0, -36, -12 with mean -16
    sd = ((16**2 + 20**2 + 4**2) / 2) ** 0.5
    # means 44 and 28; variances over n 128 and 416, covariance (-8*8 + 8*28 + 16*20) / 3 = 480/3
    assert agreement == pytest.approx(
        {
            "concordance": 2 * 160 / (128 + 416 + 16**2),
            "mean_difference_ml": -16 * VOXEL_ML,
            "lower_limit_ml": (-16 - 1.96 * sd) * VOXEL_ML,
            "upper_limit_ml": (-16 + 1.96 * sd) * VOXEL_ML,
        }
    )


def test_the_table_has_a_row_for_each_case_and_for_the_summary(folders, capsys):
    assert evaluate(*folders) == 0

    lines = capsys.readouterr().out.splitlines()
    first_words = [line.split()[0] for line in lines if not line.startswith("-")]
    assert first_words == ["case", "hit", "missed", "short", "mean", "sd", "min", "max", "n", "volume,"]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[3].split()[1:4] == ["0.0000", "0.0000", "nan"]


def test_without_an_output_folder_nothing_is_written(folders, tmp_path):
    before = sorted(tmp_path.rglob("*"))

    evaluate(*folders)

    assert sorted(tmp_path.rglob("*")) == before


def test_the_plot_is_a_picture_with_something_in_it(folders, tmp_path):
    evaluate(*folders, "-o", tmp_path)

    with Image.open(tmp_path / "scores.png") as picture:
        assert picture.width > 1000
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_plot_of_one_missed_case_is_drawn_without_limits(folders, tmp_path):
    references, predictions = folders

    code = evaluate(references / "missed.nii.gz", predictions / "missed.nii.gz", "-o", tmp_path)

    assert code == 0
    assert (tmp_path / "scores.png").stat().st_size > 0


def test_without_matplotlib_the_plot_is_skipped_in_one_line(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    assert evaluate(*folders, "-o", tmp_path) == 0

    assert capsys.readouterr().err == "plot skipped: pip install matplotlib\n"
    assert (tmp_path / "scores.json").exists()
    assert not (tmp_path / "scores.png").exists()


def test_two_files_are_one_case_whatever_their_names(tmp_path, capsys):
    reference = write_box(tmp_path / "expert.nii.gz", 6)
    prediction = write_box(tmp_path / "network.nii", 6)

    assert evaluate(reference, prediction) == 0

    assert "\nexpert " in capsys.readouterr().out


def test_seg_and_nifti_of_one_mask_agree_wherever_they_are_stored(tmp_path):
    references, predictions = tmp_path / "references", tmp_path / "predictions"
    (predictions / "nested" / "dicom").mkdir(parents=True)
    references.mkdir()
    array, affine = asymmetric_mask(), oblique_affine()
    write_nifti(references / "nested.nii.gz", array, affine)
    write_nifti(references / "flat.nii", array, affine)
    write_seg(predictions / "nested" / "dicom" / "1.2.3", array, affine)
    image = next(ct_slices(array.shape, affine, "1.2.3"))
    image.save_as(predictions / "nested" / "dicom" / "image.dcm", enforce_file_format=True)
    write_seg(predictions / "flat.dcm", array, affine)

    assert evaluate(references, predictions, "-o", tmp_path) == 0

    cases = json.loads((tmp_path / "scores.json").read_text())["cases"]
    assert {name: (case["dice"], case["hausdorff_mm"]) for name, case in cases.items()} == {
        "flat": (1, 0),
        "nested": (1, 0),
    }


def test_a_prediction_beyond_the_slices_of_a_seg_counts_as_added(tmp_path):
    affine = oblique_affine()
    reference, prediction = np.zeros((6, 9, 13), np.uint8), np.zeros((6, 9, 13), np.uint8)
    reference[2:4, 2:5, 3:8] = 1  # the SEG keeps these two slices alone
    prediction[1:6, 2:5, 3:8] = 1
    seg = write_seg(tmp_path / "reference.dcm", reference, affine)
    nifti = write_nifti(tmp_path / "prediction.nii", prediction, affine)
    assert load_mask(seg).spatial_shape[0] == 2

    evaluate(seg, nifti, "-o", tmp_path)

    case = json.loads((tmp_path / "scores.json").read_text())["cases"]["reference"]
    assert case["dice"] == pytest.approx(2 * 2 / (2 + 5))
    assert case["hausdorff_mm"] == pytest.approx(8.0)  # two slices of 4 mm at the upper end


def test_the_asked_segment_is_compared(tmp_path, capsys):
    affine = oblique_affine()
    second = np.zeros((6, 9, 13), np.uint8)
    second[0:2, 1:3, 1:4] = 1
    both = np.stack([asymmetric_mask(), second], -1)
    seg = write_seg(tmp_path / "two.dcm", both, affine, segments=(1, 2))
    nifti = write_nifti(tmp_path / "two.nii", second * np.uint8(2), affine)

    assert evaluate(seg, nifti, "--segment", 2) == 0

    assert capsys.readouterr().out.splitlines()[2].split()[:2] == ["two", "1.0000"]


def test_two_empty_masks_are_noted(tmp_path, capsys):
    empty = write_box(tmp_path / "empty.nii", 0)

    assert evaluate(empty, empty) == 0

    assert capsys.readouterr().err == "note: both masks of empty are empty\n"


def test_unpaired_cases_are_named_and_end_the_run(folders, capsys):
    references, predictions = folders
    (references / "hit.nii.gz").rename(references / "other.nii.gz")

    assert evaluate(*folders) == 2

    output = capsys.readouterr()
    assert output.err.splitlines()[:2] == ["unpaired: hit (no reference)", "unpaired: other (no prediction)"]
    assert "--allow-missing" in output.err
    assert output.out == ""
    assert predictions.exists()


def test_unpaired_cases_are_left_out_when_allowed(folders, tmp_path, capsys):
    (folders[1] / "hit.nii.gz").unlink()

    assert evaluate(*folders, "--allow-missing", "-o", tmp_path) == 0

    assert capsys.readouterr().err == "unpaired: hit (no prediction)\n"
    assert set(json.loads((tmp_path / "scores.json").read_text())["cases"]) == {"missed", "short"}


def test_folders_without_a_common_case_are_refused_even_if_cases_may_miss(folders, tmp_path, capsys):
    (tmp_path / "empty").mkdir()

    assert evaluate(folders[0], tmp_path / "empty", "--allow-missing") == 2

    assert "has 3 and" in capsys.readouterr().err


def test_other_files_hidden_files_and_folders_without_a_mask_are_ignored(folders, capsys):
    references, predictions = folders
    (references / "notes.txt").write_text("none")
    write_box(references / ".hidden.nii.gz", 6)
    write_box(predictions / "hit.nii.gz", 6)
    (predictions / "logs").mkdir()
    (predictions / "logs" / "run.log").write_text("none")

    assert evaluate(*folders) == 0

    assert capsys.readouterr().err == ""


def test_two_masks_of_one_name_are_refused(folders, capsys):
    shutil.copy(folders[0] / "hit.nii.gz", folders[0] / "hit.NII.GZ")
    write_box(folders[0] / "hit.nii", 6)

    assert evaluate(*folders) == 2

    assert "has more of hit" in capsys.readouterr().err


def test_two_masks_in_one_sub_folder_are_refused(folders, capsys):
    write_box(folders[0] / "double" / "a.nii", 6)
    write_box(folders[0] / "double" / "b.nii", 6)

    assert evaluate(*folders) == 2

    assert "double has 2: a.nii, b.nii" in capsys.readouterr().err


def test_a_file_and_a_folder_are_refused(folders, capsys):
    assert evaluate(folders[0] / "hit.nii.gz", folders[1]) == 2

    assert "hit.nii.gz is not a folder" in capsys.readouterr().err


def test_a_damaged_mask_is_refused_by_the_name_of_its_case(folders, capsys):
    (folders[1] / "short.nii.gz").write_bytes(b"damaged")

    assert evaluate(*folders) == 2

    assert "short: A mask is a readable NIfTI file" in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_refused(folders, tmp_path, capsys):
    (tmp_path / "out").write_text("a file")

    assert evaluate(*folders, "-o", tmp_path / "out") == 2

    assert "out" in capsys.readouterr().err
