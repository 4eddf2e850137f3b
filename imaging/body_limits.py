"""What a vertebral body and a row of them can be: the limits of ``check_bodies``, with their sources."""

from __future__ import annotations

from imaging.plausibility import Check

NUMBER = Check(
    code="bodies-number",
    brief="unusual number of bodies",
    basis="a lumbar field of view shows at least L1 to L5; there are 24 vertebrae above the sacrum",
    low=5,
    high=24,
    unit="bodies",
)
BESIDE = Check(
    code="bodies-beside-row",
    brief="objects beside the row left out",
    basis="one spine is one row",
    high=0,
    unit="objects",
)
LEAN = Check(
    code="bodies-lean",
    brief="row lies across, no spine?",
    basis="a spine runs from head to foot, with scoliosis too",
    high=45.0,
    unit="deg",
)
SMALL = Check(
    code="bodies-small",
    brief="small bodies, no lumbar series?",
    basis="median; cervical bodies have about 3 to 7 mL",
    low=9.0,
    unit="mL",
)
VOLUME = Check(
    code="body-volume",
    brief="volume no body has",
    basis="marrow of one body: 8 to 54 mL from T10 to S1 in the labels of 32 lumbar series (see label_levels); "
    "fractures and large men stay inside",
    low=4.0,
    high=90.0,
    unit="mL",
)
TALL = Check(
    code="body-tall",
    brief="two bodies not separated?",
    basis="mean of lumbar bodies is 27 to 31 mm, standard deviation under 3 (Zhou et al., Eur Spine J 2000;9:242)",
    high=45.0,
    unit="mm",
)
FLAT = Check(
    code="body-flat", brief="collapsed?", basis="less is left only of a body that has collapsed", low=10.0, unit="mm"
)
WEDGE = Check(
    code="body-wedge",
    brief="front and back of unlike height",
    basis="anterior by posterior height: a loss of over 40 % is a severe fracture (Genant et al., J Bone Miner Res "
    "1993;8:1137-1148), which must be seen; more than that in front no body has",
    low=0.6,
    high=1.67,
    unit="ratio",
)
CUT = Check(code="body-cut", brief="cut by the border", basis="part of it lies outside the image")
LEAVES = Check(code="body-leaves-slab", brief="leaves the image at a side", basis="part of it lies outside the image")
MERGED = Check(
    code="body-merged", brief="two bodies not separated?", basis="much larger and taller than any of its neighbours"
)
GAP = Check(
    code="body-gap",
    brief="a body missing above?",
    basis="distance of two centres: half as much again as the median distance, or 55 mm",
    high=55.0,
    unit="mm",
)
NEAR = Check(
    code="body-near",
    brief="parts of one body?",
    basis="distance of two centres: 0.55 of the median distance",
    unit="mm",
)
DARK = Check(
    code="body-dark-as-air",
    brief="dark as air",
    basis="marrow gives signal; metal and what is no body give none",
    high=0.3,
    unit="of its volume",
)
CHECKS = (NUMBER, BESIDE, LEAN, SMALL, VOLUME, TALL, FLAT, WEDGE, CUT, LEAVES, MERGED, GAP, NEAR, DARK)
