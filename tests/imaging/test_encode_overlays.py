from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.sr.codedict import codes

from imaging.burn_text import Entry
from imaging.check_overlays import check_outlines
from imaging.encode_overlays import (
    CAUTION,
    NEIGHBOURS,
    entries_of,
    overlay_of,
    planes_shown,
    write_overlays,
    zoom_of,
)
from imaging.encode_seg import Segment, SegmentLabel
from imaging.finding import MILLILITRE, Finding, Quantity
from imaging.outcome import OutputError
from imaging.plausibility import Check, Flag
from imaging.region import region_of
from imaging.window import LUNG_WINDOW, OF_VALUES
from tests.series_samples import OTHER_WEIGHTS, PLANES, PROVENANCE, source_of, write_series

SHAPE, SPACING_MM = (16, 60, 90), (4.0, 1.4, 0.7)
RED, GREEN = (250, 30, 20), (20, 240, 60)
CUT = Check(code="cut", brief="cut by the border", basis="test")


@dataclass(frozen=True)
class Reported:
    """As any application reports."""

    segments: tuple = ()
    findings: tuple = ()
    plausibility: tuple = ()
    flags: tuple = ()
    caution: str = ""
    nothing: str = "No thing was found"


def segment(mask, rgb, name, short=""):
    label = SegmentLabel(
        label=name, category=codes.SCT.AnatomicalStructure, property_type=codes.SCT.Lung, display_rgb=rgb, short=short
    )
    return Segment(label, mask)


def box(*slices):
    mask = np.zeros(SHAPE, bool)
    mask[slices] = True
    return mask


FIRST = box(slice(6, 9), slice(20, 31), slice(50, 81))
SECOND = box(slice(8, 10), slice(35, 47), slice(8, 30))
REPORTED = Reported(
    segments=(segment(FIRST, RED, "First thing", "1"), segment(region_of(SECOND), GREEN, "Second thing")),
    findings=(
        Finding(None, (Quantity(codes.SCT.Volume, 99.0, MILLILITRE),)),
        Finding(1, (Quantity(codes.SCT.Volume, 12.34, MILLILITRE), Quantity(codes.SCT.Length, 5.0, MILLILITRE))),
        Finding(2, ()),
    ),
)


