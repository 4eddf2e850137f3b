import struct

import pytest
from pydicom import Dataset

from imaging.diffusion import (
    AdcUnit,
    DiffusionRole,
    adc_unit,
    b_value,
    diffusion_role,
    gradient_direction,
    gradient_mark,
)

MAKERS = {  # group, creator, element, VR, value, maker
    "Siemens": (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", 800, "SIEMENS"),
    "GE": (0x0043, "GEMS_PARM_01", 0x39, "IS", [800, 8, 0, 0], "GE MEDICAL SYSTEMS"),
    "GE with its offset": (0x0043, "GEMS_PARM_01", 0x39, "IS", [1_000_000_800, 8, 0, 0], "GE MEDICAL SYSTEMS"),
    "Philips": (0x2001, "Philips Imaging DD 001", 0x03, "FL", 800.0, "Philips Medical Systems"),
    "UIH, nominal": (0x0065, "Image Private Header", 0x0A, "FD", 800.0, "UIH"),
    "UIH, actual": (0x0065, "Image Private Header", 0x09, "FD", 800.0, "UIH"),
}
PACKED = {"IS": lambda value: "\\".join(map(str, value if isinstance(value, list) else [value])).encode(),
          "FL": lambda value: struct.pack("<f", value),
          "FD": lambda value: struct.pack("<d", value)}  # fmt: skip
makers = pytest.mark.parametrize("attribute", MAKERS.values(), ids=MAKERS.keys())


def header_with(**attributes):
    header = Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return header


def private(attribute, *, block=0x10, creator=True, packed=False):
    group, name, element, vr, value, maker = attribute
    header = header_with(Manufacturer=maker)
    if creator:
        header.add_new((group, block), "LO", name)
    tag = (group, block << 8 | element)
    header.add_new(tag, "UN" if packed else vr, PACKED[vr](value) if packed else value)
    return header


@makers
@pytest.mark.parametrize("packed", [False, True], ids=["", "as bytes"])
@pytest.mark.parametrize(("block", "creator"), [(0x10, True), (0x12, True), (0x10, False)])
def test_each_maker_has_a_place_for_the_b_value_and_archives_move_it(attribute, block, creator, packed):
    assert b_value(private(attribute, block=block, creator=creator, packed=packed)) == 800


@makers
def test_a_block_of_another_creator_is_not_read(attribute):
    header = private(attribute)
    header[attribute[0], 0x10].value = "SOMEBODY ELSE"

    assert b_value(header) is None


@makers
def test_without_a_creator_another_maker_is_not_believed(attribute):
    header = private(attribute, creator=False)
    header.Manufacturer = "ACME"

    assert b_value(header) is None


def test_the_nominal_b_value_of_uih_comes_before_the_actual_one():
    header = private(MAKERS["UIH, nominal"])
    header.add_new((0x0065, 0x1009), "FD", 743.8)

    assert b_value(header) == 800


@pytest.mark.parametrize(
    ("attributes", "b"),
    [
        ({"DiffusionBValue": 800.0}, 800),
        ({"DiffusionBValue": 0.0}, 0),
        ({"SequenceName": "*ep_b800#3"}, 800),
        ({"SequenceName": "*ep_b800t"}, 800),
        ({"SequenceName": "*re_b1000t"}, 1000),
        ({"SequenceName": "*ep_b50_800"}, None),  # made from both: neither is its own
        ({"SequenceName": "*tse2d1_15"}, None),
        ({"Manufacturer": "CANON_MEC", "ImageComments": "b=1500(0.445,0.000,0.895)"}, 1500),
        ({"Manufacturer": "TOSHIBA", "ImageComments": "b = 800"}, 800),
        ({"Manufacturer": "ACME", "ImageComments": "b=800"}, None),
        ({"DiffusionBValue": -1.0}, None),
        ({"DiffusionBValue": 1e12}, None),
        ({"DiffusionBValue": float("nan")}, None),
        ({}, None),
    ],
)
def test_a_b_value_is_read_where_it_is_stated(attributes, b):
    assert b_value(header_with(**attributes)) == b


def test_a_b_value_is_read_from_the_diffusion_macro():
    assert b_value(header_with(MRDiffusionSequence=[header_with(DiffusionBValue=800.0)])) == 800


@pytest.mark.parametrize(("count", "b"), [(6, 800), (0, None)])
def test_a_b_value_is_read_from_the_siemens_csa_header_unless_its_entry_is_empty(count, b):
    entry = b"B_value".ljust(64, b"\0") + struct.pack("<i4siii", 1, b"IS\0\0", 6, count, 77)
    item = struct.pack("<4i", 8, 8, 77, 8) + b"800     " if count else b""
    header = header_with(Manufacturer="SIEMENS")
    header.add_new((0x0029, 0x0010), "LO", "SIEMENS CSA HEADER")
    header.add_new((0x0029, 0x1010), "OB", b"SV10\4\3\2\1" + entry + item + b"DiffusionDirectionality\0" * 3)

    assert b_value(header) == b


def test_the_standard_attribute_comes_first():
    header = private(MAKERS["Siemens"])
    header.DiffusionBValue = 50.0

    assert b_value(header) == 50


@pytest.mark.parametrize(
    "attributes",
    [
        {"DiffusionGradientOrientation": [0.0, 2.0, 0.0]},
        {"DiffusionGradientDirectionSequence": [header_with(DiffusionGradientOrientation=[0.0, 1.0, 0.0])]},
        {"MRDiffusionSequence": [header_with(DiffusionGradientOrientation=[0.0, 1.0, 0.0])]},
    ],
)
def test_a_direction_is_a_unit_vector_wherever_it_is_stated(attributes):
    assert gradient_direction(header_with(**attributes)) == (0, 1, 0)


@pytest.mark.parametrize("direction", [[0.0, 0.0, 0.0], [1.0, 0.0], None])
def test_a_zero_or_short_vector_is_no_direction(direction):
    assert gradient_direction(header_with(DiffusionGradientOrientation=direction)) is None


def test_a_direction_in_another_frame_only_tells_directions_apart():
    canon = header_with(Manufacturer="CANON_MEC", ImageComments="b=1500(0.6,0.000,-0.8)")
    ge = header_with(Manufacturer="GE MEDICAL SYSTEMS")
    ge.add_new((0x0019, 0x0010), "LO", "GEMS_ACQU_01")
    for element, value in ((0x10BB, 0.6), (0x10BC, 0), (0x10BD, -0.8)):
        ge.add_new((0x0019, element), "DS", value)

    for header in (canon, ge):
        assert gradient_direction(header) is None
        assert gradient_mark(header) == pytest.approx((0.6, 0, -0.8))


@pytest.mark.parametrize(
    ("attributes", "role"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "DiffusionBValue": 800.0}, DiffusionRole.ADC),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "FA"]}, DiffusionRole.ANISOTROPY),
        ({"ImageType": ["DERIVED", "PRIMARY", "EADC"]}, DiffusionRole.ATTENUATION),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}, DiffusionRole.TRACE),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE", "TRACEW"]}, DiffusionRole.CALCULATED),
        (
            {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"], "SequenceName": "*ep_b50_800"},
            DiffusionRole.CALCULATED,
        ),
        ({"DiffusionBValue": 800.0, "DiffusionDirectionality": "ISOTROPIC"}, DiffusionRole.TRACE),
        ({"DiffusionBValue": 800.0, "DiffusionDirectionality": "DIRECTIONAL"}, DiffusionRole.DIRECTIONAL),
        ({"DiffusionBValue": 800.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]}, DiffusionRole.DIRECTIONAL),
        ({"SequenceName": "*ep_b800#3"}, DiffusionRole.DIRECTIONAL),
        ({"DiffusionBValue": 800.0}, DiffusionRole.WEIGHTED),
        ({"DiffusionBValue": 0.0, "ScanningSequence": ["EP", "SE"]}, DiffusionRole.UNWEIGHTED),
        ({"DiffusionBValue": 0.0, "ScanningSequence": ["EP", "GR"]}, None),  # Philips writes 0 into fMRI
        ({"ScanningSequence": "SE"}, None),
    ],
)
def test_the_role_of_a_diffusion_image_is_told(attributes, role):
    assert diffusion_role(header_with(**attributes)) is role


