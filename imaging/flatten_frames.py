"""The frames of an instance, each with a header of plain attributes.

A multi-frame object keeps what varies in functional groups (PS3.3 C.7.6.16), partly under other names than a
single-frame object does. Here both become alike, so that everything downstream reads one kind of header.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    MPEGTransferSyntaxes,
    SMPTEST211020UncompressedInterlacedActiveVideo,
    SMPTEST211020UncompressedProgressiveActiveVideo,
    VideoEndoscopicImageStorage,
    VideoMicroscopicImageStorage,
    VideoPhotographicImageStorage,
)

from imaging.outcome import Reason, RefusedError
from imaging.read_values import UNREADABLE
from imaging.study import Frame, Instance, integer

MAX_FRAMES = 100_000
LEFT_OUT = frozenset(
    Tag(keyword)
    for keyword in (
        "ReferencedImageSequence", "DerivationImageSequence", "SourceImageSequence",
        "IrradiationEventIdentificationSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    )
)  # fmt: skip
"""Sequences that refer to other objects: their attributes do not describe the frame."""
PLAIN_NAMES: Mapping[str, str] = {
    "EffectiveEchoTime": "EchoTime",
    "FrameType": "ImageType",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "NominalCardiacTriggerDelayTime": "TriggerTime",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameAcquisitionDateTime": "AcquisitionDateTime",
    "InversionTimes": "InversionTime",
    "PulseSequenceName": "SequenceName",
}
"""Attributes of multi-frame objects and their names in single-frame objects (PS3.3 C.8.13 against C.8.3)."""
PHILIPS_FRAME = Tag(0x2005, 0x140F), Tag(0x2005, 0x100F)
"""Philips keeps the attributes that a single-frame image would have had in a private sequence of each frame."""
VIDEOS = (
    *MPEGTransferSyntaxes,
    SMPTEST211020UncompressedProgressiveActiveVideo,
    SMPTEST211020UncompressedInterlacedActiveVideo,
)
VIDEO_CLASSES = (
    VideoEndoscopicImageStorage,
    VideoMicroscopicImageStorage,
    VideoPhotographicImageStorage,
)
IDENTITY = frozenset(Tag(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "NumberOfFrames"))


def frames_of(instance: Instance) -> tuple[Frame, ...]:
    """Return the frames of an instance.

    Raises RefusedError for a part of a concatenation, and for several frames without functional groups: nothing says
    where those lie.
    """
    header = instance.header
    _refuse_video(header)
    count = integer(header, "NumberOfFrames")
    if count is None and "PerFrameFunctionalGroupsSequence" not in header:
        return (Frame(instance, 0, header),)
    if (integer(header, "InConcatenationTotalNumber") or 1) > 1 or (integer(header, "InConcatenationNumber") or 1) > 1:
        raise RefusedError(
            "One multi-frame image must come as one instance; the series holds a part of a concatenation "
            "(PS3.3 C.7.6.16.2.2.4). Send it again unsplit.",
            Reason.CONCATENATION,
        )
    groups = _items(header, "PerFrameFunctionalGroupsSequence")
    if not groups and count in (0, 1, None):
        return (Frame(instance, 0, header),)
    if len(groups) != count or count > MAX_FRAMES:
        raise RefusedError(
            f"Each frame needs its own geometry; a multi-frame image of {count} frames describes {len(groups)}. "
            "Send the series as an Enhanced or as single-frame images.",
            Reason.NO_GEOMETRY,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote attribute values
        common = {tag: element for tag, element in header.items() if tag not in LEFT_OUT}
        for group in _items(header, "SharedFunctionalGroupsSequence"):
            common.update(_flat(group))
        return tuple(Frame(instance, number, _frame_header(common, group)) for number, group in enumerate(groups))


def _refuse_video(header: Dataset) -> None:
    meta = getattr(header, "file_meta", Dataset())
    if meta.get("TransferSyntaxUID") in VIDEOS or str(header.get("SOPClassUID")) in VIDEO_CLASSES:
        raise RefusedError("Still images are needed; the series is a video. Send the images it shows.", Reason.VIDEO)


def _frame_header(common: Mapping[BaseTag, Any], group: Dataset) -> Dataset:
    return _with_plain_names(Dataset({**_philips(group), **common, **_flat(group)}))


def _philips(group: Dataset) -> dict[BaseTag, Any]:
    """Return what only the vendor's private copy of a single-frame header says, such as Scanning Sequence."""
    for tag in PHILIPS_FRAME:
        if tag in group and group[tag].VR == "SQ" and group[tag].value:
            return {tag: element for tag, element in group[tag].value[0].items() if tag not in IDENTITY}
    return {}


def _items(header: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; an empty list when it is absent or no sequence."""
    value = header.get(keyword)
    return [item for item in value if isinstance(item, Dataset)] if isinstance(value, list) or value else []


def _flat(group: Dataset) -> dict[BaseTag, Any]:
    """Return the attributes of all functional groups of one item; those of nested sequences as well."""
    found: dict[BaseTag, Any] = {}
    for element in group:
        if element.VR != "SQ" or (element.value and "CodeValue" in element.value[0]):
            found[element.tag] = element
        elif element.tag not in LEFT_OUT and not element.tag.is_private and element.value:
            found.update(_flat(element.value[0]))
    return found


def _with_plain_names(header: Dataset) -> Dataset:
    for keyword, plain in PLAIN_NAMES.items():
        value = header.get(keyword)
        if value not in (None, ""):
            with suppress(*UNREADABLE):
                setattr(header, plain, value)
    if not header.get("ScanningSequence"):
        words = _scanning_sequence(header)
        if words:
            header.ScanningSequence = words
    return header


def _scanning_sequence(header: Dataset) -> list[str]:
    """Return Scanning Sequence (PS3.3 C.8.3.1) from the flags that replace it in Enhanced MR (PS3.3 C.8.13.4)."""
    words = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(str(header.get("EchoPulseSequence")), [])
    words += ["EP"] if header.get("EchoPlanarPulseSequence") == "YES" else []
    words += ["IR"] if header.get("InversionRecovery") == "YES" else []
    return words
