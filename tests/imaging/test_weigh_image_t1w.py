import pytest
from pydicom import Dataset

from imaging.evidence import Evidence
from imaging.image_kind import Weighting
from imaging.weigh_image import weigh
from tests.phantoms import MPRAGE, set_attributes

# Headers as the scanners write them: Siemens, GE and Philips name the same physics differently.
T1W = {
    "MPRAGE (Siemens)": {**MPRAGE, "SeriesDescription": "t1_mprage_sag_p2_iso"},
    "BRAVO (GE)": {
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "ScanningSequence": "GR",
        "SequenceVariant": ["SS", "SP", "SK"],
        "RepetitionTime": "8.156",
        "EchoTime": "3.18",
        "InversionTime": "450",
        "FlipAngle": "12",
        "SeriesDescription": "Sag 3D BRAVO",
    },
    "BRAVO in research mode (GE)": {
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "RepetitionTime": "8.156",
        "EchoTime": "3.18",
        "InversionTime": "450",
        "FlipAngle": "12",
    },
    "SPGR (GE)": {
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "ScanningSequence": "GR",
        "SequenceVariant": ["SP", "SK"],
        "RepetitionTime": "25",
        "EchoTime": "5",
        "FlipAngle": "30",
        "SeriesDescription": "Ax 3D SPGR",
    },
    "3D TFE (Philips)": {
        "ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
        "ScanningSequence": "GR",
        "SequenceVariant": "MP",
        "RepetitionTime": "8.1",
        "EchoTime": "3.7",
        "FlipAngle": "8",
        "SeriesDescription": "T1W_3D_TFE",
    },
    "spin echo": {"ScanningSequence": "SE", "RepetitionTime": "550", "EchoTime": "14"},
    "T1 FLAIR": {
        "ScanningSequence": ["SE", "IR"],
        "RepetitionTime": "2500",
        "EchoTime": "10",
        "InversionTime": "900",
    },
    "spoiled gradient echo without a flip angle": {
        "ScanningSequence": "GR",
        "RepetitionTime": "20",
        "EchoTime": "4",
    },
}
OTHERS = {
    "T2 TSE": (
        {"ScanningSequence": "SE", "SequenceVariant": "SK", "RepetitionTime": "5000", "EchoTime": "95"},
        "TR 5000 ms, TE 95 ms: T2-weighted",
    ),
    "FLAIR": (
        {"ScanningSequence": ["SE", "IR"], "RepetitionTime": "9000", "EchoTime": "120", "InversionTime": "2500"},
        "T2-weighted",
    ),
    "FLAIR of short echo": (
        {"ScanningSequence": ["SE", "IR"], "RepetitionTime": "8000", "EchoTime": "30", "InversionTime": "2300"},
        "TR 8000 ms, TE 30 ms, TI 2300 ms: FLAIR",
    ),
    "DWI": (
        {"ScanningSequence": ["SE", "EP"], "RepetitionTime": "6000", "EchoTime": "30", "DiffusionBValue": 1000.0},
        "diffusion-weighted",
    ),
    "DWI without b-value": (
        {"ScanningSequence": ["SE", "EP"], "RepetitionTime": "6000", "EchoTime": "30"},
        "echo-planar sequence",
    ),
    "ADC": ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "Image Type says ADC/DIFFUSION"),
    "SWI": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "SWI"]}, "Image Type says SWI"),
    "T2*": (
        {
            "ScanningSequence": "GR",
            "SequenceVariant": "SP",
            "RepetitionTime": "28",
            "EchoTime": "20",
            "FlipAngle": "15",
        },
        "gradient echo with TR 28 ms, TE 20 ms: T2*-weighted",
    ),
    "localizer": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "Image Type says LOCALIZER"),
    "projection": ({"ImageType": ["DERIVED", "PRIMARY", "PROJECTION", "MIP"]}, "Image Type says MIP/PROJECTION"),
    "phase": ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "Image Type says P"),
    "map of T1": ({"ImageType": ["DERIVED", "PRIMARY", "T1MAP"]}, "Image Type says T1MAP"),
    "subtraction": ({"ImageType": ["DERIVED", "PRIMARY", "SUB"]}, "Image Type says SUB"),
}


def weigh_t1w(header):
    return weigh(header, Weighting.T1W)


def header_with(**attributes):
    header = Dataset()
    set_attributes(header, attributes)
    return header


def weight(evidence):
    return sum(fact.weight for fact in evidence)