def read_mr(folder, plane="oblique", backwards=False):
    values = np.linspace(0, 900, int(np.prod(SHAPE))).reshape(SHAPE).astype(np.uint16)
    return source_of(
        write_series(folder, plane=plane, shape=SHAPE, spacing_mm=SPACING_MM, pixels=values, backwards=backwards)
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return read_mr(tmp_path_factory.mktemp("mr"))


def write(folder, source, report=REPORTED, provenance=PROVENANCE):
    folder.mkdir(exist_ok=True)
    return write_overlays(folder, overlay_of(report, source, "Things", "CHEST"), source, provenance)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_another_reader_finds_each_outline_around_its_mask_in_millimetres(tmp_path, plane, backwards):
    """Of each colour, the pixels lie outside the mask, and less than a voxel away from it on every side of it."""
    source = read_mr(tmp_path / "mr", plane, backwards)
    finer = np.array([1, *zoom_of(source)])

    for path in write(tmp_path / "out", source):
        image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
        pixels = SimpleITK.GetArrayFromImage(image)[0]
        for mask, rgb in ((FIRST, RED), (SECOND, GREEN)):
            rows, columns = np.nonzero(
                (pixels == rgb).all(axis=-1) & (np.arange(pixels.shape[0]) < 60 * finer[1])[:, None]
            )
            places = [
                image.TransformIndexToPhysicalPoint((int(c), int(r), 0)) for r, c in zip(rows, columns, strict=True)
            ]
            at = round(source.volume.map_reference_to_indices(np.array([image.GetOrigin()]))[0][0])
            assert bool(places) == mask[at].any()
            if not places:
                continue
            found = source.volume.map_reference_to_indices(np.array(places))
            edges = np.argwhere(mask).min(axis=0) - 0.5, np.argwhere(mask).max(axis=0) + 0.5
            half = 0.5 / finer
            np.testing.assert_allclose(found[:, 0], at, atol=1e-3)
            np.testing.assert_allclose(found.min(axis=0)[1:], (edges[0] - half)[1:], atol=1e-3)
            np.testing.assert_allclose(found.max(axis=0)[1:], (edges[1] + half)[1:], atol=1e-3)


def test_shown_are_the_slices_with_a_finding_and_their_neighbours(source):
    shown = [plane.slice for plane in planes_shown(REPORTED.segments, source)]

    assert shown == list(range(6 - NEIGHBOURS, 9 + NEIGHBOURS + 1))


@pytest.mark.parametrize(("first", "last"), [(0, 1), (14, 16)])
def test_neighbours_end_where_the_image_ends(source, first, last):
    shown = [plane.slice for plane in planes_shown([segment(box(slice(first, last)), RED, "")], source)]

    assert shown == list(range(max(0, first - NEIGHBOURS), min(16, last + NEIGHBOURS)))


def test_nothing_found_is_one_picture_that_says_so(source, tmp_path):
    report = Reported()
    (path,) = write(tmp_path / "out", source, report)
    image = dcmread(path)
    rgb = image.pixel_array

    assert entries_of(report, "Things")[-1] == Entry("No thing was found", CAUTION)
    assert (rgb == CAUTION).all(axis=-1)[: image.Rows // 3].any()
    assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == source.planes[8].frame.instance.uid


def test_the_legend_has_each_name_with_its_first_measurement_and_what_is_suspicious():
    flags = (Flag(CUT, "", name="1"), Flag(CUT, "", name="2"))

    assert entries_of(replace(REPORTED, plausibility=flags, caution="needs review"), "Things") == (
        Entry("RESEARCH USE ONLY"),
        Entry("Things:"),
        Entry("1: 12.3 mL", RED),
        Entry("Second thing", GREEN),
        Entry("needs review", CAUTION),
        Entry("Check: 1, 2: cut by the border", CAUTION),
    )


def test_all_pictures_have_one_size_and_one_legend_that_covers_nothing(source, tmp_path):
    images = [dcmread(path) for path in write(tmp_path / "out", source)]
    rows = SHAPE[1] * zoom_of(source)[0]

    assert len({(image.Rows, image.Columns) for image in images}) == 1
    assert len({image.pixel_array[rows:].tobytes() for image in images}) == 1
    assert images[0].Rows > rows
    assert (images[0].pixel_array[rows:] == 255).all(axis=-1).any()


def test_the_images_say_what_they_are(source, tmp_path):
    image = dcmread(write(tmp_path / "out", source)[0])

    assert image.SeriesDescription == "Things outlined - research use only"
    assert image.SeriesNumber == 407
    assert OF_VALUES in image.DerivationDescription
    assert PROVENANCE.algorithm in image.DerivationDescription


@pytest.mark.parametrize(("stated", "said"), [("HEAD", "HEAD"), ("", "CHEST"), (None, "CHEST")])
def test_the_body_part_is_that_of_the_source_or_else_of_the_application(tmp_path, stated, said):
    """Without one, dciodvfy asks for the laterality (PS3.3 C.7.3.1)."""

    def edit(header, _number):
        if stated is not None:
            header.BodyPartExamined = stated

    source = source_of(write_series(tmp_path / "mr", shape=SHAPE, spacing_mm=SPACING_MM, edit=edit))

    assert dcmread(write(tmp_path / "out", source)[0]).BodyPartExamined == said


def test_an_application_may_state_the_window(source):
    assert overlay_of(REPORTED, source, "Things", "CHEST", LUNG_WINDOW).window == LUNG_WINDOW


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "zoom"),
    [
        ((1, 512, 512), (1, 0.7, 0.7), (1, 1)),
        ((1, 256, 100), (1, 1, 1), (1, 1)),
        ((1, 192, 160), (1, 1.2, 1.2), (2, 2)),
        ((1, 60, 90), (1, 1.4, 0.7), (6, 3)),
        ((1, 300, 100), (1, 0.5, 2.0), (1, 4)),
        ((1, 255, 40), (1, 1.05, 1.0), (2, 2)),
    ],
)
def test_pictures_are_large_enough_nearly_square_and_no_larger(shape, spacing_mm, zoom):
    @dataclass
    class Grid:
        shape: tuple
        spacing: tuple
        volume: object = field(init=False)

        def __post_init__(self):
            self.volume = self

    assert zoom_of(Grid(shape, spacing_mm)) == zoom


