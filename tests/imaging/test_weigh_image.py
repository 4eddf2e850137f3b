import pytest
from pydicom import Dataset

from imaging.image_kind import Weighting
from imaging.weigh_image import weigh
from tests.phantoms import MPRAGE, set_attributes


def header_with(**attributes):
    header = Dataset()
    set_attributes(header, attributes)
    return header


def weight(evidence):
    return sum(fact.weight for fact in evidence)


T2_TSE = {"ScanningSequence": "SE", "RepetitionTime": "4000", "EchoTime": "100"}
FLAIR = {**T2_TSE, "ScanningSequence": ["SE", "IR"], "RepetitionTime": "9000", "InversionTime": "2500"}
DWI = {"ScanningSequence": ["EP", "SE"], "RepetitionTime": "6000", "EchoTime": "70", "DiffusionBValue": 800.0}
ADC = {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}
TRACE = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
IMAGES = {Weighting.T1W: MPRAGE, Weighting.T2W: T2_TSE, Weighting.FLAIR: FLAIR, Weighting.DWI: DWI, Weighting.ADC: ADC}


@pytest.mark.parametrize("wanted", IMAGES, ids=lambda wanted: wanted.value)
@pytest.mark.parametrize("offered", IMAGES, ids=lambda offered: offered.value)
def test_what_is_wanted_is_taken_and_everything_else_is_ruled_out(wanted, offered):
    evidence = weigh(header_with(**IMAGES[offered]), wanted)

    assert any(fact.decisive for fact in evidence) == (wanted is not offered)
    assert (weight(evidence) >= 2) == (wanted is offered)


def test_the_higher_b_value_weighs_more_and_a_low_one_weighs_against():
    at = {
        b: weight(weigh(header_with(**{**DWI, "DiffusionBValue": b}), Weighting.DWI)) for b in (0.0, 50.0, 400.0, 800.0)
    }

    assert at[0] == at[50] < at[400] < at[800]


def test_a_measured_image_is_preferred_to_one_calculated_for_a_higher_b_value():
    measured = header_with(ImageType=TRACE, SequenceName="*ep_b800t")
    calculated = header_with(ImageType=TRACE, SequenceName="*ep_b50_800", DiffusionBValue=1400.0)

    assert weight(weigh(measured, Weighting.DWI)) > weight(weigh(calculated, Weighting.DWI)) > 0


def test_a_trace_is_preferred_to_one_direction():
    trace = header_with(**DWI, DiffusionDirectionality="ISOTROPIC")
    direction = header_with(**DWI, DiffusionDirectionality="DIRECTIONAL")

    assert weight(weigh(trace, Weighting.DWI)) > weight(weigh(direction, Weighting.DWI))


def test_diffusion_without_a_b_value_is_not_ruled_out():
    evidence = weigh(header_with(**{**DWI, "DiffusionBValue": None}), Weighting.DWI)

    assert "its b-value is not stated" in [fact.reason for fact in evidence]
    assert weight(evidence) > 0


def test_the_water_image_of_a_t2_weighted_dixon_is_second_best():
    water = weigh(header_with(**T2_TSE, ImageType=["DERIVED", "PRIMARY", "WATER"]), Weighting.T2W)

    assert not any(fact.decisive for fact in water)
    assert 0 < weight(water) < weight(weigh(header_with(**T2_TSE), Weighting.T2W))


def test_the_fat_image_is_ruled_out():
    fat = weigh(header_with(**T2_TSE, ImageType=["DERIVED", "PRIMARY", "FAT"]), Weighting.T2W)

    assert any(fact.decisive for fact in fat)


def test_an_echo_time_between_proton_density_and_t2_weighs_less():
    between = weigh(header_with(**{**T2_TSE, "EchoTime": "50"}), Weighting.T2W)

    assert 0 < weight(between) < weight(weigh(header_with(**T2_TSE), Weighting.T2W))