@pytest.mark.parametrize("attributes", T1W.values(), ids=T1W.keys())
def test_a_t1_weighted_sequence_of_each_maker_is_recognised_by_its_physics(attributes):
    nameless = {keyword: value for keyword, value in attributes.items() if keyword != "SeriesDescription"}

    evidence = weigh_t1w(header_with(**nameless))

    assert not any(fact.decisive for fact in evidence)
    assert weight(evidence) >= 2


@pytest.mark.parametrize(("attributes", "reason"), OTHERS.values(), ids=OTHERS.keys())
def test_another_contrast_is_ruled_out_with_its_reason(attributes, reason):
    evidence = weigh_t1w(header_with(**attributes, SeriesDescription="t1_mprage"))

    assert next(fact.reason for fact in evidence if fact.decisive).endswith(reason)


@pytest.mark.parametrize(
    "attributes",
    [
        {"ScanningSequence": "GR", "RepetitionTime": "500", "EchoTime": "8", "FlipAngle": "20"},
        {"ScanningSequence": "GR", "RepetitionTime": "30", "EchoTime": "8", "FlipAngle": "5"},
    ],
)
def test_proton_density_counts_against(attributes):
    evidence = weigh_t1w(header_with(**attributes))

    assert weight(evidence) == -1
    assert "proton density" in evidence[0].reason


@pytest.mark.parametrize("absent", ["EchoTime", "RepetitionTime"])
def test_without_repetition_or_echo_time_nothing_is_concluded(absent):
    evidence = weigh_t1w(
        header_with(**{"ScanningSequence": "GR", "RepetitionTime": "8", "EchoTime": "3", absent: None})
    )

    assert evidence == [Evidence("no TR or TE: weighting cannot be confirmed")]


def test_an_empty_header_is_no_evidence():
    assert weight(weigh_t1w(Dataset())) == 0


@pytest.mark.parametrize(
    ("description", "points"),
    [
        ("t1_mprage_sag", 0.5),
        ("Ax 3D SPGR", 0.5),
        ("T1 FLAIR", 0.5),
        ("t2_tse_tra", -0.5),
        ("AX_FLAIR", -0.5),
        ("brain", 0),
        ("pdf export", 0),
        ("", 0),
    ],
)
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
def test_a_name_is_worth_half_a_point_and_is_marked_as_a_hint(description, points, keyword):
    evidence = weigh_t1w(header_with(**{keyword: description}))

    hints = [fact for fact in evidence if fact.hint]
    assert weight(hints) == points
    assert not any(fact.decisive for fact in hints)


@pytest.mark.parametrize("value", ["ORIGINAL", ["ORIGINAL"], ["ORIGINAL", "PRIMARY"]])
def test_an_original_image_is_worth_half_a_point_however_few_values_say_so(value):
    assert weigh_t1w(header_with(ImageType=value))[0] == Evidence("original image", 0.5)


@pytest.mark.parametrize("value", ["PRIMARY", "DERIVED", ["DERIVED", "SECONDARY"], None])
def test_an_image_that_does_not_say_it_is_original_is_not_ruled_out(value):
    assert [fact.reason for fact in weigh_t1w(header_with(ImageType=value))] == [
        "no TR or TE: weighting cannot be confirmed"
    ]


def test_times_that_are_no_numbers_are_no_evidence():
    header = Dataset()
    header.add_new("EchoTime", "LO", "short")
    header.RepetitionTime = "8"

    assert "cannot be confirmed" in weigh_t1w(header)[0].reason


@pytest.mark.parametrize(
    ("reason", "attributes"),
    [
        ("proton density", {"ScanningSequence": "SE", "RepetitionTime": "3000", "EchoTime": "15"}),
        (
            "STIR",
            {"ScanningSequence": ["SE", "IR"], "RepetitionTime": "3500", "EchoTime": "30", "InversionTime": "150"},
        ),
        ("angiography", {"ScanningSequence": "GR", "RepetitionTime": "22", "EchoTime": "4", "AngioFlag": "Y"}),
    ],
)
def test_a_short_echo_alone_does_not_make_a_series_t1_weighted(reason, attributes):
    header = Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)

    decisive = [fact.reason for fact in weigh_t1w(header) if fact.decisive]

    assert len(decisive) == 1
    assert reason in decisive[0]


def test_a_two_dimensional_spoiled_gradient_echo_with_a_large_flip_angle_is_t1_weighted():
    header = Dataset()
    header.ScanningSequence, header.RepetitionTime, header.EchoTime, header.FlipAngle = "GR", "250", "2.5", "70"

    assert sum(fact.weight for fact in weigh_t1w(header)) > 0