def uids(folder, source, report=REPORTED, provenance=PROVENANCE):
    images = [dcmread(path) for path in write(folder, source, report, provenance)]
    return {image.SeriesInstanceUID for image in images}, [image.SOPInstanceUID for image in images]


def test_a_second_run_has_the_same_uids(source, tmp_path):
    assert uids(tmp_path / "one", source) == uids(tmp_path / "two", source)


def test_other_weights_or_marks_make_another_series(source, tmp_path):
    moved = replace(REPORTED, segments=(REPORTED.segments[0], segment(region_of(np.roll(SECOND, 1, 2)), GREEN, "")))
    series = [
        uids(tmp_path / "one", source)[0],
        uids(tmp_path / "two", source, provenance=OTHER_WEIGHTS)[0],
        uids(tmp_path / "three", source, moved)[0],
    ]

    assert len(set.union(*series)) == 3


def test_an_outline_of_another_mask_is_refused(source, tmp_path):
    read = dcmread(write(tmp_path / "out", source)[NEIGHBOURS])

    check_outlines(read, REPORTED.segments, source.planes[6], source)
    for axis in (1, 2):
        moved = segment(np.roll(FIRST, 1, axis), RED, "")
        with pytest.raises(OutputError, match="not around its mask"):
            check_outlines(read, (moved, REPORTED.segments[1]), source.planes[6], source)


def test_an_outline_in_another_colour_is_refused(source, tmp_path):
    read = dcmread(write(tmp_path / "out", source)[NEIGHBOURS])

    with pytest.raises(OutputError, match="not around its mask"):
        check_outlines(read, (segment(FIRST, GREEN, ""),), source.planes[6], source)


@pytest.mark.parametrize("shift_mm", [(0, 0, 4.0), (60, 0, 0), (0, 0, 0.1)])
def test_a_picture_beside_its_slice_is_refused(source, tmp_path, shift_mm):
    read = dcmread(write(tmp_path / "out", source)[NEIGHBOURS])
    read.ImagePositionPatient = list(np.array(read.ImagePositionPatient, float) + shift_mm)

    with pytest.raises(OutputError, match=r"does not lie on it|not around its mask"):
        check_outlines(read, REPORTED.segments, source.planes[6], source)


def test_outlines_that_cross_are_drawn_in_their_order(source, tmp_path):
    over = segment(np.roll(FIRST, (5, 7), (1, 2)), GREEN, "Over")
    report = replace(REPORTED, segments=(REPORTED.segments[0], over), findings=())

    assert write(tmp_path / "out", source, report)


def test_a_source_for_inverted_display_is_shown_inverted(source, tmp_path):
    def edit(header, _number):
        header.PhotometricInterpretation = "MONOCHROME1"

    values = source.volume.array.astype(np.uint16)
    inverted = source_of(
        write_series(tmp_path / "mr", plane="oblique", shape=SHAPE, spacing_mm=SPACING_MM, pixels=values, edit=edit)
    )
    plain, other = (
        dcmread(write(tmp_path / name, one, Reported())[0]) for name, one in (("plain", source), ("other", inverted))
    )

    rows = slice(100, 60 * zoom_of(source)[0] - 40)  # below the words, above those at the lower edge
    columns = slice(40, -40)
    greys = [image.pixel_array[rows, columns].astype(int) for image in (plain, other)]
    assert greys[0].min() > 128  # else one could not be told from the other
    np.testing.assert_array_equal(greys[0] + greys[1], 255)
    assert "low values white: " in other.DerivationDescription
    assert "white" not in plain.DerivationDescription
