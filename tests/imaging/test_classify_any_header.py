import warnings

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from imaging.classify_image import classify_image
from imaging.image_kind import ImageKind, Weighting
from imaging.weigh_image import weigh
from tests.imaging.vendor_headers import VENDOR_HEADERS

SENTINEL = "SENTINEL"
READ = (
    "Modality", "Manufacturer", "ImageType", "FrameType", "ScanningSequence", "SequenceVariant", "ScanOptions",
    "SequenceName", "PulseSequenceName", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EffectiveEchoTime",
    "InversionTime", "InversionTimes", "FlipAngle", "DiffusionBValue", "DiffusionDirectionality",
    "DiffusionGradientOrientation", "MRDiffusionSequence", "ContrastBolusAgent", "ContrastBolusAgentSequence",
    "ContrastBolusVolume", "AcquisitionContrast", "ComplexImageComponent", "EchoPulseSequence",
    "EchoPlanarPulseSequence", "InversionRecovery", "AngioFlag", "NumberOfTemporalPositions", "ConvolutionKernel",
    "ImageOrientationPatient", "SeriesDescription", "ProtocolName", "ImageComments", "RescaleType",
    "SpectrallySelectedSuppression", "TimeOfFlightContrast",
)  # fmt: skip
PRIVATE = tuple(
    Tag(group, 0x1000 | element)
    for group, element in (
        (0x0019, 0x0C), (0x0019, 0x0D), (0x0019, 0x0E), (0x0019, 0x9C), (0x0019, 0x17), (0x0043, 0x39), (0x0043, 0x2F),
        (0x2001, 0x03), (0x2001, 0x04), (0x2005, 0xB0), (0x0065, 0x09), (0x0065, 0x0A), (0x0029, 0x10),
    )
)  # fmt: skip
BLOCKS = tuple(Tag(group, 0x10) for group in (0x0019, 0x0043, 0x2001, 0x2005, 0x0065, 0x0029))
JUNK = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.binary(max_size=24),
    st.floats(),
    st.integers(),
    st.lists(st.one_of(st.text(max_size=6), st.floats(), st.none(), st.binary(max_size=4)), max_size=7),
    st.sampled_from(
        ["", "\\", "nan", "inf", "1e400", "GR\\IR", "1\\2\\x", b"\xff\xfe", Sequence([Dataset()]), Dataset()]
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(READ), JUNK, max_size=12), st.dictionaries(st.sampled_from(PRIVATE), JUNK))
def test_whatever_a_header_holds_a_kind_comes_back(standard, private):
    """Values of the wrong type and number, as a program may set them and as a file may hold them."""
    header = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says what it thinks of the junk
        for tag, value in [
            *((Tag(keyword), value) for keyword, value in standard.items()),
            *private.items(),
        ]:
            _put(header, tag, value)
        kind = classify_image(header)
        weighed = [weigh(header, wanted) for wanted in Weighting]

    assert isinstance(kind, ImageKind)
    assert 0 <= kind.confidence <= 1
    assert all(weighed)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(VENDOR_HEADERS), st.sets(st.sampled_from(READ[1:]), max_size=6))
def test_no_text_of_the_header_is_quoted(case, keywords):
    """Descriptions, comments, agents and names of protocols may hold the name of a person."""
    header = case.dataset()
    header.PatientName, header.PatientID, header.PatientBirthDate = f"{SENTINEL}^A", SENTINEL, "19010203"
    header.SeriesDescription = header.ProtocolName = f"T1 {SENTINEL}"
    header.ContrastBolusAgent, header.ImageComments, header.StudyDescription = SENTINEL, f"b=800 {SENTINEL}", SENTINEL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in keywords:
            _put(header, Tag(keyword), SENTINEL)
        said = repr(classify_image(header)) + repr(weigh(header, Weighting.T1W))

    assert SENTINEL not in said
    assert "19010203" not in said


def _put(header, tag, value):
    """Set a value however wrong it is: bytes as they lie in a file, anything else without validation."""
    if isinstance(value, bytes):
        header._dict[tag] = RawDataElement(tag, None, len(value), value, 0, True, True)
        return
    try:
        header.add_new(tag, "SQ" if isinstance(value, Sequence) else "LO" if tag.is_private else None, value)
    except Exception:  # noqa: BLE001 -- pydicom refuses some junk, in many ways
        header.add_new(tag, "UN", repr(value).encode())