def mapped(code):
    unit = header_with(CodeValue=code, CodingSchemeDesignator="UCUM")
    return header_with(RealWorldValueMappingSequence=[header_with(MeasurementUnitsCodeSequence=[unit])])


@pytest.mark.parametrize(
    ("header", "mm2_per_s", "stated"),
    [
        (mapped("um2/s"), 1e-6, True),
        (mapped("mm2/s"), 1.0, True),
        (mapped("10*-6.mm2/s"), 1e-6, True),
        (header_with(RescaleType="10^-6 mm^2/s"), 1e-6, True),
        (header_with(RescaleType="10^-3mm2/s"), 1e-3, True),
        (header_with(RescaleType="US", Manufacturer="SIEMENS"), 1e-6, False),
        (header_with(Manufacturer="GE MEDICAL SYSTEMS"), 1e-6, False),
    ],
)
def test_the_unit_of_an_adc_map_is_stated_or_the_makers_habit(header, mm2_per_s, stated):
    found = adc_unit(header)

    assert isinstance(found, AdcUnit)
    assert (found.mm2_per_s, found.stated) == (mm2_per_s, stated)


@pytest.mark.parametrize(
    "header", [Dataset(), header_with(Manufacturer="Philips", RescaleType="normalized"), mapped("1")]
)
def test_without_a_known_unit_the_values_must_tell(header):
    assert adc_unit(header) is None
