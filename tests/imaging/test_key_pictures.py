import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from imaging.align_sequences import AlignedImage
from imaging.encode_heat_map import LUNG_WINDOW
from imaging.image_kind import Plane
from imaging.key_pictures import (
    MOST_PICTURED,
    acquired_plane,
    close_up_of_companion,
    close_ups,
    cropped,
    near,
    overview,
    seen_on,
    whole_slice,
)
from imaging.slice_view import key_slice, turned_slice
from imaging.to_volume import SourceImage
from tests.nodule_samples import BALLS_MM
from tests.page_samples import content_of, ct_source, nodules
from tests.series_samples import source_of, write_series


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> SourceImage:
    return ct_source(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def segments(source):
    return nodules(source).segments


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.jpeg)), int)


def coloured(picture, rgb):
    """Pixels that look more like a colour than like any grey."""
    image = pixels(picture)
    off = np.abs(image - rgb).sum(axis=-1)
    return (off < 120) & (np.ptp(image, axis=-1) > 60)


def test_a_close_up_goes_through_the_finding_and_outlines_it(source, segments):
    for at, segment in enumerate(segments):
        for picture in close_ups(source.volume, segments, at, LUNG_WINDOW):
            outline = np.argwhere(coloured(picture, segment.label.display_rgb))

            assert len(outline) > 20, (segment.label.label, picture.plane)
            assert segment.label.label in picture.alt


def test_the_three_planes_are_those_of_the_patient(source, segments):
    assert [one.plane for one in close_ups(source.volume, segments, 0, LUNG_WINDOW)] == ["axial", "coronal", "sagittal"]


def test_the_slice_is_the_one_of_the_truth(source, segments):
    (at,) = [index for index, one in enumerate(segments) if seen_on(one, source.volume, Plane.AXIAL, 7)]
    centre = BALLS_MM[2][0]
    picture = close_ups(source.volume, segments, at, LUNG_WINDOW)[0]

    assert f"slice {int(centre[0]) + 1} of {source.volume.shape[0]}" in picture.caption


@pytest.mark.parametrize(
    ("plane", "named"), [("axial", Plane.AXIAL), ("sagittal", Plane.SAGITTAL), ("oblique", Plane.AXIAL)]
)
def test_whole_slices_are_as_acquired(tmp_path, plane, named):
    volume = source_of(write_series(tmp_path, plane=plane)).volume

    assert acquired_plane(volume) is named


def test_one_whole_slice_is_enough_only_where_it_shows_all(source, segments):
    alone = segments[:1]

    assert overview(source.volume, segments, LUNG_WINDOW) is None  # the balls lie apart
    assert overview(source.volume, alone, LUNG_WINDOW) is not None
    assert overview(source.volume, (), LUNG_WINDOW) is None
    assert alone[0].label.label in whole_slice(source.volume, segments, 0, LUNG_WINDOW).alt


def test_a_crop_holds_the_whole_finding_in_its_middle():
    from imaging.slice_view import Outlined, SliceView

    mask = np.zeros((400, 300), bool)
    mask[100:110, 200:230] = True
    view = SliceView(mask.astype(np.float32), (Outlined(mask, (1, 2, 3)),), (1.0, 0.5), "P", "L")
    part = cropped(view, 0)

    assert part.outlined[0].mask.sum() == mask.sum()
    assert part.values.shape == (70, 140)  # 70 mm each way
    rows, columns = np.nonzero(part.outlined[0].mask)
    assert (rows.mean(), columns.mean()) == (34.5, 69.5)
    np.testing.assert_array_equal(part.values > 0, part.outlined[0].mask)


def test_a_crop_near_the_border_stays_inside():
    from imaging.slice_view import Outlined, SliceView

    mask = np.zeros((400, 300), bool)
    mask[:4, -3:] = True
    part = cropped(SliceView(mask.astype(np.float32), (Outlined(mask, (1, 2, 3)),), (1.0, 1.0), "P", "L"), 0)

    assert part.values.shape == (70, 70)
    assert part.outlined[0].mask.sum() == 12


def test_what_lies_far_from_the_finding_is_hidden_where_asked(source, segments):
    _, coronal, _ = close_ups(source.volume, segments, 0, LUNG_WINDOW, hide_beyond_mm=3.0)
    view = turned_slice(
        source.volume, segments[:1], Plane.CORONAL, key_slice(source.volume, segments[:1], Plane.CORONAL)
    )
    mask, shown = view.outlined[0].mask, near(view, 3.0)

    assert shown[mask].all()
    assert not shown.all()
    for row, column in np.argwhere(~shown):
        away = np.linalg.norm((np.argwhere(mask) - (row, column)) * view.pixel_mm, axis=1)
        assert away.min() > 3.0
    assert "no face" in coronal.caption


def test_the_axial_plane_hides_nothing(source, segments):
    axial, _, _ = close_ups(source.volume, segments, 0, LUNG_WINDOW, hide_beyond_mm=3.0)

    assert "face" not in axial.caption


def test_only_the_first_findings_have_pictures(source):
    report = nodules(source)
    content = content_of(source, report)

    assert len(report.segments) <= MOST_PICTURED
    assert all(len(one.pictures) == 4 for one in content.findings)  # one whole slice and three planes


def test_a_finding_is_shown_on_the_other_images_too(source):
    report = nodules(source)
    other = source.volume.with_array(-source.volume.array)  # the ball is dark in it
    content = content_of(source, report, companions={"ADC <b>": AlignedImage(other, inverted=False)})
    for at, (finding, segment) in enumerate(zip(content.findings, report.segments, strict=True)):
        *_, picture = finding.pictures
        inside = coloured(picture, segment.label.display_rgb)
        rows, columns = (int(found.mean()) for found in np.nonzero(inside))

        assert picture.caption.endswith(", ADC <b>")
        assert picture.alt.startswith("ADC <b>: ")
        assert pixels(picture)[rows, columns].max() < 80 < pixels(picture)[5, -30].min()

        shown = close_up_of_companion("DWI", AlignedImage(other, inverted=True), report.segments, at)
        assert pixels(shown)[rows, columns].min() > 175 > pixels(shown)[5, -30].max()


def test_what_is_hidden_is_black_where_low_values_are_white(source, segments):
    window = replace(LUNG_WINDOW, inverted=True)

    for shown in close_ups(source.volume, segments, 0, window, hide_beyond_mm=3.0)[1:]:
        assert np.median(pixels(shown)) < 10
    assert np.median(pixels(close_ups(source.volume, segments, 0, window)[1])) > 100  # lung, white
