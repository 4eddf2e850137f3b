"""Enhanced MR, CT and PET, several volumes in one object or one volume in several, and frames that are no volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pydicom.uid import ParametricMapStorage, RTDoseStorage, SegmentationStorage

from imaging.outcome import Reason
from imaging.uids import derived_uid
from tests.dicom_cases.case import Case, Exact, NothingEligible, Refused
from tests.dicom_cases.converted import CONVERTED
from tests.dicom_cases.enhanced import (
    CONTENT,
    FRAME_TYPES,
    MEASURES,
    ORIENTATION,
    POSITION,
    RESCALE,
    Picture,
    enhanced,
    pictures,
    write_enhanced,
)  # fmt: skip
from tests.dicom_cases.phantom import PHANTOM, Grid
from tests.phantoms import oblique_affine

CORONAL = Grid((5, 8, 11), oblique_affine((95, 5, -8), (3.0, 1.1, 0.9), (12.0, -8.0, 40.0)))
SHUFFLED = (4, 0, 5, 2, 1, 3)
B_VALUES = (0, 800, 1500)
ECHOES_MS = (2.5, 4.75)
DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0.6, 0.8))
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
NUCLEAR = "1.2.840.10008.5.1.4.1.1.20"
ANGIOGRAPHY = "1.2.840.10008.5.1.4.1.1.12.1.1"
NO_GROUPS = {"SharedFunctionalGroupsSequence": None, "PerFrameFunctionalGroupsSequence": None}
NOT_A_VOLUME = {"FrameOfReferenceUID": None, "DimensionIndexSequence": None, **NO_GROUPS}
NOT_READ = "Reads the frames in their stored order as one volume."
ONE_BLOCK = "Reads all frames of the object as one volume."
ONE_FILE_EACH = "Reads each object as an image of its own."

Groups = Mapping[str, Mapping[str, object] | None]


def volumes_by(groups: Sequence[Groups], grids: Sequence[Grid] = (PHANTOM,), rescale=((1, 0),)) -> list[Picture]:
    """Return the frames of several volumes, told apart by these functional groups."""
    return [
        frame
        for volume, group in enumerate(groups)
        for frame in pictures(
            grids[volume % len(grids)], volume, rescale=rescale[volume % len(rescale)], **_numbered(group, volume)
        )
    ]


def _numbered(groups: Groups, volume: int) -> dict[str, Mapping[str, object] | None]:
    content = {"DimensionIndexValues": [1, 1, volume + 1], **(groups.get(CONTENT) or {})}
    return {**groups, CONTENT: content}


def woven(frames: Sequence[Picture]) -> list[Picture]:
    """Return frames slice by slice: all volumes of the first slice, then of the second."""
    return sorted(frames, key=lambda frame: frame.slice)


def diffusion(b_value: float, direction: Sequence[float] | None = None) -> Groups:
    """Return the groups of a diffusion frame (PS3.3 C.8.13.5.9)."""
    shown = {"DiffusionBValue": float(b_value), "DiffusionDirectionality": "DIRECTIONAL" if direction else "NONE"}
    if direction:
        shown["DiffusionGradientDirectionSequence"] = {"DiffusionGradientOrientation": [float(x) for x in direction]}
    return {"MRDiffusionSequence": shown}


def rising(attributes: Sequence[tuple[object, object]]) -> list[Picture]:
    """Return the frames of the phantom, each with its own slope and intercept."""
    return [Picture(slice=number, rescale=rescale) for number, rescale in enumerate(attributes)]


def without_group(frames: Sequence[Picture], keyword: str, only: int | None = None) -> list[Picture]:
    """Return frames of which all, or one, lack a functional group."""
    return [
        Picture(frame.grid, frame.slice, groups={keyword: None}) if only in (None, number) else frame
        for number, frame in enumerate(frames)
    ]


def write_apart(folder: Path, parts: Sequence[Sequence[Picture]], **options: object) -> None:
    """Write each list of frames as an object of its own, all of one series."""
    for number, frames in enumerate(parts):
        write_enhanced(folder, frames, name=f"part {number}", InstanceNumber=number + 1, **options)


def write_concatenation(folder: Path, numbers: Sequence[int] = (1, 2)) -> None:
    """Write parts of one image that was cut into two (PS3.3 C.7.6.16.2.2.4)."""
    for number in numbers:
        write_enhanced(
            folder,
            pictures()[3 * (number - 1) : 3 * number],
            name=f"part {number}",
            ConcatenationUID=derived_uid("concatenation"),
            SOPInstanceUIDOfConcatenationSource=derived_uid("concatenation source"),
            InConcatenationNumber=number,
            InConcatenationTotalNumber=2,
            ConcatenationFrameOffsetNumber=3 * (number - 1),
        )


def write_fewer_groups(folder: Path) -> None:
    """Write an object that describes five of its six frames."""
    header = enhanced(pictures())
    del header.PerFrameFunctionalGroupsSequence[-1]
    header.save_as(folder / "enhanced.dcm", enforce_file_format=True)


def mr(name: str, about: str, frames: Sequence[Picture], expected, others: str = "", **options: object) -> Case:
    """Return the case of one Enhanced object."""
    shown = {"SimpleITK": others} if others else {}
    return Case(f"enhanced-{name}", about, partial(write_enhanced, frames=frames, **options), expected, others=shown)


def of_kind(name: str, about: str, expected, **attributes: object) -> Case:
    """Return the case of a multi-frame object that is something else."""
    return Case(f"multiframe-{name}", about, partial(write_enhanced, **attributes), expected)


def by_content(keyword: str, values: Sequence[object]) -> list[Groups]:
    """Return groups whose Frame Content differs."""
    return [{CONTENT: {keyword: value}} for value in values]


MAGNITUDE_PHASE = [
    {FRAME_TYPES["MR"]: {"FrameType": ["ORIGINAL", "PRIMARY", kind, "NONE"], "ComplexImageComponent": component}}
    for kind, component in (("M", "MAGNITUDE"), ("P", "PHASE"))
]
TRIGGERS = [{"CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": float(ms)}} for ms in (0, 250, 500)]
ECHOES = [{"MREchoSequence": {"EffectiveEchoTime": ms}} for ms in ECHOES_MS]
STACKS = by_content("StackID", ("1", "2"))
NO_STACKS = by_content("StackID", ("", ""))
SLABS = (PHANTOM.slices(0, 3), PHANTOM.slices(20, 23))
TRACE = [diffusion(800, direction) for direction in DIRECTIONS]

ONE_VOLUME = (
    mr("mr", "Enhanced MR: size, orientation and type shared, position per frame.", pictures(), Exact()),
    mr("ct", "Enhanced CT with slope and intercept shared.", pictures(rescale=(1, -1024)), Exact(), kind="CT"),
    mr("pet", "Enhanced PET with fractional slope.", pictures(rescale=(0.25, 0)), Exact(rounding=0.125), kind="PT"),
    mr("all-per-frame", "Every functional group is written for each frame.", pictures(), Exact(), shared=()),
    mr("no-shared-groups", "The shared groups are absent altogether.", pictures(), Exact(), shared=(),
       SharedFunctionalGroupsSequence=None),
    mr("frames-shuffled", "Frames lie in no order; Dimension Index Values are right.",
       [pictures()[number] for number in SHUFFLED], Exact(), NOT_READ),
    mr("frames-reversed", "Frames run from the head to the feet.", pictures()[::-1], Exact()),
    mr("index-lies", "Dimension Index Values and In-Stack Position say another order than the positions.",
       [Picture(slice=at, groups={CONTENT: {"InStackPositionNumber": 6 - at, "DimensionIndexValues": [1, 6 - at, 1]}})
        for at in range(6)], Exact()),
    mr("no-dimensions", "Frame Content has neither stacks nor indices.", without_group(pictures(), CONTENT), Exact(),
       DimensionIndexSequence=None, DimensionOrganizationSequence=None),
    mr("rescale-shared", "Pixel Value Transformation is a shared group.", pictures(rescale=(0.5, 100)),
       Exact(rounding=0.25)),
    mr("rescale-per-frame", "Each frame has its own slope and intercept.",
       rising([(1, 0), (0.5, 12), (2, -7), (0.25, 6000), (1.5, 1), (1, -3)]), Exact(rounding=1)),
    mr("rescale-top-level-lies", "Slope and intercept at the top of the object contradict those of the frames.",
       pictures(rescale=(0.5, 100)), Exact(rounding=0.25), RescaleSlope=7, RescaleIntercept=-300),
    Case("enhanced-object-per-slice", "Six objects of one frame each make the volume.",
         partial(write_apart, parts=[[frame] for frame in pictures()]), Exact(), others={"SimpleITK": ONE_FILE_EACH}),
    Case("enhanced-two-halves", "Two objects of three frames each, no concatenation, make one volume.",
         partial(write_apart, parts=[pictures()[3:], pictures()[:3]]), Exact(), others={"SimpleITK": ONE_FILE_EACH}),
    *CONVERTED,
)  # fmt: skip

SEVERAL_VOLUMES = (
    mr("two-stacks", "Two stacks of other size, spacing and orientation would need two objects; here slabs apart.",
       volumes_by(STACKS, SLABS), Exact(volumes=2, grids=SLABS), ONE_BLOCK),
    mr("two-orientations", "Two stacks of different orientation.",
       volumes_by(STACKS, (PHANTOM, Grid(PHANTOM.shape, oblique_affine((100, 4, 8))))),
       Exact(volumes=2, grids=(PHANTOM, Grid(PHANTOM.shape, oblique_affine((100, 4, 8))))), ONE_BLOCK),
    mr("two-orientations-no-stack-id", "Two orientations, without Stack ID.",
       volumes_by(NO_STACKS, (PHANTOM, Grid(PHANTOM.shape, oblique_affine((100, 4, 8))))),
       Exact(volumes=2, grids=(PHANTOM, Grid(PHANTOM.shape, oblique_affine((100, 4, 8))))), ONE_BLOCK),
    mr("b-values", "Three b-values, one after another.", volumes_by([diffusion(b) for b in B_VALUES]),
       Exact(volumes=3, traits=(r"\b0 s", r"\b800 s", r"\b1500 s")), ONE_BLOCK),
    mr("b-values-woven", "Three b-values, slice by slice.", woven(volumes_by([diffusion(b) for b in B_VALUES])),
       Exact(volumes=3, traits=(r"\b0 s", r"\b800 s", r"\b1500 s")), ONE_BLOCK),
    mr("diffusion-directions", "Three directions of one b-value.", woven(volumes_by(TRACE)),
       Exact(volumes=3, traits=("direction",) * 3), ONE_BLOCK),
    mr("echoes", "Two echoes.", woven(volumes_by(ECHOES)), Exact(volumes=2, traits=(r"2\.5\b", r"4\.75\b")), ONE_BLOCK),
    mr("time-points", "Three temporal positions.", volumes_by(by_content("TemporalPositionIndex", (1, 2, 3))),
       Exact(volumes=3, traits=(r"\b1\b", r"\b2\b", r"\b3\b")), ONE_BLOCK),
    mr("cardiac-phases", "Three delays after the trigger.", woven(volumes_by(TRIGGERS)),
       Exact(volumes=3, traits=(r"\b0\b", r"\b250\b", r"\b500\b")), ONE_BLOCK),
    mr("magnitude-phase", "Magnitude and phase, the phase with its own slope.",
       woven(volumes_by(MAGNITUDE_PHASE, rescale=((1, 0), (0.5, -4096)))),
       Exact(volumes=2, traits=(r"MAGNITUDE|\bM\b", r"PHASE|\bP\b")), ONE_BLOCK),
    Case("enhanced-object-per-b-value", "Each b-value is an object of its own, all of one series.",
         partial(write_apart, parts=[volumes_by([diffusion(b) for b in B_VALUES])[at : at + 6] for at in (0, 6, 12)]),
         Exact(volumes=3, traits=(r"\b0 s", r"\b800 s", r"\b1500 s")), others={"SimpleITK": ONE_FILE_EACH}),
    Case("enhanced-object-per-stack", "Two stacks of other size and orientation, each an object, of one series.",
         partial(write_apart, parts=[pictures(), pictures(CORONAL, 1, **STACKS[1])]),
         Exact(volumes=2, grids=(PHANTOM, CORONAL)), others={"SimpleITK": ONE_FILE_EACH}),
)  # fmt: skip

NO_VOLUME = (
    mr("one-frame", "An Enhanced object of one frame.", pictures()[:1], Refused(Reason.TOO_FEW_SLICES)),
    mr("repeated-position", "All frames of a stack lie at one position, nothing tells them apart.",
       [Picture(groups={CONTENT: {"InStackPositionNumber": at + 1}}) for at in range(6)],
       Refused(Reason.SAME_POSITION, (Reason.TOO_FEW_SLICES,))),
    mr("missing-frame", "The fourth of six frames is missing.", [*pictures()[:3], *pictures()[4:]],
       Refused(Reason.MISSING_SLICE)),
    mr("no-groups", "Six frames and no functional groups.", pictures(), Refused(Reason.NO_GEOMETRY), **NO_GROUPS),
    mr("no-per-frame-groups", "Shared groups without those of the frames.", pictures(), Refused(Reason.NO_GEOMETRY),
       PerFrameFunctionalGroupsSequence=None),
    mr("more-frames-than-claimed", "Number of Frames is smaller than the number of groups.", pictures(),
       Refused(Reason.NO_GEOMETRY), NumberOfFrames=4),
    mr("frame-count-absent", "Number of Frames is absent, the groups are there.", pictures(),
       Refused(Reason.NO_GEOMETRY), NumberOfFrames=None),
    Case("enhanced-fewer-groups", "Five groups for six frames.", write_fewer_groups, Refused(Reason.NO_GEOMETRY)),
    *(mr(f"without-{group.removesuffix('Sequence').lower()}", f"No frame has the group {group}.",
         without_group(pictures(), group), Refused(Reason.NO_GEOMETRY))
      for group in (MEASURES, ORIENTATION, POSITION)),
    mr("one-frame-without-position", "One frame lacks its Plane Position.", without_group(pictures(), POSITION, 3),
       Refused(Reason.NO_GEOMETRY)),
    mr("slope-zero", "One frame has a slope of 0.", [*pictures()[:5], Picture(slice=5, groups={
        RESCALE: {"RescaleSlope": 0, "RescaleIntercept": 0, "RescaleType": "US"}})], Refused(Reason.BAD_RESCALE)),
    Case("concatenation", "One image in two instances.", write_concatenation, Refused(Reason.CONCATENATION)),
    Case("concatenation-first-part", "Only the first part of a concatenation arrived.",
         partial(write_concatenation, numbers=(1,)), Refused(Reason.CONCATENATION)),
    Case("concatenation-last-part", "Only the last part of a concatenation arrived.",
         partial(write_concatenation, numbers=(2,)), Refused(Reason.CONCATENATION)),
    of_kind("secondary-capture", "A multi-frame Secondary Capture in grey.", Refused(Reason.NO_GEOMETRY),
            SOPClassUID=SECONDARY_CAPTURE, Modality="OT", **NOT_A_VOLUME),
    of_kind("ultrasound", "A cine of ultrasound.", Refused(Reason.NO_GEOMETRY), SOPClassUID=ULTRASOUND, Modality="US",
            FrameTime="33.3", **NOT_A_VOLUME),
    of_kind("nuclear", "A reconstructed nuclear tomogram, whose geometry is in the detector.",
            Refused(Reason.NO_GEOMETRY), SOPClassUID=NUCLEAR, Modality="NM", SliceVector=list(range(1, 7)),
            SpacingBetweenSlices="4", PixelSpacing=["0.7", "1.5"], **NOT_A_VOLUME),
    of_kind("angiography", "A projection run.", Refused(Reason.NO_GEOMETRY), SOPClassUID=ANGIOGRAPHY, Modality="XA",
            **NOT_A_VOLUME),
    of_kind("segmentation", "A segmentation is no image to segment, though it has frames with geometry.",
            NothingEligible(), SOPClassUID=SegmentationStorage, Modality="SEG"),
    of_kind("parametric-map", "A parametric map is a result.", NothingEligible(),
            SOPClassUID=ParametricMapStorage, Modality="OT"),
    of_kind("dose", "A dose grid is a plan.", NothingEligible(), SOPClassUID=RTDoseStorage, Modality="RTDOSE",
            GridFrameOffsetVector=[0, 4, 8, 12, 16, 20], DoseUnits="GY", **NO_GROUPS),
)  # fmt: skip

CASES = (*ONE_VOLUME, *SEVERAL_VOLUMES, *NO_VOLUME)
