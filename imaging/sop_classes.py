"""Which SOP classes hold an image, whatever attributes their instances have."""

from __future__ import annotations

STORAGE = "1.2.840.10008.5.1.4.1.1."
WITHOUT_IMAGE = frozenset({
    "1.2.840.10008.1.3.10",  # DICOMDIR
    STORAGE + "4.2",  # MR spectroscopy
    STORAGE + "8",  # stand-alone overlay
    STORAGE + "10",  # stand-alone modality LUT
    STORAGE + "30",  # parametric map: has Rows, as segmentation and dose have
    STORAGE + "67",  # real world value mapping
    STORAGE + "77.1.5.3",  # stereometric relationship
    STORAGE + "129",  # stand-alone PET curve
})  # fmt: skip
FAMILIES_WITHOUT_IMAGE = tuple(
    f"{STORAGE}{family}."
    for family in (
        "9",  # curve, waveforms
        "11",  # presentation states, VOI LUT
        "66",  # raw data, registrations, fiducials, segmentations
        "68",  # surface scans
        "78",  # measurements of the eye
        "79",  # maculae, as text
        "80",  # visual fields
        "88",  # structured reports, key object selections
        "90",  # content assessment
        "91",  # annotations of microscopy
        "104",  # encapsulated PDF, CDA, STL
        "131",  # structured display
        "200",  # protocols
        "201",  # inventories
        "481",  # radiotherapy
    )
)
IMAGES_OF_THESE_FAMILIES = frozenset(STORAGE + number for number in ("481.1", "481.23", "481.24"))  # RT images


def holds_image(sop_class_uid: str) -> bool:
    """Return whether instances of a class are images; those of an unknown class may be.

    >>> holds_image("1.2.840.10008.5.1.4.1.1.4"), holds_image("1.2.840.10008.5.1.4.1.1.66.4")
    (True, False)
    """
    if sop_class_uid in IMAGES_OF_THESE_FAMILIES:
        return True
    families = f"{sop_class_uid}."  # so that 66, raw data, is of its own family
    return sop_class_uid not in WITHOUT_IMAGE and not families.startswith(FAMILIES_WITHOUT_IMAGE)
