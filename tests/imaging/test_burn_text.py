import numpy as np
import pytest

from imaging.burn_text import GLYPHS, HEIGHT, WIDTH, burn_text, text_mask


def test_every_glyph_has_its_size_and_differs_from_the_others():
    masks = {letter: text_mask(letter) for letter in GLYPHS}

    assert {mask.shape for mask in masks.values()} == {(HEIGHT, WIDTH)}
    assert len({mask.tobytes() for mask in masks.values()}) == len(GLYPHS)


def test_a_letter_looks_like_itself():
    rows = ["".join("#" if pixel else "." for pixel in row) for row in text_mask("F")]

    assert rows == ["#####", "#....", "#....", "####.", "#....", "#....", "#...."]


def test_a_larger_scale_repeats_pixels():
    np.testing.assert_array_equal(text_mask("R2", 3)[1::3, 1::3], text_mask("R2"))


def test_letters_stand_beside_each_other_with_a_gap():
    mask = text_mask("HI")

    assert mask.shape == (HEIGHT, 2 * WIDTH + 1)
    assert not mask[:, WIDTH].any()
    np.testing.assert_array_equal(mask[:, WIDTH + 1 :], text_mask("I"))


def test_lines_stand_in_the_upper_left_corner_and_nothing_else_changes():
    image = np.full((40, 60, 3), 7, np.uint8)

    burn_text(image, ("NO", "LUNE"))

    np.testing.assert_array_equal(image[1:8, 1:12, 0] == 255, text_mask("NO"))
    np.testing.assert_array_equal(image[10:17, 1:24, 2] == 255, text_mask("LUNE"))
    assert (image[18:] == 7).all()
    assert (image[:, 25:] == 7).all()
    assert (image[:9, 13:] == 7).all()


@pytest.mark.parametrize("shape", [(5, 4), (3, 100), (100, 3), (1, 1)])
def test_what_does_not_fit_is_cut(shape):
    image = np.full((*shape, 3), 7, np.uint8)

    burn_text(image, ("RESEARCH USE ONLY", "HEAT"), 2)

    assert set(np.unique(image[: min(shape[0], 3), : min(shape[1], 3)])) <= {0, 255}
