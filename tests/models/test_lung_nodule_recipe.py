"""The parts of the lung-nodule recipe that need no training: data, folds, examples, networks, figures, metadata."""

import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from highdicom import Volume

from imaging.model_package import load_model_package, sha256_of
from imaging.nodule_crop import crop_input, load_crop_input
from imaging.region import region_of
from models.lung_nodule import augment, baseline, calibrate, metrics, networks, prepare

FOLDER = Path(prepare.__file__).parent
ROW = {
    "nodule_key": "a_1",
    "patient_id": "a",
    "fold": "3",
    "label_malignant": "1",
    "diameter_mm": "7.5",
    **{f"spacing_{axis}": mm for axis, mm in zip("xyz", ("0.6", "0.7", "2.5"), strict=True)},
    **{f"origin_{axis}_lps": mm for axis, mm in zip("xyz", ("10", "-20", "30"), strict=True)},
    **{f"{name}_value": "4" for name in networks.READINGS},
}
SHIPPED = [name for name in ("classifier", "outline") if (FOLDER / name / "metadata.json").exists()]


@pytest.fixture
def recipe():
    return tomllib.loads((FOLDER / "recipe.toml").read_text())


def nodule(patient="a", fold=0, radius_mm=6.0, spacing_mm=(2.0, 0.7, 0.8), shape=(9, 44, 40)):
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = [*spacing_mm, 1]
    at = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij"), -1) * spacing_mm
    mask = np.linalg.norm(at, axis=-1) <= radius_mm
    image = np.where(mask, 30, -850).astype(np.float32)
    return prepare.Nodule(
        key=f"{patient}_1",
        patient=patient,
        fold=fold,
        malignant=True,
        mode=4,
        diameter_mm=2 * radius_mm,
        readings=(0.0,) * len(networks.READINGS),
        volume=Volume(image, affine, "PATIENT"),
        region=region_of(mask),
    )


def test_the_axes_of_the_data_become_slice_row_column():
    image = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)  # x, y, z
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[3, 1, 2] = 1
    found = prepare.nodule_of(ROW, image, mask)
    assert found.volume.array[2, 1, 3] == image[3, 1, 2]
    assert found.region.start == (2, 1, 3)
    assert found.volume.spacing == pytest.approx((2.5, 0.7, 0.6))
    place = found.volume.map_indices_to_reference(np.array([[2, 1, 3]]))[0]
    assert place == pytest.approx([10 + 3 * 0.6, -20 + 0.7, 30 + 2 * 2.5])


def test_a_nodule_without_a_mask_is_refused():
    with pytest.raises(ValueError, match="needs a mask"):
        prepare.nodule_of(ROW, np.zeros((4, 5, 6), np.int16), np.zeros((4, 5, 6), np.uint8))


def test_no_patient_is_on_both_sides_of_a_fold():
    nodules = [nodule(patient, fold) for fold, patients in enumerate(("ab", "cd", "e")) for patient in patients * 2]
    for fold in range(3):
        seen, held_out = prepare.split(nodules, fold)
        assert len(seen) + len(held_out) == len(nodules)
        assert {one.patient for one in seen}.isdisjoint(one.patient for one in held_out)


def test_a_patient_in_two_folds_is_refused():
    with pytest.raises(ValueError, match="1 of them are on both sides"):
        prepare.split([nodule("a", 0), nodule("a", 1), nodule("b", 1)], 0)


@pytest.mark.system  # slow: it reads all nodules
def test_the_folds_of_the_data_part_the_patients(shared_data, recipe):
    folder = shared_data / "lung_nodule"
    if not (folder / "nodules.npz").exists():
        pytest.skip("the shared data has no lung_nodule")
    nodules = prepare.load_nodules(folder)
    for fold in range(recipe["folds"]):
        prepare.split(nodules, fold)
    assert {one.fold for one in nodules} == set(range(recipe["folds"]))
    assert sum(one.cut for one in nodules) / len(nodules) == pytest.approx(0.55, abs=0.05)  # as the data's notes say


@pytest.mark.parametrize(
    ("malignant", "mode", "clear"), [("1", 4, True), ("1", 3, False), ("1", 2, False), ("0", 3, False), ("0", 2, True)]
)
def test_votes_are_clear_when_the_most_frequent_one_is_on_the_side_of_the_label(malignant, mode, clear):
    row = {**ROW, "label_malignant": malignant, "Malignancy_value": str(mode)}
    assert prepare.nodule_of(row, np.zeros((2, 2, 2), np.int16), np.ones((2, 2, 2), np.uint8)).clear == clear


def test_the_recipe_describes_grids_that_the_networks_take(recipe):
    for name in ("classifier", "outline"):
        wanted = crop_input(recipe[name]["crop"])
        image = torch.zeros(1, 1, *wanted.shape)
        with torch.inference_mode():
            output = networks.build_network(recipe, name).eval()(image)
        assert output.shape[:2] == (1, 1)
        assert [size % found for size, found in zip(wanted.shape, output.shape[2:], strict=True)] == [0, 0, 0]
    assert recipe["classifier"]["stage"][-1]["shape"] == recipe["classifier"]["crop"]["shape"]
    assert recipe["classifier"]["stage"][-1]["spacing_mm"] == recipe["classifier"]["crop"]["spacing_mm"]
    for stage in recipe["classifier"]["stage"]:
        whole = crop_input(recipe["classifier"]["crop"])
        assert np.multiply(stage["shape"], stage["spacing_mm"]) == pytest.approx(
            np.multiply(whole.shape, whole.spacing_mm)
        )


