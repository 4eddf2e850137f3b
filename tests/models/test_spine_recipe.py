"""The parts of the spine recipe that need no training: targets, folds, and how bodies are counted."""

import csv
import itertools
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("nibabel", reason="nibabel reads the training data: pip install nibabel")

from imaging.model_package import sha256_of
from models.spine import augment, evaluate, prepare

pytestmark = pytest.mark.system  # slow: many voxels
FOLDER = Path(prepare.__file__).parent
SPACING_MM = (4.0, 1.0, 1.0)
MULTIPLES = (8, 16, 16)


@pytest.fixture
def recipe():
    return tomllib.loads((FOLDER / "recipe.toml").read_text())


@pytest.fixture
def labels():
    """Two bodies, 4 mm apart, of 30 x 30 mm in 6 slices; 1 is the caudal one."""
    array = np.zeros((8, 120, 80), np.uint8)
    array[1:7, 40:70, 25:55] = 2
    array[1:7, 74:104, 25:55] = 1
    return array


def case(group, kind="t2w"):
    return prepare.Case(case_id=f"{group}-scan", patient_group=group, kind=kind, folder=Path())


def test_no_patient_group_is_on_both_sides_of_a_fold(recipe):
    held_out = recipe["folds"]["held_out"]
    cases = [case(group) for groups in held_out for group in groups for _ in range(2)]
    for fold in range(len(held_out)):
        seen, unseen = prepare.split(cases, held_out, fold)
        assert len(seen) + len(unseen) == len(cases)
        assert {one.patient_group for one in seen}.isdisjoint(one.patient_group for one in unseen)


@pytest.mark.parametrize(
    "held_out",
    [
        pytest.param([["a"], ["a", "b"]], id="held out twice"),
        pytest.param([["a"], ["c"]], id="never held out"),
    ],
)
def test_a_group_that_is_not_held_out_once_is_refused(held_out):
    with pytest.raises(ValueError, match="exactly once"):
        prepare.split([case("a"), case("b")], held_out, 0)


def test_every_group_of_the_set_is_held_out(recipe, shared_data):
    if not (shared_data / "spine" / "cases.csv").is_file():
        pytest.skip("the shared data has no spine/cases.csv")
    cases = prepare.read_cases(shared_data / "spine")
    unseen = [prepare.split(cases, recipe["folds"]["held_out"], fold)[1] for fold in range(3)]
    assert sorted(one.case_id for fold in unseen for one in fold) == sorted(one.case_id for one in cases)
    assert all(any(one.kind == "t2w" for one in fold) for fold in unseen)


def test_the_set_is_missed_by_its_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="--data"):
        prepare.read_cases(tmp_path)


def test_an_unknown_sequence_is_refused():
    with pytest.raises(ValueError, match="'DWI'"):
        prepare.kind_of("DWI")


