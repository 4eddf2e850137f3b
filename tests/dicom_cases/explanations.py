"""Why other tools differ from what whole families of cases declare; what stands beside a case itself comes first."""

from __future__ import annotations

import re

from tests.dicom_cases.case import Case

ANY_TOOL = ("SimpleITK", "dcm2niix")
ONLY_SIMPLEITK, ONLY_DCM2NIIX = ANY_TOOL[:1], ANY_TOOL[1:]
FAMILIES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("positions-jitter", ONLY_DCM2NIIX, "takes the distance of the first two slices for all."),
    ("echoes-by-time-jitter", ONLY_DCM2NIIX, "divides a series at every Echo Time."),
    # many frames
    ("enhanced-rescale-per-frame", ANY_TOOL, "applies one slope and intercept to all frames."),
    ("enhanced-two-halves", ANY_TOOL, "does not join frames of two objects."),
    ("enhanced-slope-zero", ANY_TOOL, "takes the stored values."),
    ("enhanced-one-frame$", ANY_TOOL, "makes an image of a single frame."),
    ("enhanced-(missing-frame|repeated-position)", ANY_TOOL, "spreads the frames evenly from the first to the last."),
    ("enhanced-(no-|without-|one-frame-without)", ANY_TOOL, "puts a default in the place of what is absent."),
    ("enhanced-(more|fewer|frame-count)", ANY_TOOL, "makes a volume of the frames it finds."),
    ("enhanced-", ONLY_SIMPLEITK, "joins all frames of the object into one stack."),
    ("enhanced-diffusion", ONLY_DCM2NIIX, "takes some directions for trace images, and writes all of them again."),
    ("enhanced-", ONLY_DCM2NIIX, "orders the frames in another way: its volumes are mixtures."),
    ("concatenation", ANY_TOOL, "takes each part of a concatenation for a volume."),
    ("multiframe-(segmentation|parametric|dose)", ANY_TOOL, "takes any object with pixels for an image."),
    ("multiframe-", ANY_TOOL, "puts a default in the place of geometry that the object does not have."),
    # compressed and other syntaxes
    ("syntax-(native|compressed)-claims|syntax-ge-private", ANY_TOOL, "makes a volume of what the file holds."),
    ("syntax-.*-s12", ONLY_SIMPLEITK, "fails: GDCM finds the pixel type larger than the output type."),
    ("syntax-.*-long-offsets", ONLY_SIMPLEITK, "does not read an Extended Offset Table."),
    ("syntax-.*-fragments", ANY_TOOL, "does not join the fragments of a frame in this syntax."),
    ("syntax-deflated", ONLY_DCM2NIIX, "does not read deflated data sets."),
    ("syntax-(jpeg-ls|htj2k|jpeg-extended-.*(u12|multiframe))", ONLY_DCM2NIIX, "its Debian build has no such decoder."),
    ("syntax-.*-s12", ONLY_DCM2NIIX, "does not extend the sign of 12 bits."),
    ("syntax-.*-s8", ONLY_DCM2NIIX, "takes 8 bits as unsigned."),
    (
        "syntax-.*-multiframe",
        ONLY_DCM2NIIX,
        "expects one fragment in a compressed object, and warns of more.",
    ),
    ("syntax-jpeg-(baseline|extended)", ONLY_DCM2NIIX, "its JPEG decoder is off by three grey levels."),
    # damage
    ("damaged-links-within", ONLY_SIMPLEITK, "finds few of the files: links to them count as well."),
    ("damaged-links-out", ANY_TOOL, "follows links out of the folder."),
    ("damaged-deep-folders", ANY_TOOL, "takes folders for series of their own, or does not go so deep."),
    ("damaged-(no-files|odd-names|no-preamble)", ANY_TOOL, "reads no such file or name, and nothing beside it."),
    ("damaged-(slope|spacing-negative|position|orientation)", ANY_TOOL, "takes what it can make of the number."),
    ("damaged-frames", ANY_TOOL, "does not ask whether the number of frames can be."),
    ("damaged-(rows-signed|spacing-as-text)", ONLY_SIMPLEITK, "fails on an element of another VR."),
    ("damaged-pixel", ANY_TOOL, "reads what there is, or leaves the damaged slice out."),
    ("damaged-", ANY_TOOL, "leaves the damaged slice out and closes the gap, or opens another volume."),
    # what lies beside images
    ("(among|only)-", ONLY_DCM2NIIX, "converts every object with pixels."),
    ("among-", ONLY_SIMPLEITK, "joins all objects of the series into one stack, and cannot."),
)
"""Beginning of a name as a pattern, the tools, and why; the first that fits counts."""


def explanation(case: Case, tool: str) -> str | None:
    """Return why a tool differs from what a case declares, None when nobody has said it."""
    families = (why for name, tools, why in FAMILIES if tool in tools and re.match(name, case.name))
    return case.others.get(tool) or next(families, None)