@pytest.fixture
def classifier(recipe):
    network = networks.build_network(recipe, "classifier").eval()
    shape = recipe["classifier"]["crop"]["shape"]
    cube = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    cube[0, :, :, :7] = 0
    cube[1, :, 5:] = 0
    return network, cube


def test_the_mean_of_the_evidence_is_the_logit(classifier):
    network, cubes = classifier
    with torch.inference_mode():
        logits, readings = network.learn(cubes)
        evidence = network(cubes)
    assert evidence.mean((1, 2, 3, 4)).numpy() == pytest.approx(logits.numpy(), abs=1e-5)
    assert readings.shape == (2, len(networks.READINGS))


def test_evidence_lies_in_the_nodule(classifier):
    network, cubes = classifier
    with torch.inference_mode():
        evidence = network(cubes)
    assert (evidence[0, 0, :, :3] == 0).all()
    assert (evidence[1, 0, 3:] == 0).all()
    assert (evidence[0, 0, :, 4:] != 0).all()


def test_the_part_of_places_is_grad_cam(classifier):
    network, cubes = classifier
    features, share, whole = (part.detach() for part in network.seen(cubes))
    pooled = (features * share).requires_grad_()  # what the network averages
    network.place_head(pooled.mean((2, 3, 4))).sum().backward()
    weights = pooled.grad.mean((2, 3, 4), keepdim=True) * pooled[0, 0].numel()
    with torch.inference_mode():
        spread = (network.whole_head(whole) + network.place_head.bias)[:, :, None, None, None] * share
        evidence = network(cubes) - spread
    assert evidence.numpy() == pytest.approx((weights * pooled.detach()).sum(1, keepdim=True).numpy(), abs=1e-5)


def test_statistics_count_voxels_and_extents(recipe):
    network = networks.build_network(recipe, "classifier").eval()
    network.statistics.layers = torch.nn.Identity()
    cube = torch.zeros(1, 1, 24, 24, 24)
    cube[:, :, 4:9, 4:10, 4:16] = 0.7  # well between two steps
    seen = torch.expm1(network.seen(cube)[2])[0].detach().numpy()
    assert seen[-4:] == pytest.approx([5 * 6 * 12, 5, 6, 12])
    steps = np.array(recipe["classifier"]["network"]["steps"])
    assert seen[:-4] / 360 == pytest.approx(1 / (1 + np.exp(-(0.7 - steps) * networks.SHARPNESS)), abs=1e-4)


def test_the_outline_network_looks_at_the_centre(recipe):
    network = networks.build_network(recipe, "outline")
    near = network._near_seed(torch.zeros(1, 1, 24, 48, 48))[0, 0].numpy()
    assert np.allclose(near, near[::-1, ::-1, ::-1])
    assert near[12, 24, 24] == near.max()
    spacing, seed_mm = recipe["outline"]["crop"]["spacing_mm"], recipe["outline"]["network"]["seed_mm"]
    from_centre_mm = np.array([3.5, -1.5, 2.5]) * spacing  # index 15, 22, 26
    assert near[15, 22, 26] == pytest.approx(math.exp(-0.5 * (np.linalg.norm(from_centre_mm) / seed_mm) ** 2))


def test_boxes_are_unknown_beyond_the_crop_and_hold_the_nodule_at_the_seed(recipe, rng):
    wanted = crop_input(recipe["outline"]["crop"])
    for _ in range(4):
        image, mask, known = augment.draw_box(nodule(), wanted, wanted.shape, recipe["outline"]["augmentation"], rng)
        assert image.shape == mask.shape == known.shape == wanted.shape
        assert not (mask[known == 0] > 0.5).any()
        assert (mask[11:13, 23:25, 23:25] > 0.5).any()
        assert 0.3 < known.sum() * np.prod(wanted.spacing_mm) / (18 * 30.8 * 32) < 1.6  # the crop, scaled


def test_cubes_vary_and_the_first_is_what_the_application_sees(recipe):
    wanted, options = crop_input(recipe["classifier"]["crop"]), recipe["classifier"]["augmentation"]
    cubes = augment.draw_cubes(nodule(), wanted, options, [1])
    again = augment.draw_cubes(nodule(), wanted, options, [1])
    assert cubes.shape == (options["variants"], *wanted.shape)
    assert np.array_equal(cubes, again)
    assert cubes[0] == pytest.approx(augment.classifier_crop(nodule().volume, nodule().region, wanted))
    assert (np.abs(cubes[1:] - cubes[0]).max(axis=(1, 2, 3)) > 0).any()


