"""The self-test passes on what the phantom is, and on nothing else."""

import copy

import numpy as np
import pytest

from cli.expectations import CHECKS
from cli.sample import SAMPLES
from imaging.chest_phantom import NODULES
from imaging.lumbar_phantom import BODIES
from maps.describe_app import app_names

BODY_LIST = [{"level": level, "centre_lps_mm": list(body.centre_mm)} for level, body in BODIES.items()]
NODULE_LIST = [
    {"centre_lps_mm": list(nodule.centre_mm), "longest_mm": nodule.longest_mm} for nodule in NODULES if nodule.in_lung
]


def wrong(app, measured):
    return list(CHECKS[app](measured))


def moved(items, by_mm):
    found = copy.deepcopy(items)
    for one in found:
        one["centre_lps_mm"] = [place + step for place, step in zip(one["centre_lps_mm"], by_mm, strict=True)]
    return found


def test_each_application_has_a_sample_and_a_check():
    assert sorted(CHECKS) == sorted(SAMPLES) == app_names()


@pytest.mark.parametrize(("volume_ml", "right"), [(1425, True), (1380, True), (1320, False), (1530, False), (0, False)])
def test_a_brain_of_another_size_is_wrong(volume_ml, right):
    """1425 mL is what counting the phantom's voxels gives; see the phantom."""
    assert (wrong("skull_strip", {"brain_volume_ml": volume_ml}) == []) is right


def test_bodies_where_the_phantom_has_them_are_right():
    assert wrong("spine", {"bodies": BODY_LIST}) == []


@pytest.mark.parametrize(
    "bodies",
    [
        [],
        BODY_LIST[1:],
        [*BODY_LIST, {"level": "T11", "centre_lps_mm": [0, 0, 140]}],
        moved(BODY_LIST, (0, 0, 6)),
        moved(BODY_LIST, (5, 0, 0)),
        [{**one, "level": other["level"]} for one, other in zip(BODY_LIST, reversed(BODY_LIST), strict=True)],
    ],
)
def test_missing_moved_and_swapped_bodies_are_wrong(bodies):
    assert wrong("spine", {"bodies": bodies})


def test_nodules_of_the_phantom_are_right_whatever_else_is_found():
    others = [{"centre_lps_mm": [0, 0, 0], "longest_mm": 5}]

    assert wrong("lung_nodule", {"nodules": [*NODULE_LIST, *others]}) == []


@pytest.mark.parametrize(
    "nodules",
    [
        [],
        NODULE_LIST[1:],
        moved(NODULE_LIST, (4, 0, 0)),
        [{**one, "longest_mm": one["longest_mm"] + 4} for one in NODULE_LIST],
        [{**one, "centre_lps_mm": np.multiply(one["centre_lps_mm"], (-1, 1, 1))} for one in NODULE_LIST],
    ],
)
def test_missing_moved_larger_and_mirrored_nodules_are_wrong(nodules):
    assert wrong("lung_nodule", {"nodules": nodules})


@pytest.fixture(scope="module")
def tumour_centre_mm():
    from imaging.write_pelvic_sample import AXIAL_T2W, expected_tumour, series_affine

    affine = series_affine(AXIAL_T2W)
    return affine[:3, :3] @ np.argwhere(expected_tumour()).mean(axis=0) + affine[:3, 3]


@pytest.mark.parametrize(
    ("moved_mm", "volume_ml", "right"),
    [
        ((0, 0, 0), 18, True),
        ((0, 0, 8), 11, True),
        ((0, 0, 12), 18, False),
        ((0, 0, 0), 8, False),
        ((0, 0, 0), 28, False),
    ],
)
def test_a_tumour_elsewhere_or_of_another_size_is_wrong(tumour_centre_mm, moved_mm, volume_ml, right):
    measured = {"tumour": {"centre_lps_mm": tumour_centre_mm + moved_mm, "volume_ml": volume_ml}}

    assert (wrong("cervical_tumor", measured) == []) is right


def test_no_tumour_is_wrong():
    assert wrong("cervical_tumor", {"tumour": None})
