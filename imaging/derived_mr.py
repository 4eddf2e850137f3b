"""What a derived MR image has to say of how its source was made, and may leave open (PS3.3 C.8.3.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from imaging.suite import RESEARCH_USE

TYPE_2 = (
    "PositionReferenceIndicator", "ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime",
    "SliceThickness", "PatientPosition",
)  # fmt: skip
"""Attributes an MR image must have and may leave empty: empty when the source lacks them."""


def complete_mr(image: Dataset) -> None:
    """Give an image, with what was copied of its source, the attributes that every derived MR image must have."""
    for keyword in TYPE_2:
        if keyword not in image:
            setattr(image, keyword, None)
    if not image.get("ScanningSequence"):
        image.ScanningSequence = "RM"  # research mode: the source does not say
    if not image.get("SequenceVariant"):
        image.SequenceVariant = "NONE"
    if "IR" in image.ScanningSequence and "InversionTime" not in image:
        image.InversionTime = None
    image.ImageComments, image.BurnedInAnnotation = RESEARCH_USE, "NO"
