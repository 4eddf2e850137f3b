import gzip

import nibabel
import numpy as np
import pytest
from highdicom import Volume
from pydicom.sr.codedict import codes

from imaging import coarse_image as module
from imaging.coarse_image import block_size, coarse_image, label_blocks, mean_blocks, near_labels, nifti_gz
from imaging.encode_seg import Segment, SegmentLabel
from imaging.region import region_of
from imaging.window import GreyWindow
from tests.phantoms import oblique_affine

SHAPE, SPACING_MM = (13, 30, 41), (3.0, 1.0, 0.5)
WINDOW = GreyWindow(0, 255, "test")


def segment(mask, name="thing"):
    label = SegmentLabel(
        label=name, category=codes.SCT.AnatomicalStructure, property_type=codes.SCT.Lung, display_rgb=(250, 30, 20)
    )
    return Segment(label, mask)


@pytest.fixture
def box():
    """An oblique image of one bright box, and its mask."""
    mask = np.zeros(SHAPE, bool)
    mask[4:9, 12:22, 20:36] = True
    affine = oblique_affine((8, -6, 5), SPACING_MM)
    return Volume(np.where(mask, 200, 40).astype(np.float32), affine, coordinate_system="PATIENT"), mask


def read(octets):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(octets))


def centre_mm(array, affine):
    return affine[:3, :3] @ np.argwhere(array > 100).mean(axis=0) + affine[:3, 3]


@pytest.mark.parametrize("most", [10**6, 4000, 600])
def test_another_reader_finds_the_image_where_it_was(box, monkeypatch, most):
    monkeypatch.setattr(module, "MOST_VOXELS", most)
    volume, mask = box
    made = coarse_image(volume, [segment(mask)], WINDOW)
    image = read(made.image)

    truth = volume.affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + volume.affine[:3, 3]
    size_mm = np.linalg.norm(image.affine[:3, :3], axis=0)
    assert np.prod(image.shape) <= most
    assert size_mm == pytest.approx(made.voxel_mm)
    found = centre_mm(np.asarray(image.dataobj), image.affine) * (-1, -1, 1)  # RAS to LPS
    assert np.linalg.norm(found - truth) <= np.linalg.norm(size_mm) / 2


def test_the_full_grid_keeps_every_value(box):
    volume, mask = box
    image, labels = (read(octets) for octets in (coarse_image(volume, [segment(mask)], WINDOW).image,
                                                 coarse_image(volume, [segment(mask)], WINDOW).labels))  # fmt: skip

    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(labels.dataobj).T, mask)
    np.testing.assert_allclose(np.asarray(image.dataobj).T, volume.array, atol=256 // module.GREY_LEVELS)


def test_a_target_lies_inside_its_segment(box):
    volume, mask = box
    ring = mask.copy()
    ring[:, 14:20, 23:33] = False  # its middle is not of it
    (target,) = coarse_image(volume, [segment(region_of(ring), "ring")], WINDOW).targets

    lps = np.multiply(target.centre_ras_mm, (-1, -1, 1))
    index = np.linalg.inv(volume.affine[:3, :3]) @ (lps - volume.affine[:3, 3])
    assert ring[tuple(np.rint(index).astype(int))]
    assert target.name == "ring"


def test_means_are_those_of_the_blocks():
    array = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)

    found = mean_blocks(array, (2, 3, 4))

    np.testing.assert_allclose(found, array.reshape(2, 2, 2, 3, 2, 4).mean(axis=(1, 3, 5)), rtol=1e-6)


def test_labels_are_those_of_the_middle_of_a_block():
    mask = np.zeros((4, 4, 4), bool)
    mask[3, 3, 3] = True

    assert label_blocks([segment(mask)], mask.shape, (2, 2, 2))[1, 1, 1] == 1
    assert label_blocks([segment(mask)], mask.shape, (2, 2, 2)).sum() == 1


@pytest.mark.parametrize(("spacing_mm", "blocks"), [((1, 1, 1), (4, 4, 4)), ((4, 1, 1), (2, 6, 6))])
def test_blocks_are_as_even_as_can_be(spacing_mm, blocks):
    assert block_size((240, 240, 240), spacing_mm, 240**3 // 64) == blocks


def test_what_is_noisy_is_made_coarser_until_it_fits(box, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    noise = np.random.default_rng(1).uniform(0, 255, SHAPE).astype(np.float32)
    made = coarse_image(box[0].with_array(noise), [segment(box[1])], WINDOW)

    assert len(made.image) <= 2000
    assert np.prod(made.voxel_mm) > np.prod(SPACING_MM)


def test_nothing_far_from_the_segments_is_in_the_image(box):
    volume, mask = box
    made = coarse_image(volume, [segment(mask)], WINDOW, hide_beyond_mm=3.0)
    image = np.asarray(read(made.image).dataobj).T

    far = np.ones(SHAPE, bool)
    far[2:11, 6:28, 10:41] = False  # more than 3 mm, and the two voxels that the judgement is coarse by
    assert not image[far].any()
    assert image[mask].all()
    assert np.asarray(read(coarse_image(volume, [segment(mask)], WINDOW).image).dataobj).T[far].all()


def test_without_segments_nothing_is_near():
    assert not near_labels(np.zeros((3, 4, 5), np.uint8), (1, 1, 1), 100.0).any()


def test_the_same_image_is_the_same_bytes():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

    assert nifti_gz(array, np.eye(4), 0) == nifti_gz(array, np.eye(4), 0)


def test_what_is_hidden_is_black_where_low_values_are_white(box):
    volume, mask = box

    made = coarse_image(volume, [segment(mask)], GreyWindow(0, 255, "test", inverted=True), hide_beyond_mm=3.0)

    values = np.asarray(read(made.image).dataobj).transpose()
    assert values[6, 16, 28] == (255 - 200) // 4 * 4
    assert values[6, 11, 28] == (255 - 40) // 4 * 4  # near
    assert values[0, 0, 0] == 0
