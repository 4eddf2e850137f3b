import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from imaging.model_package import ModelInput
from imaging.outcome import NothingEligibleError, Reason, RefusedError
from imaging.prepare_sequences import normalise, prepare_sequences, prepare_volumes
from tests.tumour_samples import AFFINE, SHAPE, SPACING_MM, aligned, field, volume

WANTED = ModelInput(
    spacing_mm=(0.7, 0.7, 0.7),
    multiple=(8, 8, 8),
    maximum=(80, 72, 88),
    sequences=("T2w", "DWI", "ADC"),
    may_be_absent=("DWI", "ADC"),
)


def beside(array, columns=15):
    """The array, seen in some columns alone."""
    return np.where(np.arange(array.shape[2]) < columns, array, 0).astype(np.float32)


@pytest.fixture(scope="module")
def sequences():
    return aligned(field(0), field(1), beside(field(2)))


@pytest.fixture(scope="module")
def image(sequences):
    return prepare_sequences(sequences, WANTED)


def test_the_grid_holds_the_image_in_its_middle_in_multiples(sequences, image):
    source = sequences.source.volume

    extent = np.array(SHAPE) * SPACING_MM / 0.7
    assert image.spatial_shape == tuple(int(np.ceil(size / 8)) * 8 for size in extent)
    np.testing.assert_allclose(image.spacing, 0.7)
    np.testing.assert_allclose(image.direction, source.direction, atol=1e-9)
    middle = (np.array([image.spatial_shape]) - 1) / 2
    expected = (np.array([SHAPE]) - 1) / 2
    np.testing.assert_allclose(
        image.map_indices_to_reference(middle), source.map_indices_to_reference(expected), atol=1e-6
    )


def test_the_full_grid_has_the_largest_size_and_the_same_values(image, sequences):
    full = prepare_sequences(sequences, WANTED, full_grid=True)

    assert full.spatial_shape == WANTED.maximum
    more = [(large - small) // 2 for large, small in zip(full.spatial_shape, image.spatial_shape, strict=True)]
    inner = tuple(slice(first, first + size) for first, size in zip(more, image.spatial_shape, strict=True))
    np.testing.assert_allclose(full.array[inner], image.array, atol=1e-5)
    rest = full.array.copy()
    rest[inner] = 0
    assert not rest.any()


def test_a_longer_axis_than_the_largest_size_is_cut_evenly(sequences, image):
    cut = prepare_sequences(sequences, ModelInput(**{**vars(WANTED), "maximum": (80, 32, 88)}))

    assert cut.spatial_shape == (image.spatial_shape[0], 32, image.spatial_shape[2])
    less = (image.spatial_shape[1] - 32) / 2
    first = cut.map_indices_to_reference(np.zeros((1, 3), int))
    np.testing.assert_allclose(first, image.map_indices_to_reference(np.array([[0, less, 0]])), atol=1e-6)


def interpolated(array, image):
    """An array on the grid of an image, by SimpleITK."""
    moving = SimpleITK.GetImageFromArray(array)
    place(moving, AFFINE, SPACING_MM)
    grid = SimpleITK.Image([int(size) for size in image.spatial_shape[::-1]], SimpleITK.sitkFloat32)
    place(grid, image.affine, image.spacing)
    moved = SimpleITK.Resample(moving, grid, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)
    return SimpleITK.GetArrayFromImage(moved)


def place(image, affine, spacing):
    image.SetSpacing([float(size) for size in spacing[::-1]])
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / np.array(spacing))[:, ::-1].ravel().tolist())


def test_the_channels_are_the_sequences_interpolated_linearly_each_on_its_own_scale(image):
    for at, seed in enumerate((0, 1)):
        expected = interpolated(field(seed), image)
        seen = expected > 0  # SimpleITK has nothing beyond the outermost centres: a voxel less than here at the rim
        found = image.array[..., at][seen].astype(np.float64)
        gain, shift = np.polyfit(found, expected[seen], 1)
        assert np.abs(gain * found + shift - expected[seen]).max() < 0.05
        assert gain == pytest.approx(expected[seen].std(), rel=0.03)
        assert shift == pytest.approx(expected[seen].mean(), rel=0.01)


