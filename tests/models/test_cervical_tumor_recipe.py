"""The parts of the cervical tumour recipe that need no training: cases, views, and how results are counted."""

import copy
import csv
import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  its usual name
import torch
from highdicom import Volume

from imaging.find_tumour import TumourObjects
from imaging.model_package import load_model_package, sha256_of
from models.cervical_tumor import augment, evaluate, prepare, synthesize, train
from tests.system.pelvic_study import T2W_AFFINE, TUMOUR_MM, expected_tumour, write_study

FOLDER = Path(prepare.__file__).parent
SHAPE = (16, 32, 48)


@pytest.fixture
def recipe():
    return tomllib.loads((FOLDER / "recipe.toml").read_text())


@pytest.fixture
def case(rng):
    """A bright box in noise; ADC sees only a half of the rows."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[6:10, 12:20, 20:34] = 1
    image = rng.normal(0, 0.3, (3, *SHAPE)) + 2 * mask
    image[2, :, 16:] = 0
    return prepare.Prepared("one", image.astype(np.float16), mask)


@pytest.fixture
def still(recipe):
    """The augmentation of the recipe without any change."""
    off = ("zoom_fraction", "elastic_fraction", "misaligned_mm", "gamma_log", "bias_log", "noise", "padded_fraction")
    absent = {"without_diffusion": 0.0, "without_one": 0.0}
    return {**recipe["augmentation"], **dict.fromkeys(off, 0.0), "rotation_deg": [0.0] * 3, **absent}


WHOLE = {"spacing_mm": 1.4, "field_of_view": [1.0, 1.0]}


# -- recipe --------------------------------------------------------------------------------------------------------


def test_the_network_is_the_published_one(recipe):
    assert recipe["network"]["channels"] == [16, 32, 64, 128, 256]
    assert recipe["network"]["residual_units"] == 2
    assert math.prod(recipe["network"]["strides"]) == prepare.MULTIPLE


def test_training_ends_on_whole_scans_at_the_voxel_size_of_the_network(recipe):
    assert recipe["stage"][-1]["spacing_mm"] == recipe["grid"]["spacing_mm"] == 0.7
    assert "field_of_view" in recipe["stage"][-1]


def test_crops_fit_the_network(recipe):
    shapes = [stage["shape"] for stage in recipe["stage"] if "shape" in stage]
    assert all(size % prepare.MULTIPLE == 0 for shape in shapes for size in shape)


def test_the_largest_grid_is_the_published_one():
    assert prepare.wanted_input(0.7).maximum == (144, 304, 304)


# -- cases ---------------------------------------------------------------------------------------------------------


def test_one_case_in_ten_has_no_tumour_and_the_others_cover_the_range():
    volumes = [synthesize.tumour_ml(number, (1.0, 60.0)) for number in range(1000, 1050)]

    assert volumes.count(0.0) == 5
    drawn = np.log([volume for volume in volumes if volume])
    assert np.histogram(drawn, 5, (0, math.log(60)))[0].min() >= 6  # evenly over the logarithm: 9 each


def test_a_nifti_file_comes_back_where_it_was(tmp_path, rng):
    grid = synthesize.grid_about((3, -4, 5), (10, -4, 7), (3, 4, 5), (3.0, 0.6, 0.5))
    volume = Volume(rng.integers(0, 99, grid.shape).astype(np.int16), grid.affine, "PATIENT")

    prepare.write_nifti(volume, tmp_path / "t2w.nii.gz")
    back = prepare.read_nifti(tmp_path / "t2w.nii.gz")

    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-5)


def test_a_grid_is_turned_about_its_middle():
    grid = synthesize.grid_about((3, -4, 5), (10, -4, 7), (3, 4, 5), (3.0, 0.6, 0.5))

    np.testing.assert_allclose(synthesize.middle_mm(grid), (3, -4, 5))
    np.testing.assert_allclose(grid.spacing, (3.0, 0.6, 0.5))
    assert grid.get_closest_patient_orientation() == tuple(
        Volume(np.zeros((2, 2, 2)), np.eye(4)[[2, 1, 0, 3]], "PATIENT").get_closest_patient_orientation()
    )


@pytest.mark.parametrize("b_values", [(0, 800), (50, 400, 800)])
def test_the_adc_is_that_of_the_signal(b_values):
    adc = np.array([[[300.0, 900.0, 2900.0]]])
    images = [100 * np.exp(-b * 1e-6 * adc) for b in b_values]

    np.testing.assert_allclose(synthesize.fit_adc(images, b_values), adc, rtol=1e-5)


@pytest.fixture
def folder(tmp_path, rng):
    """A case of 3 NIfTI files; diffusion is on a grid of its own, ADC is missing."""
    t2w = synthesize.grid_about((0, 0, 0), (0, 0, 0), (4, 24, 20), (3.0, 1.0, 1.0))
    dwi = synthesize.grid_about((0, 0, 0), (8, 0, 0), (6, 8, 8), (4.0, 3.0, 3.0))
    mask = np.zeros(t2w.shape, np.uint8)
    mask[1:3, 4:16, 6:10] = 1
    for name, grid, array in (
        ("t2w", t2w, rng.integers(1, 99, t2w.shape)),
        ("dwi", dwi, rng.integers(1, 99, dwi.shape)),
        ("mask", t2w, mask),
    ):
        place = tmp_path / "data" / "one"
        place.mkdir(parents=True, exist_ok=True)
        prepare.write_nifti(Volume(array.astype(np.int16), grid.affine, "PATIENT"), place / f"{name}.nii.gz")
    return tmp_path / "data"


def test_a_folder_of_cases_becomes_images_of_three_channels(folder, tmp_path):
    (found,) = prepare.cached(folder, tmp_path / "cache", 1.0)

    assert found.image.shape == (3, *found.mask.shape)
    assert all(size % prepare.MULTIPLE == 0 for size in found.mask.shape)
    assert found.image[0].any()
    assert found.image[1].any()
    assert not found.image[2].any()
    assert float(found.mask.sum()) == pytest.approx(2 * 12 * 4 * 3)  # mm3 of the mask: 1 mm voxels on a 3 mm slice


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """One study twice, as a site may have it: as DICOM, and as three NIfTI files, each sequence on its own grid."""
    data = tmp_path_factory.mktemp("patients")
    study = write_study(data / "0001" / "dicom")
    for kind, name in (("t2w", "t2w"), ("dwi", "dwi"), ("adc", "adc")):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(study / kind)))
        (data / "0002").mkdir(exist_ok=True)
        sitk.WriteImage(reader.Execute(), str(data / "0002" / f"{name}.nii.gz"))
    mask = Volume(expected_tumour().astype(np.uint8), T2W_AFFINE, "PATIENT")
    for name in ("0001", "0002"):
        prepare.write_nifti(mask, data / name / "mask.nii.gz")
    return data


@pytest.mark.system  # slow: it writes a study
def test_a_dicom_study_and_its_sequences_as_nifti_are_the_same_case(patients, tmp_path):
    dicom, nifti = prepare.cached(patients, tmp_path / "cache", 2.8)

    assert all(channel.any() for channel in dicom.image)
    np.testing.assert_allclose(dicom.image.astype(float), nifti.image.astype(float), atol=0.01)
    assert (dicom.mask & nifti.mask).sum() > 0.97 * (dicom.mask | nifti.mask).sum()  # ties: headers round positions
    volume_ml = 4 / 3 * math.pi * math.prod(TUMOUR_MM[1]) / 1000
    assert dicom.mask.sum() * 2.8**3 / 1000 == pytest.approx(volume_ml, rel=0.08)


@pytest.mark.system
def test_one_command_trains_on_a_folder_of_patients_and_goes_on_where_it_stopped(
    patients, recipe, tmp_path, monkeypatch
):
    """A convolution stands for the network: MONAI is not in this environment."""
    monkeypatch.setattr(train, "build_network", lambda _: torch.nn.Conv3d(3, 1, 1))
    short = tmp_path / "recipe.toml"
    text = (FOLDER / "recipe.toml").read_text()
    stages = [f'[[stage]]\nspacing_mm = 2.8\nshape = [16, 16, 16]\nbatch = 1\nsteps = {n}\nlearning_rate = 1e-3\n'
              "flat_fraction = 1.0\n" for n in (2, 3)]  # fmt: skip
    head, _, rest = text.partition("[[stage]]")
    short.write_text(head + "".join(stages) + rest[rest.index("[optimiser]") :])
    monkeypatch.setattr(train, "RECIPE", short)
    work = tmp_path / "work"
    command = ["train", "--data", str(patients), "--work", str(work), "--device", "cpu"]

    monkeypatch.setattr("sys.argv", [*command, "--minutes", "0"])
    train.main()
    first = torch.load(work / "checkpoint.pt", weights_only=True)["at"]
    monkeypatch.setattr("sys.argv", command)
    train.main()

    assert (first["stage"], first["step"]) == (0, 1)
    assert torch.load(work / "checkpoint.pt", weights_only=True)["at"]["stage"] == 2
    rows = list(csv.DictReader((work / "log.csv").read_text().splitlines()))
    assert [(one["stage"], one["step"]) for one in rows] == [("0", "1"), ("0", "2"), ("1", "3")]
    assert all(math.isfinite(float(one["loss"])) for one in rows)
    assert rows[-1]["held_out_dice"]  # of the first of the two patients


@pytest.mark.system
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # deprecated, and still the format
def test_training_starts_from_given_weights_at_a_given_stage(patients, recipe, tmp_path, monkeypatch):
    torch.manual_seed(7)
    given = torch.nn.Conv3d(3, 1, 1)
    torch.jit.trace(given, torch.rand(1, 3, 16, 16, 16)).save(str(tmp_path / "given.ts"))
    monkeypatch.setattr(train, "build_network", lambda _: torch.nn.Conv3d(3, 1, 1))
    stage = {"spacing_mm": 2.8, "shape": [16] * 3, "batch": 1, "steps": 1, "flat_fraction": 1.0}
    stages = [
        {**stage, "learning_rate": rate} for rate in (1.0, 0.0)
    ]  # the first would move the weights, the second not

    train.train({**recipe, "stage": stages}, patients, tmp_path / "work", weights=tmp_path / "given.ts", first_stage=1)

    state = torch.load(tmp_path / "work" / "checkpoint.pt", weights_only=True)
    assert state["at"]["stage"] == 2
    for part in ("network", "average"):
        torch.testing.assert_close(state[part]["weight"], given.weight.detach())


def test_the_cache_is_read_and_not_made_again(folder, tmp_path):
    prepare.fill(folder, tmp_path / "cache", [1.0])
    (folder / "one" / "t2w.nii.gz").unlink()

    assert prepare.cached(folder, tmp_path / "cache", 1.0)[0].name == "one"


def test_a_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mask\.nii\.gz for each case"):
        prepare.find_cases(tmp_path)


def test_a_case_without_t2w_is_refused(folder):
    (folder / "one" / "t2w.nii.gz").unlink()

    with pytest.raises(ValueError, match="must hold t2w"):
        prepare.load_case(folder / "one")


def test_no_case_is_on_both_sides(case):
    cases = [prepare.Prepared(str(number), case.image, case.mask) for number in range(11)]

    seen, unseen = prepare.split(cases)

    assert sorted(one.name for one in (*seen, *unseen)) == sorted(one.name for one in cases)
    assert len(unseen) == 3


# -- views ---------------------------------------------------------------------------------------------------------


def test_a_view_without_changes_is_the_case_or_its_mirror_image(case, still):
    image, mask = augment.Views([case], WHOLE, still, 0).draw(case)

    whole = [np.array_equal(mask[0].numpy(), one) for one in (case.mask, case.mask[:, :, ::-1])]
    assert sum(whole) == 1
    assert image[1][mask[0] > 0].mean() > image[1].mean() + 1
    assert torch.equal(image[2] == 0, (image[2] == 0) | (torch.arange(32)[None, :, None] >= 16))


def test_each_sequence_has_mean_0_and_deviation_1_where_it_is(case, recipe):
    image, _ = augment.Views([case], WHOLE, recipe["augmentation"] | {"padded_fraction": 1.0}, 1).draw(case)

    for channel in image:
        inside = channel[channel != 0].double()
        assert float(inside.mean()) == pytest.approx(0, abs=1e-3)
        assert float(inside.std()) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(
    ("chances", "absent"),
    [
        ({"without_diffusion": 1.0}, [False, True, True]),
        ({"without_one": 1.0}, [False, True, False]),
        ({"without_one": 0.5}, None),
    ],
)
def test_sequences_are_left_out_as_often_as_asked(case, still, chances, absent):
    views = augment.Views([case], WHOLE, still | chances, 2)

    for _ in range(3):
        empty = [not bool(channel.any()) for channel in views.draw(case)[0]]
        assert empty == absent if absent else empty in ([False, True, False], [False, False, True])


def test_a_crop_about_the_tumour_holds_some_of_it(case, recipe):
    stage = {"spacing_mm": 1.4, "shape": [16, 16, 16]}
    views = augment.Views([case], stage, recipe["augmentation"] | {"anywhere_fraction": 0.0}, 3)

    drawn = [views.draw(case) for _ in range(5)]

    assert all(image.shape == (3, 16, 16, 16) and mask.shape == (1, 16, 16, 16) for image, mask in drawn)
    assert all(bool(mask.any()) for _, mask in drawn)


# -- learning ------------------------------------------------------------------------------------------------------


def test_the_loss_falls_with_the_overlap_and_bears_an_empty_mask():
    mask = torch.zeros(1, 1, 4, 4, 4)
    mask[..., :2] = 1
    right, shifted, wrong = ((2 * part - 1) * 9 for part in (mask, mask.roll(1, -1), 1 - mask))

    losses = [float(train.loss_of(logits, mask)) for logits in (right, shifted, wrong)]

    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(0, abs=1e-3)
    assert float(train.loss_of(torch.full_like(mask, -9), torch.zeros_like(mask))) == pytest.approx(0, abs=1e-3)


def test_the_rate_warms_up_stays_and_falls():
    stage = {"steps": 100, "flat_fraction": 0.5, "learning_rate": 1e-2}

    rates = [train.learning_rate(step, stage, 10) for step in (0, 9, 50, 75, 99)]

    assert rates == pytest.approx([1e-3, 1e-2, 1e-2, 5e-3, 2e-4], rel=0.02)


def test_steps_lower_the_loss_and_the_average_follows(case):
    torch.manual_seed(0)
    network = torch.nn.Conv3d(3, 1, 3, padding=1)
    average = copy.deepcopy(network)
    start = torch.clone(network.weight)
    optimiser = torch.optim.AdamW(network.parameters())
    image, mask = torch.tensor(case.image, dtype=torch.float32)[None], torch.tensor(case.mask)[None, None].float()

    losses = []
    for _ in range(20):
        loss = train.loss_of(network(image), mask)
        losses.append(loss.item())
        train.learn(loss, network, optimiser, 0.1)
        train.follow(average, network, 0.9)

    assert losses[-1] < 0.8 * losses[0]
    moved = torch.linalg.norm(network.weight - start)
    assert torch.linalg.norm(average.weight - network.weight) < moved
    assert torch.linalg.norm(average.weight - start) > 0.1 * moved


# -- what is counted -----------------------------------------------------------------------------------------------


def test_icc_is_the_ratio_of_variances_it_estimates(rng):
    """Cases, raters and error of known variance: ICC(2,1) is the share of the cases."""
    cases, raters = 4000, 40
    ratings = rng.normal(0, 3, (cases, 1)) + rng.normal(0, 1, (1, raters)) + rng.normal(0, 2, (cases, raters))

    share = 9 / (9 + ratings.mean(axis=0).var(ddof=1) + 4)

    assert evaluate.icc_2_1(ratings) == pytest.approx(share, abs=0.02)


def test_icc_of_two_raters_counts_an_offset_against_them():
    first = np.array([1.0, 5.0, 20.0, 60.0])

    assert evaluate.icc_2_1(np.stack([first, first], 1)) == pytest.approx(1)
    assert evaluate.icc_2_1(np.stack([first, first + 30], 1)) < 0.8
    assert math.isnan(evaluate.icc_2_1([[1.0, 2.0]]))


def row(reference_ml, found_ml, dice, objects=1):
    return {
        "reference_ml": reference_ml, "found_ml": found_ml, "dice": dice, "jaccard": dice / (2 - dice),
        "hausdorff_mm": 4.0 if dice else None, "hausdorff95_mm": 2.0 if dice else None, "objects": objects,
        "largest_other_ml": 0.0, "seconds": 3.0,
    }  # fmt: skip


def test_a_summary_counts_tumours_and_what_is_marked_without_one():
    rows = [row(10, 12, 0.9), row(20, 18, 0.7, 2), row(30, 33, 0.8), row(5, 0, 0.0, 0), row(0, 0, 1.0, 0), row(0, 2, 0)]

    found = evaluate.summarise(rows)

    assert (found["tumours"], found["found"], found["without_tumour"], found["without_tumour_but_marked"]) == (
        4,
        3,
        2,
        1,
    )
    assert found["dice_median"] == pytest.approx(0.75)
    assert found["dice_mean"] == pytest.approx(0.6)
    assert found["with_other_objects"] == 1
    differences = np.array([2.0, -2.0, 3.0, -5.0])
    assert found["volume_bias_ml"] == pytest.approx(differences.mean(), abs=1e-3)
    half = 1.96 * math.sqrt(((differences - differences.mean()) ** 2).sum() / 3)
    assert found["volume_limits_ml"] == pytest.approx([differences.mean() - half, differences.mean() + half], abs=1e-3)


def test_the_tables_name_every_number_of_the_summary():
    cases = {str(n): dict.fromkeys(evaluate.WAYS, row(ml, ml + 1, 0.5)) for n, ml in enumerate((2.0, 10.0, 30.0, 0.0))}
    found = {
        "summary": {way: evaluate.summarise([scores[way] for scores in cases.values()]) for way in evaluate.WAYS},
        "by_size": evaluate.by_size(cases),
        "grids": evaluate.agreement_of_grids(cases),
        "sample": cases["0"],
    }

    text = evaluate.tables_of(found)

    assert all(f"| {name} | 1 |" in text for name in ("0 to 5 mL", "5 to 20 mL", "20 mL and more"))
    assert text.count("| +1.00 (1.00 to 1.00) |") == len(evaluate.WAYS)


def test_a_case_is_scored_on_the_grid_of_its_mask():
    reference = np.zeros((4, 6, 8), bool)
    reference[1:3, 1:5, 1:7] = True
    mask = Volume(np.roll(reference, 1, axis=1), np.diag([4.0, 1.0, 0.5, 1.0]), "PATIENT")

    found = evaluate.score(reference, evaluate.Result(mask, TumourObjects(mask, ()), 1.0))

    assert found["dice"] == pytest.approx(0.75)
    assert found["hausdorff_mm"] == 1.0
    assert found["reference_ml"] == pytest.approx(48 * 2 / 1000)


def test_a_card_without_marks_is_refused(tmp_path):
    card = tmp_path / "card.md"
    card.write_text("no marks")

    with pytest.raises(ValueError, match="marks"):
        evaluate.fill_card(card, "tables")


# -- what is shipped -----------------------------------------------------------------------------------------------


def test_the_first_sentence_of_the_card_says_what_the_weights_have_seen():
    sentences = [line for line in (FOLDER / "card.md").read_text().splitlines() if line and not line.startswith("#")]
    assert sentences[0].startswith("These weights are trained on synthetic pelvises only; they prove the pipeline, not")


def test_the_recorded_hashes_are_those_of_the_files():
    record = json.loads((FOLDER / "metadata.json").read_text())
    recorded = {record["weights"]["file"]: record["weights"]["sha256"], **record["openvino"]["sha256"]}

    assert {name: sha256_of(FOLDER / name) for name in recorded} == recorded


def test_no_copy_of_the_weights_has_20_mb():
    assert all((FOLDER / name).stat().st_size < 20e6 for name in ("model.ts", "model.bin"))


def test_the_application_can_load_the_model():
    model = load_model_package(FOLDER)

    assert replace(model.input, may_be_absent=prepare.SEQUENCES[1:]) == prepare.wanted_input(0.7)
    assert model.channels == ("tumour",)
    assert "synthetic pelvises only" in model.calibration


def test_what_the_model_does_badly_without_may_not_be_absent(recipe):
    """It is refused then: a network that finds nothing would report that there is nothing."""
    summary = json.loads((FOLDER / "evaluation.json").read_text())["summary"]
    model = load_model_package(FOLDER)

    assert model.input.may_be_absent == tuple(recipe["grid"]["may_be_absent"])
    alone = summary["T2w alone"]
    assert alone["found"] > 0.8 * alone["tumours"] or not model.input.may_be_absent


def test_the_numbers_are_those_of_the_shipped_weights():
    evaluation = json.loads((FOLDER / "evaluation.json").read_text())

    assert evaluation["sha256"] == load_model_package(FOLDER).sha256
    first = evaluation["summary"]["T2w, DWI, ADC"]
    dice = [scores["T2w, DWI, ADC"]["dice"] for scores in evaluation["cases"].values()
            if scores["T2w, DWI, ADC"]["reference_ml"]]  # fmt: skip
    assert first["dice_median"] == pytest.approx(float(np.median(dice)), abs=1e-3)
