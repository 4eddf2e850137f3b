"""The table of docs/viewers.md says what readers make of segmentations, as far as no browser is needed to know it."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.series_samples import affine_of, asymmetric_mask
from tests.viewers.__main__ import column, written_column
from tests.viewers.compare import RIGHT, differing, said
from tests.viewers.readers import HERE, READERS
from tests.viewers.variants import VARIANTS

WITHOUT_BROWSER = [name for name in READERS if not name.startswith("OHIF")]


@pytest.mark.system
@pytest.mark.parametrize("name", WITHOUT_BROWSER)
def test_the_table_says_what_a_reader_makes_of_each_variant(name):
    if "cornerstone" in name and not (shutil.which("node") and (HERE / "node_modules").is_dir()):
        pytest.skip("needs Node with the packages of tests/viewers: (cd tests/viewers && npm ci)")
    if "dcmqi" in name and not Path(sys.executable).with_name("segimage2itkimage").exists():
        pytest.skip("needs dcmqi")

    found = column(READERS[name])

    assert dict(zip((each.title for each in VARIANTS), found, strict=True)) == dict(
        zip((each.title for each in VARIANTS), written_column(name), strict=True)
    )


def test_what_the_applications_write_is_read_to_the_voxel_by_every_reader():
    titles = ["BINARY, a frame on every slice", "BINARY, empty frames omitted, two segments"]
    rows = [[variant.title for variant in VARIANTS].index(title) for title in titles]

    assert {written_column(name)[row] for name in READERS for row in rows} == {RIGHT}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_mask_is_wrong(axis):
    mask, affine = asymmetric_mask(), affine_of("oblique")

    assert differing(mask, affine, mask, affine) == 0
    assert said({1: (np.flip(mask, axis), affine)}, [mask], affine).startswith("**wrong**")


def test_the_same_voxels_on_a_turned_grid_are_right():
    mask, affine = asymmetric_mask(), affine_of("oblique")
    turned = affine @ np.array([[-1, 0, 0, mask.shape[0] - 1], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])

    assert said({1: (np.flip(mask, 0).swapaxes(1, 2), turned)}, [mask], affine) == RIGHT


def test_a_segment_that_is_not_there_is_wrong():
    mask, affine = asymmetric_mask(), affine_of("oblique")

    assert said({1: (mask, affine)}, [mask, mask], affine).startswith("**wrong**: segments 1 of 2")