def test_each_channel_has_mean_0_and_deviation_1_where_it_was_seen_and_is_0_elsewhere(image):
    for at, columns in enumerate((44, 44, 15)):
        channel = image.array[..., at]
        seen = channel != 0
        assert channel[seen].mean(dtype=np.float64) == pytest.approx(0, abs=1e-4)
        assert channel[seen].std(dtype=np.float64) == pytest.approx(1, abs=1e-4)
        part = np.prod(np.array(SHAPE) * SPACING_MM) * columns / 44 / 0.7**3
        assert np.count_nonzero(seen) == pytest.approx(part, rel=0.08)


def test_the_gain_of_a_scanner_changes_nothing(image, sequences):
    other = aligned(7.5 * field(0), 0.02 * field(1), beside(field(2)))

    np.testing.assert_allclose(prepare_sequences(other, WANTED).array, image.array, atol=1e-4)


def test_the_channels_have_the_names_and_the_order_the_model_wants(sequences, image):
    turned = prepare_sequences(sequences, ModelInput(**{**vars(WANTED), "sequences": ("ADC", "T2w")}))

    assert list(image.get_channel_values("Sequence")) == ["T2w", "DWI", "ADC"]
    assert list(turned.get_channel_values("Sequence")) == ["ADC", "T2w"]
    np.testing.assert_array_equal(turned.array, image.array[..., [2, 0]])


@pytest.mark.parametrize("absent", ["DWI", "ADC"])
def test_a_sequence_that_is_not_there_is_0_throughout_and_changes_no_other(image, absent):
    volumes = {"T2w": volume(field(0)), "DWI": volume(field(1)), "ADC": volume(beside(field(2)))}

    found = prepare_volumes(volumes | {absent: None}, WANTED)

    at = WANTED.sequences.index(absent)
    assert not found.array[..., at].any()
    others = [channel for channel in range(3) if channel != at]
    np.testing.assert_array_equal(found.array[..., others], image.array[..., others])


@pytest.mark.parametrize(
    ("sequences", "may_be_absent", "missing"),
    [
        (aligned(field(0), None, field(2)), ("ADC",), "without DWI"),
        (aligned(field(0)), (), "without DWI, ADC"),
        (aligned(field(0)), ("DWI",), "without ADC"),
    ],
)
def test_a_study_without_what_the_model_needs_is_refused_with_a_remedy(sequences, may_be_absent, missing):
    wanted = ModelInput(**{**vars(WANTED), "may_be_absent": may_be_absent})

    with pytest.raises(NothingEligibleError, match=f"{missing} it does not work.*Send the whole study"):
        prepare_sequences(sequences, wanted)


@pytest.mark.parametrize("value", [0.0, 250.0])
def test_a_sequence_without_contrast_is_refused(value):
    with pytest.raises(RefusedError, match="DWI image with contrast is needed") as refused:
        prepare_sequences(aligned(field(0), np.full(SHAPE, value, np.float32), field(2)), WANTED)

    assert refused.value.reason is Reason.NO_CONTRAST


@given(seed=st.integers(0, 99), gain=st.floats(0.01, 1000), shift=st.floats(-500, 500))
def test_neither_gain_nor_shift_nor_what_was_not_seen_changes_what_is_normalised(seed, gain, shift):
    rng = np.random.default_rng(seed)
    values = rng.normal(50, 20, (3, 5, 7)).astype(np.float32)
    seen = rng.random(values.shape) > 0.4

    found = normalise(np.where(seen, gain * values + shift, rng.normal(0, 1e5)).astype(np.float32), seen)

    assert not found[~seen].any()
    expected = (values[seen] - values[seen].mean()) / values[seen].std()
    np.testing.assert_allclose(found[seen], expected, atol=0.05 if gain < 1 else 0.005)


@pytest.mark.parametrize("seen", [False, True])
def test_nothing_to_normalise_becomes_0(seen):
    assert not normalise(np.full((2, 3, 4), 7, np.float32), np.full((2, 3, 4), seen)).any()
