import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.sliding_window import as_batch, sliding_window

sizes = st.tuples(*[st.integers(1, 17)] * 3)


@given(shape=sizes, window=sizes.filter(lambda size: np.prod(size) > 20), overlap=st.sampled_from([0, 0.25, 0.5, 0.9]))
def test_a_network_that_changes_nothing_gives_the_image_back(shape, window, overlap):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    found = sliding_window(image, window, lambda patch: patch[None], overlap=overlap)

    assert np.abs(found[0] - image).max() < 1e-5


def test_the_network_always_gets_its_window_and_sees_every_voxel():
    image = np.arange(5 * 9 * 14, dtype=np.float32).reshape(5, 9, 14) + 1
    shapes, seen = set(), set()

    def predict(patch):
        shapes.add(patch.shape)
        seen.update(patch[patch > 0].tolist())
        return patch[None]

    sliding_window(image, (6, 4, 5), predict)

    assert shapes == {(6, 4, 5)}
    assert seen == set(image.reshape(-1).tolist())


def test_an_image_of_one_window_is_predicted_once():
    calls = []

    def predict(patch):
        calls.append(patch.copy())
        return patch[None] * 2

    image = np.ones((4, 5, 6), np.float32)
    found = sliding_window(image, (4, 5, 6), predict)

    assert len(calls) == 1
    assert found[0] == pytest.approx(2 * image)


def test_a_short_axis_is_padded_with_zeros_for_the_network():
    patches = []

    sliding_window(np.ones((2, 3, 4), np.float32), (4, 3, 4), lambda patch: patches.append(patch) or patch[None])

    assert patches[0].sum(axis=(1, 2)).tolist() == [12, 12, 0, 0]


def test_where_windows_overlap_the_nearer_centre_counts_more():
    answers = iter([0.0, 1.0])

    found = sliding_window(
        np.zeros((1, 1, 12), np.float32), (1, 1, 8), lambda patch: np.full_like(patch, next(answers))[None], overlap=0.5
    )

    blend = found[0, 0, 0]
    assert (blend[:4] == 0).all()
    assert (blend[8:] == 1).all()
    assert (np.diff(blend[3:9]) > 0).all()
    assert blend[5] + blend[6] == pytest.approx(1.0)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 1.5])
def test_an_impossible_overlap_is_refused(overlap):
    with pytest.raises(ValueError, match=rf"at least 0 and below 1, got {overlap}"):
        sliding_window(np.zeros((2, 2, 2), np.float32), (2, 2, 2), lambda patch: patch[None], overlap=overlap)


def test_a_window_with_too_few_axes_is_refused():
    with pytest.raises(ValueError, match="zip"):
        sliding_window(np.zeros((2, 2, 2), np.float32), (2, 2), lambda patch: patch)


@given(shape=sizes, window=sizes.filter(lambda size: np.prod(size) > 20))
def test_an_image_of_several_channels_keeps_them_together(shape, window):
    image = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    shapes = set()

    def predict(patch):
        shapes.add(patch.shape)
        return patch[:2] - patch[2:]

    found = sliding_window(image, window, predict)

    assert shapes == {(3, *window)}
    assert np.abs(found - (image[:2] - image[2:])).max() < 1e-5


@pytest.mark.parametrize(("shape", "batch"), [((4, 5, 6), (1, 1, 4, 5, 6)), ((3, 4, 5, 6), (1, 3, 4, 5, 6))])
def test_a_batch_is_one_image_with_its_channels(shape, batch):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)

    found = as_batch(np.moveaxis(np.ascontiguousarray(np.moveaxis(image, 0, -1)), -1, 0))

    assert found.shape == batch
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found.reshape(shape), image)
