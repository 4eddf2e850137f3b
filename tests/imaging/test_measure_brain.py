import warnings

import highdicom
import numpy as np
import pytest
from pydicom import DataElement, Dataset

from imaging.check_brain import FOR_AGE, VOLUME, limits_for
from imaging.measure_brain import measure_brain
from imaging.outcome import RefusedError
from imaging.person import Person, person_of
from tests.phantoms import TURNS, oblique_affine, turned

SPACING_MM = (5.0, 2.0, 2.5)  # 25 microlitres a voxel


def mask_of(array, affine=None):
    affine = oblique_affine(spacing_mm=SPACING_MM) if affine is None else affine
    return highdicom.Volume(array, affine, "PATIENT")


def measured_on_tissue(mask):
    """The measurement on an image that is bright throughout."""
    return measure_brain(mask, mask.with_array(np.ones(mask.shape, np.float32)))


def box(slices=32, rows=40, columns=50, shape=(40, 60, 70)):
    array = np.zeros(shape, bool)
    array[4 : 4 + slices, 6 : 6 + rows, 9 : 9 + columns] = True
    return array


def test_the_volume_is_the_number_of_voxels_times_their_size():
    measured = measured_on_tissue(mask_of(box()))

    assert measured.volume_ml == pytest.approx(32 * 40 * 50 * 0.025)
    assert measured.flags == ()


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_turning_the_mask_changes_nothing(order, signs):
    array, affine = turned(box(), oblique_affine(spacing_mm=SPACING_MM), order, signs)

    measured = measured_on_tissue(mask_of(array, affine))

    assert measured.volume_ml == pytest.approx(1600.0)
    assert measured.flags == ()


@pytest.mark.parametrize(("slices", "rows", "volume"), [(1, 1, "1 mL"), (12, 40, "600 mL"), (32, 56, "2240 mL")])
def test_a_volume_no_brain_has_is_flagged_with_its_number(slices, rows, volume):
    flags = measured_on_tissue(mask_of(box(slices, rows, 50, (40, 80, 70)))).flags

    assert len(flags) == 1
    assert flags[0].startswith(f"Implausible brain volume: {volume}, expected 700 to 2200 mL")


@pytest.mark.parametrize(("slices", "volume_ml"), [(14, 700.0), (44, 2200.0)])
def test_the_limits_themselves_are_plausible(slices, volume_ml):
    straight = oblique_affine((0, 0, 0), SPACING_MM)
    measured = measured_on_tissue(mask_of(box(slices, 40, 50, (60, 60, 70)), straight))

    assert measured.volume_ml == pytest.approx(volume_ml)
    assert measured.flags == ()


def test_an_empty_mask_is_refused():
    with pytest.raises(RefusedError, match="none was found"):
        measured_on_tissue(mask_of(np.zeros((4, 5, 6), bool)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_a_mask_that_reaches_a_border_is_flagged(axis, end):
    array = box()
    np.moveaxis(array, axis, 0)[end, 10:20, 10:20] = True

    assert measured_on_tissue(mask_of(array)).flags == (
        "The mask reaches the border of the image: the brain may be cut by the field of view",
    )


def test_a_few_voxels_at_the_border_are_no_cut():
    array = box()
    array[0, :8, :10] = True  # 80 of 4200

    assert measured_on_tissue(mask_of(array)).flags == ()


@pytest.mark.parametrize(("dark", "flagged"), [(0.2, False), (0.5, True)])
def test_a_mask_that_is_dark_as_air_in_large_part_is_flagged(dark, flagged):
    """A fifth is CSF; half is a mask that lies beside the head."""
    mask = mask_of(box())
    image = np.full(mask.shape, 100, np.float32)
    image[4 : 4 + int(32 * dark)] = 1

    flags = measure_brain(mask, mask.with_array(image)).flags

    assert any("as dark as air" in flag for flag in flags) == flagged


@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        (60.0, "F", (0.6 * 1300, 1.28 * 1300)),
        (60.0, "M", (0.6 * 1500, 1.28 * 1500)),
        (60.0, None, (0.6 * 1300, 1.28 * 1500)),
        (2.0, "F", (600.0, 1280.0)),
        (3.5, "M", (0.6 * 1250, 1.28 * 1250)),  # half-way between 1150 and 1350 mL
        (0.25, "F", (360.0, 768.0)),
        (0.2, "F", None),
        (None, "F", None),
    ],
)
def test_the_volume_expected_follows_age_and_sex(age, sex, expected):
    assert limits_for(Person(age, sex)) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("person", "slices", "flagged"),
    [
        (Person(60.0, "F"), 34, True),  # 1700 mL, expected 780 to 1664
        (Person(60.0, "F"), 33, False),
        (Person(60.0, "M"), 34, False),
        (Person(60.0, None), 34, False),
        (Person(60.0, "M"), 17, True),  # 850 mL, expected 900 to 1920
        (Person(60.0, "F"), 17, False),
        (Person(2.0, "F"), 27, True),  # 1350 mL, expected 600 to 1280
        (Person(2.0, "F"), 25, False),
        (Person(None, "F"), 40, False),
        (Person(0.1, "F"), 40, False),
    ],
)
def test_a_volume_unusual_for_age_and_sex_is_flagged(person, slices, flagged):
    mask = mask_of(box(slices, shape=(60, 60, 70)))
    found = measure_brain(mask, mask.with_array(np.ones(mask.shape, np.float32)), person).plausibility

    assert [flag.check for flag in found] == [FOR_AGE] * flagged


def test_neither_age_nor_sex_nor_what_tells_them_is_said():
    """The limits would: they are those of one age."""
    mask = mask_of(box(40, shape=(60, 60, 70)))
    (flag,) = measure_brain(mask, mask.with_array(np.ones(mask.shape, np.float32)), Person(7.0, "F")).plausibility

    assert flag.facts["limits"] is None
    assert flag.facts["value"] == 2000.0
    assert not {"7", "F", "female", "years", "768", "1588"} & set(flag.text.replace(".", "").split())
    assert "7.0" not in repr(Person(7.0, "F"))


def test_a_volume_no_brain_has_is_said_once():
    mask = mask_of(box(4))
    (flag,) = measure_brain(mask, mask.with_array(np.ones(mask.shape, np.float32)), Person(60.0, "M")).plausibility

    assert flag.check is VOLUME
    assert flag.facts["limits"] == [700.0, 2200.0]


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("045Y", 45.0),
        ("006M", 0.5),
        ("002W", 14 / 365.25),
        ("010D", 10 / 365.25),
        ("45", None),
        ("", None),
        (None, None),
    ],
)
@pytest.mark.parametrize(("sex", "known"), [("F", "F"), ("M", "M"), ("O", None), ("", None), (None, None)])
def test_a_person_is_what_a_header_states_in_the_form_of_the_standard(age, years, sex, known):
    header = Dataset()
    if age is not None:
        header["PatientAge"] = age_element(age)
    if sex is not None:
        header.PatientSex = sex

    person = person_of(header)

    assert (person.age_years, person.sex) == (years and pytest.approx(years), known)


def age_element(age):
    """An age as it is found in files, of the right form or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DataElement("PatientAge", "AS", age)
