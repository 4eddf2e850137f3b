import pytest
from pydicom.sr.codedict import codes

from imaging.finding import CUBIC_MILLIMETRE, HOUNSFIELD, MILLILITRE, MILLIMETRE, NO_UNITS, Finding, Quantity, Site
from imaging.page_values import number_text, values_of


def value(quantity, sites=()):
    (found,) = values_of(Finding(1, (quantity,), sites=sites))
    return found


@pytest.mark.parametrize(
    ("quantity", "name", "text"),
    [
        (Quantity(codes.SCT.Volume, 1413.04, MILLILITRE), "Volume", "1413.0 mL"),
        (Quantity(codes.SCT.Volume, 354.4, CUBIC_MILLIMETRE), "Volume", "354 mm³"),
        (Quantity(codes.DCM.AttenuationCoefficient, -113.2, HOUNSFIELD, derivation=codes.SCT.Mean),
         "Attenuation coefficient, mean", "-113 HU"),
        (Quantity(codes.DCM.NumberOfSimilarFindings, 3, NO_UNITS), "Number of similar findings", "3"),
        (Quantity(codes.DCM.T2WeightedMRSignalIntensity, 747.06, NO_UNITS), "T2 weighted MR signal intensity", "747.1"),
    ],
)  # fmt: skip
def test_a_quantity_is_a_name_a_number_and_a_unit(quantity, name, text):
    found = value(quantity)

    assert (found.name, found.text) == (name, text)


def test_part_of_the_finding_is_in_the_name():
    body = codes.SCT.L5Vertebra
    quantity = Quantity(codes.DCM.Height, 27.9, MILLIMETRE, sites=(Site(body, modifier=codes.SCT.Anterior),))

    assert value(quantity, (body,)).name == "Height, anterior"


def test_another_place_is_a_column_of_its_own_and_stands_with_the_number():
    quantity = Quantity(codes.DCM.Height, 15.3, MILLIMETRE, sites=(Site(codes.SCT.L4L5Disc),))
    found = value(quantity, (codes.SCT.L5Vertebra,))

    assert (found.name, found.place) == ("Height, disc", "L4/L5 disc")


@pytest.mark.parametrize(
    ("number", "unit", "text"), [(9.96, "mm", "10.0"), (0.354, "mL", "0.35"), (8.2, "%", "8.2"), (0.5, "", "0.50")]
)
def test_digits_are_as_many_as_are_known(number, unit, text):
    assert number_text(number, unit) == text