def test_s1_is_found_by_its_level(tmp_path):
    with (tmp_path / "levels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("case_id", "label_id", "level"), ("a", 1, "S1"), ("a", 2, "L5"), ("b", 1, "L5")])
    assert [prepare.sacral_id(tmp_path, name) for name in "ab"] == [1, 0]


def test_sizes_are_multiples_of_the_strides_of_the_network(recipe):
    strides = zip(*recipe["network"]["strides"], strict=True)
    assert tuple(math.prod(each) for each in strides) == MULTIPLES
    assert f"MULTIPLES = {MULTIPLES}" in (FOLDER / "train.py").read_text()  # it imports MONAI core, tests do not


def test_training_crops_fit_the_network(recipe):
    shapes = [shape for stage in recipe["stage"] for shape in stage.get("shapes", [])]
    assert all(size % multiple == 0 for shape in shapes for size, multiple in zip(shape, MULTIPLES, strict=True))
    assert recipe["stage"][-1]["spacing_mm"] == recipe["grid"]["spacing_mm"]


def test_a_stage_draws_crops_or_fields_of_view(recipe):
    assert all(("shapes" in stage) != ("field_of_view" in stage) for stage in recipe["stage"])


@pytest.fixture
def source(labels, rng):
    """A scan of 32 x 120 x 80 mm, brighter at one end of each axis."""
    ramp = sum(np.meshgrid(*(np.linspace(0, 9, n) for n in labels.shape), indexing="ij"))
    image = ramp + rng.normal(0, 0.1, labels.shape)
    known = np.ones(labels.shape, bool)
    scan = prepare.Scan(
        case=case("a"), spacing_mm=SPACING_MM, image=image, labels=labels, core=labels > 0, known=known
    )  # fmt: skip
    return augment.source_of(scan)


@pytest.fixture
def still(recipe):
    """The augmentation of the recipe without any change of place or size."""
    place = {"scale": [1.0, 1.0], "slice_scale": [1.0, 1.0], "rotation_deg": [0.0] * 3, "elastic_mm": 0.0}
    return {**recipe["augmentation"], **place}


def drawn(source, options, share, count=6, seed=0, spacing_mm=SPACING_MM):
    """So many fields of view, with the middle of each in mm from the first voxel."""
    augmenter = augment.Augmenter([source], {"t2w": 1.0}, options, seed)
    middles, grid = [], augmenter._grid

    def watched(*arguments):
        where_mm, slice_mm = grid(*arguments)
        middles.append(where_mm.numpy().reshape(-1, 3).mean(axis=0))
        return where_mm, slice_mm

    augmenter._grid = watched
    views = augmenter.whole(share, spacing_mm, MULTIPLES)
    return list(zip(itertools.islice(views, count), middles, strict=False))


def test_a_field_of_view_fits_the_network_and_keeps_all_slices(source, recipe):
    for (image, target, known), _ in drawn(source, recipe["augmentation"], [0.6, 1.0], spacing_mm=[4.4, 1.5, 1.5]):
        assert image.shape == known.shape == (1, 1, *image.shape[2:])
        assert target.shape == (1, 2, *image.shape[2:])
        assert all(size % multiple == 0 for size, multiple in zip(image.shape[2:], MULTIPLES, strict=True))
        assert image.shape[2] * 4.4 >= 8 * SPACING_MM[0]


@pytest.mark.parametrize("share", [(0.5, 0.5), (0.7, 1.0), (1.0, 1.0)])
def test_a_field_of_view_is_so_large_as_asked_and_its_middle_lies_so_that_it_is_filled(source, still, share):
    size_mm = np.array([8, 120, 80]) * SPACING_MM
    for (image, _, _), middle_mm in drawn(source, still, share):
        least = size_mm * (1, share[0], share[0])
        most = size_mm * (1, share[1], share[1]) + np.array(MULTIPLES) * SPACING_MM
        seen_mm = np.array(image.shape[2:]) * SPACING_MM
        assert (least - 1e-6 <= seen_mm).all()
        assert (seen_mm <= most + 1e-6).all()
        room_mm = (1 - np.array((1, share[0], share[0]))) * size_mm / 2
        assert (np.abs(middle_mm - size_mm / 2) <= room_mm + np.array(SPACING_MM)).all()


def test_fields_of_view_differ_in_size_and_place(source, still):
    views = drawn(source, still, (0.5, 1.0))

    assert len({tuple(image.shape) for (image, _, _), _ in views}) > 2
    assert np.ptp([middle_mm[1] for _, middle_mm in views]) > 5


def test_a_whole_field_of_view_has_all_of_the_bodies_and_background_around_them(source, still):
    for (_, target, known), _ in drawn(source, still, (1.0, 1.0), count=4):
        voxels = float(target[0, augment.BODY].sum())
        assert voxels == pytest.approx(2 * 6 * 30 * 30, rel=0.1)  # the labels of the fixture, partial volume aside
        assert 0 < float(known.mean()) <= 1


def test_the_same_seed_draws_the_same_fields_of_view(source, recipe):
    one, other, third = (drawn(source, recipe["augmentation"], [0.6, 1.0], 2, seed) for seed in (3, 3, 4))

    assert all(torch.equal(a, b) for (first, _), (second, _) in zip(one, other, strict=True)
               for a, b in zip(first, second, strict=True))  # fmt: skip
    assert any(a[0].shape != b[0].shape or not torch.equal(a[0], b[0])
               for (a, _), (b, _) in zip(one, third, strict=True))  # fmt: skip


def test_cores_lie_inside_and_apart(labels):
    touching = labels.copy()
    touching[1:7, 70:74, 25:55] = 1
    core = prepare.core_of(touching, SPACING_MM)
    rows = np.flatnonzero(core.any(axis=(0, 2)))
    assert not (core & (touching == 0)).any()
    assert np.diff(rows).max() > 2 * prepare.CORE_DEPTH_MM


def test_only_the_spine_above_the_last_label_is_unknown(labels):
    known = prepare.known_region(labels, SPACING_MM)
    assert known[labels > 0].all()
    assert known[:, 70:, :].all()
    assert known[:, 38:40, :].all()  # disc and end plate
    assert not known[:, :30, 30:50].any()  # the next body
    assert known[:, :, 0].all()  # far in front
    assert known[:, 36, -1].all()  # far behind


def test_the_unknown_region_follows_a_tilted_end_plate():
    rows, columns = np.mgrid[:120, :80]
    body = (np.abs(columns - 40) < 15) & (np.abs(rows - 60 - 0.5 * (columns - 40)) < 12)
    known = prepare.known_region(np.repeat(body[None].astype(np.uint8), 6, axis=0), SPACING_MM)
    assert known[3, 53, 53]
    assert not known[3, 48, 53]
    assert known[3, 40, 27]
    assert not known[3, 35, 27]


def test_labels_without_a_body_are_refused(labels):
    with pytest.raises(ValueError, match="without any body"):
        prepare.known_region(np.zeros_like(labels), SPACING_MM)


def test_touching_bodies_are_separated_by_their_cores(labels):
    body = labels > 0
    body[3, 70:74, 35:45] = True
    core = prepare.core_of(labels, SPACING_MM)
    known = np.ones_like(body)
    merged = evaluate.count_bodies(labels, known, evaluate.separate(body, np.zeros_like(core), SPACING_MM))
    apart = evaluate.count_bodies(labels, known, evaluate.separate(body, core, SPACING_MM))
    assert (merged.bodies, merged.found < 2) == (2, True)
    assert (apart.found, apart.false) == (2, 0)


def test_a_speck_is_removed_and_a_large_object_beside_the_spine_is_false(labels):
    body = labels > 0
    body[3, 5:10, 5:10] = True
    body[2:6, 80:110, 60:78] = True
    core = np.zeros_like(body)
    objects = evaluate.separate(body, core, SPACING_MM)
    counts = evaluate.count_bodies(labels, np.ones_like(body), objects)
    assert not objects[3, 5:10, 5:10].any()
    assert (counts.found, counts.false) == (2, 1)


def test_an_object_where_nothing_is_labelled_is_neither_found_nor_false(labels):
    known = labels > 0
    objects = np.zeros(labels.shape, np.int32)
    objects[1:7, 5:35, 25:55] = 1
    counts = evaluate.count_bodies(labels, known, objects)
    assert (counts.found, counts.false, counts.unlabelled) == (0, 0, 1)


def test_the_published_grid_sees_the_bodies_where_they_are(labels):
    scan = prepare.Scan(
        case=case("a"),
        spacing_mm=SPACING_MM,
        image=labels,
        labels=labels,
        core=labels > 0,
        known=np.ones(labels.shape, bool),
    )
    grid = evaluate.grid_around(
        evaluate.volume_of(scan, labels), evaluate.PUBLISHED_SPACING_MM, evaluate.PUBLISHED_SHAPE
    )
    resampled, _ = evaluate.labels_on(scan, grid)
    voxel_ml = math.prod(evaluate.PUBLISHED_SPACING_MM) / 1000
    for number in (1, 2):
        assert np.count_nonzero(resampled == number) * voxel_ml == pytest.approx(21.6, rel=0.12)


def test_the_recorded_hashes_are_those_of_the_files():
    record = json.loads((FOLDER / "metadata.json").read_text())
    for member in record["members"]:
        recorded = {member["weights"]["file"]: member["weights"]["sha256"], **member["openvino"]["sha256"]}
        assert {name: sha256_of(FOLDER / name) for name in recorded} == recorded
        assert member["openvino"]["made_from_sha256"] == member["weights"]["sha256"]


def test_the_numbers_are_those_of_the_shipped_weights():
    record = json.loads((FOLDER / "metadata.json").read_text())
    evaluation = json.loads((FOLDER / "evaluation.json").read_text())
    assert evaluation["sha256"] == [member["weights"]["sha256"] for member in record["members"]]
