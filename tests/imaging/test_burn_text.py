import string

import numpy as np
import pytest

from imaging.burn_text import SMALLEST, WHITE, Entry, Words, below, legend, text_width, write_words


def drawn(text, size=20, **options):
    return write_words(np.full((60, 200, 3), 90, np.uint8), [Words(text, (30, 100), **options)], size)


def white_box(picture):
    rows, columns = np.nonzero((picture == 255).all(axis=-1))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_every_letter_of_ascii_is_drawn_and_differs_from_the_others():
    letters = [letter for letter in string.printable if letter.isprintable() and letter != " "]

    pictures = {drawn(letter).tobytes() for letter in letters}

    assert len(pictures) == len(letters)


def test_a_word_is_drawn_where_it_is_wanted_with_a_black_rim():
    picture = drawn("HIH")
    top, bottom, left, right = white_box(picture)

    assert abs((left + right) / 2 - 100) < 2
    assert abs((top + bottom) / 2 - 30) < 4
    assert (picture == 0).any()
    assert (picture[0] == 90).all()


@pytest.mark.parametrize(
    ("anchor", "test"),
    [
        ("left", lambda top, bottom, left, right: left >= 98 and right > 110),
        ("right", lambda top, bottom, left, right: right <= 101 and left < 90),
        ("top", lambda top, bottom, left, right: top >= 30),
        ("bottom", lambda top, bottom, left, right: bottom <= 30),
    ],
)
def test_the_named_part_of_a_word_lies_at_its_place(anchor, test):
    assert test(*white_box(drawn("HIH", anchor=anchor)))


def test_a_picture_of_one_colour_gets_words_in_another():
    picture = drawn("HIH", rgb=(250, 10, 20))

    assert (picture == (250, 10, 20)).all(axis=-1).any()
    assert not (picture == 255).all(axis=-1).any()


def test_a_legend_shows_each_colour_and_its_text():
    strip = legend(300, (Entry("RESEARCH USE ONLY"), Entry("Brain", (230, 160, 60))), 12)

    assert strip.shape[1] == 300
    assert (strip == (230, 160, 60)).all(axis=-1).sum() > 20
    assert (strip == WHITE).all(axis=-1).any()


def test_what_does_not_fit_beside_goes_on_the_next_line():
    entries = [Entry(f"Nodule {number}", (255, 10 * number, 0)) for number in range(6)]
    wide, narrow = legend(600, entries, SMALLEST), legend(150, entries, SMALLEST)

    assert narrow.shape[0] > 2 * wide.shape[0]
    for strip in (wide, narrow):
        assert all((strip == entry.rgb).all(axis=-1).any() for entry in entries)


def test_a_long_text_is_broken_between_words():
    text = "no face may be seen here and nothing else either"
    width = int(text_width(text, SMALLEST) / 2.5)

    strip = legend(width, [Entry(text)], SMALLEST)

    inked = strip.any(axis=(1, 2))
    assert np.count_nonzero(np.diff(inked.astype(int)) == 1) >= 3
    assert not strip[:, -2:].any()


def test_the_colour_of_a_broken_text_stands_before_its_first_line_alone():
    red = (255, 0, 0)
    one, broken = (
        legend(200, [Entry(text, red)], SMALLEST)
        for text in (
            "a few words",
            "so many words that they need three lines of this narrow strip, or even four of them",
        )
    )

    assert broken.shape[0] > 2 * one.shape[0]
    assert (one == red).all(axis=-1).sum() == (broken == red).all(axis=-1).sum() > 0


def test_below_leaves_the_picture_as_it_is():
    picture = np.full((10, 30, 3), 7, np.uint8)

    whole = below(picture, legend(30, [Entry("A")], SMALLEST))

    assert (whole[:10] == 7).all()
    assert whole.shape[0] > 10