def test_a_turned_cube_keeps_its_shape_and_volume(recipe, rng):
    wanted = crop_input(recipe["classifier"]["crop"])
    cube = torch.zeros(6, 1, 24, 24, 24)
    cube[:, :, 4:20, 8:16, 10:14] = 1
    options = {**recipe["classifier"]["augmentation"], "scale": [1.0, 1.0]}
    turned = augment.turned(cube, wanted, options, rng).numpy()
    assert turned.sum(axis=(1, 2, 3, 4)) == pytest.approx(np.full(6, 16 * 8 * 4), rel=0.03)
    for each in turned[:, 0]:
        at = np.argwhere(each > 0.5)
        extents = np.sqrt(12 * np.linalg.eigvalsh(np.cov(at.T)))
        assert extents == pytest.approx([4, 8, 16], rel=0.12)


def test_pairs_of_slices_keep_their_place_and_the_mask():
    one = nodule(spacing_mm=(1.0, 0.7, 0.8), shape=(9, 44, 40))
    mask = one.region.within(one.volume.shape)
    image, thick, affine = augment.thicker(one.volume.array, mask, one.volume.affine)
    assert image.shape[0] == thick.shape[0] == 5
    assert affine[2, 0] == 2.0
    assert affine[2, 3] == one.volume.affine[2, 3] + 0.5
    assert image[1, 0, 0] == one.volume.array[2:4, 0, 0].mean()
    assert np.array_equal(thick[1], mask[2] | mask[3])


def test_the_area_under_the_curve_counts_pairs(rng):
    scores, positive = rng.integers(0, 9, 40).astype(float), rng.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert metrics.roc_auc(scores, positive) == pytest.approx(np.mean(pairs))
    assert math.isnan(metrics.roc_auc(scores, positive & False))


def test_calibration_error_is_the_distance_from_the_diagonal():
    probability = np.repeat([0.15, 0.85], 100)
    positive = np.concatenate([np.arange(100) < 25, np.arange(100) < 85])
    assert metrics.calibration_error(probability, positive) == pytest.approx(0.05)


def test_a_regression_finds_a_line_and_scores_folds_it_has_not_seen(rng):
    features, folds = rng.normal(size=(600, 2)), np.repeat([0, 1, 2], 200)
    malignant = rng.random(600) < 1 / (1 + np.exp(-3 * features[:, 0]))
    scores = baseline.held_out_scores(features, malignant, folds)
    assert np.corrcoef(scores, features[:, 0])[0, 1] > 0.98
    other = baseline.held_out_scores(features, np.where(folds == 1, ~malignant, malignant), folds)
    assert np.array_equal(scores[folds == 1], other[folds == 1])


def test_an_interval_draws_patients_and_not_nodules():
    values = np.array([0.0] * 50 + [1.0] * 50)
    wide = metrics.interval(["a"] * 50 + ["b"] * 50, lambda at: values[at].mean())
    narrow = metrics.interval([str(number) for number in range(100)], lambda at: values[at].mean())
    assert wide == [0.0, 1.0]
    assert 0.35 < narrow[0] < 0.5 < narrow[1] < 0.65


def test_a_fit_finds_the_calibration_that_made_the_labels(rng):
    logits = rng.normal(0, 3, 20000)
    malignant = rng.random(20000) < 1 / (1 + np.exp(-(logits - 1.0) / 2.5))
    found = calibrate.fit(logits, malignant)
    assert (found.temperature, found.offset) == (pytest.approx(2.5, rel=0.06), pytest.approx(1.0, abs=0.12))
    assert calibrate.fit(logits, malignant, with_offset=False).offset == 0.0


def test_no_fold_is_calibrated_on_itself(rng):
    logits, folds = rng.normal(0, 2, 300), np.repeat([0, 1, 2], 100)
    malignant = rng.random(300) < 1 / (1 + np.exp(-logits))
    first = calibrate.cross_fitted(logits, malignant, folds)
    second = calibrate.cross_fitted(logits, np.where(folds == 1, ~malignant, malignant), folds)
    assert np.array_equal(first[folds == 1], second[folds == 1])
    assert not np.allclose(first[folds == 0], second[folds == 0])


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_model_is_that_of_the_recipe(name, recipe):
    package = load_model_package(FOLDER / name)
    record = json.loads((FOLDER / name / "metadata.json").read_text())
    assert len(package.members) == recipe["folds"]
    assert record["network"] == recipe[name]["network"]
    assert load_crop_input(FOLDER / name) == crop_input(recipe[name]["crop"])
    assert package.input.maximum == load_crop_input(FOLDER / name).shape
    for member in record["members"]:
        recorded = {member["weights"]["file"]: member["weights"]["sha256"], **member["openvino"]["sha256"]}
        assert {file: sha256_of(FOLDER / name / file) for file in recorded} == recorded
        assert member["openvino"]["made_from_sha256"] == member["weights"]["sha256"]


@pytest.mark.skipif("classifier" not in SHIPPED, reason="no weights here")
def test_the_numbers_are_those_of_the_shipped_weights():
    evaluation = json.loads((FOLDER / "evaluation.json").read_text())
    assert evaluation["sha256"] == {name: load_model_package(FOLDER / name).sha256 for name in SHIPPED}
    assert load_model_package(FOLDER / "classifier").temperature != 1
