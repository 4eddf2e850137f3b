import numpy as np
import pytest
from pydicom import Dataset

from imaging.window import LUNG_WINDOW, OF_SERIES, GreyWindow, grey_window, shows, stated_window, value_window
from tests.series_samples import source_of, write_series

SHAPE = (5, 12, 20)
STORED = np.linspace(0, 1000, np.prod(SHAPE)).reshape(SHAPE).astype(np.uint16)


def header(centre, width, function=None):
    made = Dataset()
    made.WindowCenter, made.WindowWidth = centre, width
    if function:
        made.VOILUTFunction = function
    return made


@pytest.mark.parametrize(
    ("stated", "limits"),
    [
        (header("50", "101"), (-0.5, 99.5)),  # PS3.3 C.11.2.1.2.1
        (header("50", "100", "LINEAR_EXACT"), (0, 100)),
        (header(["-600", "40"], ["1500", "400"]), (-1350, 149)),
        (header("50", "1"), None),
        (header("50", "0", "LINEAR_EXACT"), None),
        (header("50", "-3"), None),
        (header("50", "100", "SIGMOID"), None),
        (header("50", ""), None),
        (header("", "100"), None),
        (Dataset(), None),
    ],
)
def test_the_window_of_a_header_is_that_of_the_standard(stated, limits):
    window = stated_window(stated)

    assert (window and (window.low, window.high)) == limits


def source(folder, **attributes):
    def edit(made, number):
        for keyword, value in attributes.items():
            setattr(made, keyword, value(number) if callable(value) else value)

    return source_of(write_series(folder / "mr", shape=SHAPE, pixels=STORED, edit=edit))


def test_a_window_that_shows_the_image_is_taken(tmp_path):
    window = grey_window(source(tmp_path, WindowCenter="500", WindowWidth="1000"))

    assert window == GreyWindow(0, 999, OF_SERIES)


def test_of_many_windows_that_of_the_middle_slice_is_taken(tmp_path):
    widths = [300, 500, 950, 1500, 9000]

    window = grey_window(source(tmp_path, WindowCenter="480", WindowWidth=lambda number: str(widths[number])))

    assert window.high - window.low == 949


@pytest.mark.parametrize(
    ("centre", "width"),
    [("50", "100"), ("-5000", "100"), ("5000", "300"), ("500", "60000")],
    ids=["white", "above", "below", "flat"],
)
def test_a_window_that_hides_the_image_is_not_taken(tmp_path, centre, width):
    made = source(tmp_path, WindowCenter=centre, WindowWidth=width)

    assert grey_window(made) == value_window(made.volume.array)


@pytest.mark.parametrize(("white", "shown"), [(0.19, True), (0.21, False)])
def test_a_fifth_of_the_image_may_be_white(white, shown):
    values = np.linspace(0, 1, 1000, dtype=np.float32)

    assert shows(GreyWindow(0, 1 - white, ""), values) is shown


@pytest.mark.parametrize(("width", "shown"), [(3.2, True), (3.4, False)])
def test_the_image_must_fill_a_third_of_the_grey_scale(width, shown):
    values = np.linspace(0, 1, 1000, dtype=np.float32)

    assert shows(GreyWindow(0, width, ""), values) is shown


def test_an_even_image_is_black_and_no_error():
    window = value_window(np.full(SHAPE, 7, np.float32))

    assert not window.grey(np.full((2, 3), 7, np.float32)).any()


INVERTED = {"WindowCenter": "500", "WindowWidth": "1000", "PhotometricInterpretation": "MONOCHROME1"}


def test_low_values_are_white_where_the_series_asks_for_it(tmp_path):
    """PS3.3 C.7.6.3.1.2: the lowest sample is white after the window."""
    window = grey_window(source(tmp_path, **INVERTED))

    assert (window.low, window.high, window.black) == (0, 999, 999)
    assert window.grey(np.array([-20, 0, 999, 2000], np.float32)).tolist() == [255, 255, 0, 0]
    assert window.basis == f"{OF_SERIES}, low values white"


@pytest.mark.parametrize("of_image", [True, False], ids=["of the image", "of the application"])
def test_they_are_so_in_any_window(tmp_path, of_image):
    made = source(tmp_path, **INVERTED | {"WindowCenter": "-5000"})

    window = grey_window(made, None if of_image else LUNG_WINDOW)

    expected = value_window(made.volume.array) if of_image else LUNG_WINDOW
    assert (window.low, window.high, window.inverted) == (expected.low, expected.high, True)


def test_a_window_of_the_application_is_taken_as_it_is(tmp_path):
    assert grey_window(source(tmp_path), LUNG_WINDOW) == LUNG_WINDOW


def test_where_frames_differ_the_middle_one_counts(tmp_path):
    asked = ["MONOCHROME1", "MONOCHROME1", "MONOCHROME2", "MONOCHROME1", "MONOCHROME1"]

    made = source(tmp_path, **INVERTED | {"PhotometricInterpretation": lambda number: asked[number]})

    assert not grey_window(made).inverted
