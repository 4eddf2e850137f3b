"""One series, several volumes: b-values, echoes, time points, water and fat, a localizer among the slices.

Frames of another kind are always parted. Frames at one position are parted by the attribute that really tells them
from each other; when none does, nothing is parted and the geometry gate refuses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydicom.dataset import Dataset

from imaging.diffusion import b_value, gradient_mark
from imaging.flatten_frames import frames_of
from imaging.outcome import RefusedError
from imaging.read_values import number, words
from imaging.slice_plane import SlicePlane, slice_plane
from imaging.study import Frame, Series, Stack, integer

SAME_PLANE = 0.01
"""Direction cosines that differ by less belong to one orientation; the geometry gate is stricter."""
SAME_SPACING = 0.01
"""Pixel spacings that differ by less, as a fraction, are one spacing."""
SAME_PLACE_MM = 0.01

Value = Hashable
Group = list[Frame]


@dataclass(frozen=True)
class Trait:
    """An attribute that can tell volumes apart, and how it is said."""

    of: Callable[[Dataset], Value]
    say: Callable[[Value], str]
    spread: float = 0.0  # numbers whose distance is a smaller fraction of them are one value that jitters


def split_series(series: Series) -> tuple[Stack, ...]:
    """Return the stacks of a series, the largest first; their traits say what tells them apart.

    Raises RefusedError when the frames of a multi-frame object cannot be told.
    """
    groups: list[tuple[Group, tuple[str, ...]]] = [([f for i in series.instances for f in frames_of(i)], ())]
    for trait in KINDS:
        groups = [part for group in groups for part in _parted(*group, trait)]
    groups = [part for group in groups for part in _by_geometry(*group)]
    groups = [part for group in groups for part in _by_position(*group)]
    stacks = [Stack(series, tuple(frames), traits) for frames, traits in groups]
    return tuple(sorted(stacks, key=lambda stack: -len(stack.frames)))


# -- kinds that never belong to one volume ---------------------------------------------------------------------------


def _image_type(header: Dataset) -> Value:
    return words(header, "ImageType")


def _b_value(header: Dataset) -> Value:
    if header.get("Modality") == "CT":
        return None
    value = b_value(header)
    return None if value is None else round(value)


def _complex_component(header: Dataset) -> Value:
    """Return magnitude, phase, real or imaginary: the standard's word, or GE's number in (0043,102F)."""
    said = header.get("ComplexImageComponent")
    if said:
        return str(said)
    element = header.get((0x0043, 0x102F))
    try:
        return ("MAGNITUDE", "PHASE", "REAL", "IMAGINARY")[int(element.value)] if element else None
    except (TypeError, ValueError, IndexError):
        return None


def _in_plane(header: Dataset) -> Value:
    """Return where the first pixel lies along rows and columns, in mm: several stations differ in it."""
    plane = slice_plane(header)
    return tuple(round(float(np.dot(plane.position_mm, axis))) for axis in (plane.row_cosine, plane.column_cosine))


def _text(keyword: str) -> Callable[[Dataset], Value]:
    return lambda header: str(header.get(keyword) or "") or None


def _whole(keyword: str) -> Callable[[Dataset], Value]:
    return lambda header: integer(header, keyword)


def _rounded(keyword: str, digits: int) -> Callable[[Dataset], Value]:
    def of(header: Dataset) -> Value:
        value = number(header, keyword)
        return None if value is None else round(value, digits)

    return of


def _said(name: str, unit: str = "") -> Callable[[Value], str]:
    return lambda value: f"no {name}" if value is None else f"{name} {value}{unit}"


def _unsaid(name: str) -> Callable[[Value], str]:
    """Say that there are several, not which: the value names a time or an identifier."""
    return lambda _value: name


KINDS = (
    Trait(_text("SOPClassUID"), _unsaid("one of several SOP classes")),
    Trait(_text("FrameOfReferenceUID"), _unsaid("one of several frames of reference")),
    Trait(_image_type, lambda value: f"image type {'/'.join(value) or 'absent'}"),  # type: ignore[arg-type]
    Trait(_complex_component, _said("component")),
    Trait(_b_value, _said("b-value", " s/mm2")),
    Trait(_text("StackID"), _said("stack")),
    Trait(_whole("EchoNumbers"), _said("echo")),
    Trait(_rounded("EchoTime", 3), _said("echo time", " ms"), spread=0.1),
)
# -- traits that may vary within a volume, and explain several frames at one position --------------------------------
EXPLANATIONS = (
    Trait(_in_plane, _unsaid("one of several positions in its plane")),
    Trait(_rounded("EchoTime", 3), _said("echo time", " ms")),
    Trait(_rounded("InversionTime", 1), _said("inversion time", " ms")),
    Trait(_rounded("FlipAngle", 1), _said("flip angle", " degrees")),
    Trait(_rounded("RepetitionTime", 1), _said("repetition time", " ms")),
    Trait(gradient_mark, _unsaid("one of several gradient directions")),
    Trait(_text("ConvolutionKernel"), _said("kernel")),
    Trait(_rounded("KVP", 1), _said("tube voltage", " kV")),
    Trait(_whole("TemporalPositionIdentifier"), _said("time point")),
    Trait(_rounded("TriggerTime", 1), _said("trigger time", " ms")),
    Trait(_whole("AcquisitionNumber"), _said("acquisition")),
    Trait(_text("ContrastBolusAgent"), lambda value: "with contrast agent" if value else "without contrast agent"),
    Trait(_text("AcquisitionDateTime"), _unsaid("one of several acquisition times")),
    Trait(_text("AcquisitionTime"), _unsaid("one of several acquisition times")),
    Trait(_text("ContentTime"), _unsaid("one of several content times")),
)


def _parted(frames: Group, traits: tuple[str, ...], trait: Trait) -> list[tuple[Group, tuple[str, ...]]]:
    parts = _by_value(frames, trait)
    if len(parts) == 1:
        return [(frames, traits)]
    return [(part, (*traits, trait.say(value))) for value, part in parts.items()]


def _by_value(frames: Iterable[Frame], trait: Trait) -> dict[Value, Group]:
    frames = list(frames)
    values = [trait.of(frame.header) for frame in frames]
    one_of = _without_jitter(values, trait.spread)
    parts: dict[Value, Group] = defaultdict(list)
    for frame, value in zip(frames, values, strict=True):
        parts[one_of.get(value, value)].append(frame)
    return dict(sorted(parts.items(), key=lambda part: (part[0] is not None, _sortable(part[0]))))


def _without_jitter(values: Iterable[Value], spread: float) -> dict[Value, Value]:
    """Return the smallest number of its run for each number; a run ends where the next number is well apart."""
    numbers = sorted({value for value in values if isinstance(value, int | float)}) if spread else []
    first: dict[Value, Value] = {}
    for at, value in enumerate(numbers):
        new_run = at == 0 or value - numbers[at - 1] > spread * value
        first[value] = value if new_run else first[numbers[at - 1]]
    return first


def _sortable(value: Value) -> tuple[float, str]:
    return (float(value), "") if isinstance(value, int | float) else (0.0, str(value))


# -- geometry --------------------------------------------------------------------------------------------------------


def _by_geometry(frames: Group, traits: tuple[str, ...]) -> list[tuple[Group, tuple[str, ...]]]:
    """Part frames of another size, spacing or orientation; leave them together when one has no geometry at all."""
    planes = _planes(frames)
    if planes is None:
        return [(frames, traits)]
    found: list[tuple[SlicePlane, Group]] = []
    for frame, plane in zip(frames, planes, strict=True):
        home = next((group for first, group in found if _alike(first, plane)), None)
        if home is None:
            found.append((plane, home := []))
        home.append(frame)
    if len(found) == 1:
        return [(frames, traits)]
    return [(group, (*traits, f"{_said_plane(plane)}, one of {len(found)}")) for plane, group in found]


def _planes(frames: Iterable[Frame]) -> list[SlicePlane] | None:
    try:
        return [frame.plane for frame in frames]
    except RefusedError:
        return None


def _alike(one: SlicePlane, other: SlicePlane) -> bool:
    spacing = np.array([one.spacing_between_rows_mm, one.spacing_between_columns_mm])
    apart = np.abs(spacing - [other.spacing_between_rows_mm, other.spacing_between_columns_mm])
    turned = np.abs(np.array(one.row_cosine + one.column_cosine) - np.array(other.row_cosine + other.column_cosine))
    same_size = (one.rows, one.columns) == (other.rows, other.columns)
    return bool(same_size and (apart <= SAME_SPACING * spacing).all() and turned.max() <= SAME_PLANE)


def _said_plane(plane: SlicePlane) -> str:
    spacing = f"{plane.spacing_between_rows_mm:.3g} x {plane.spacing_between_columns_mm:.3g}"
    normal = np.cross(plane.row_cosine, plane.column_cosine)
    name = ("sagittal", "coronal", "axial")[int(np.abs(normal).argmax())]
    return f"{name} stack of {plane.rows} x {plane.columns} pixels of {spacing} mm"


# -- several frames at one position ----------------------------------------------------------------------------------


def _by_position(frames: Group, traits: tuple[str, ...]) -> list[tuple[Group, tuple[str, ...]]]:
    """Part frames that share positions by the first trait that explains it, then the parts again."""
    planes = _planes(frames)
    if planes is None:
        return [(frames, traits)]
    places = dict(zip(map(id, frames), _places(planes), strict=True))
    if _repeats(frames, places) == 1:
        return [(frames, traits)]
    for trait in EXPLANATIONS:
        parts = _by_value(frames, trait)
        if _explains(list(parts.values()), frames, places):
            said = [(part, (*traits, trait.say(value))) for value, part in parts.items()]
            return [part for group in said for part in _by_position(*group)]
    for keyword in ("TriggerTime", "AcquisitionTime"):
        parts_in_time = _in_order_of_time(frames, traits, places, keyword)
        if parts_in_time:
            return parts_in_time
    return [(frames, traits)]


def _places(planes: Sequence[SlicePlane]) -> list[int]:
    """Return the number of the position of each plane along the normal, from 0; close ones count as one."""
    normal = np.cross(planes[0].row_cosine, planes[0].column_cosine)
    heights = np.array([plane.position_mm for plane in planes]) @ normal
    order = np.argsort(heights, kind="stable")
    numbers = np.empty(len(planes), int)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(heights[order]) > SAME_PLACE_MM)])
    return [int(place) for place in numbers]


def _repeats(frames: Group, places: dict[int, int]) -> int:
    """Return the largest number of frames at one position."""
    return max(Counter(places[id(frame)] for frame in frames).values())


def _explains(parts: list[Group], frames: Group, places: dict[int, int]) -> bool:
    """Return whether parts are volumes: each covers most positions once, or all positions with fewer frames at each.

    An attribute that merely jitters from slice to slice makes parts that cover few positions, and explains nothing.
    """
    repeats = _repeats(frames, places)
    if not 1 < len(parts) <= repeats:
        return False
    positions = len(set(places.values()) & {places[id(frame)] for frame in frames})
    covered = [len({places[id(frame)] for frame in part}) for part in parts]
    left = [_repeats(part, places) for part in parts]
    if max(left) == 1:
        return min(covered) * 2 >= positions and max(covered) == positions
    return min(covered) == positions and max(left) < repeats


def _in_order_of_time(
    frames: Group, traits: tuple[str, ...], places: dict[int, int], keyword: str
) -> list[tuple[Group, tuple[str, ...]]] | None:
    """Part time points whose slices each have their own time: the n-th of each position is volume n.

    Only when all volumes are complete and one ends before the next begins.
    """
    times = {id(frame): number(frame.header, keyword) for frame in frames}
    if any(time is None for time in times.values()):
        return None
    by_place: dict[int, Group] = defaultdict(list)
    for frame in sorted(frames, key=lambda frame: times[id(frame)] or 0.0):
        by_place[places[id(frame)]].append(frame)
    if len({len(group) for group in by_place.values()}) != 1:
        return None
    volumes = list(zip(*by_place.values(), strict=True))
    spans = [[times[id(frame)] or 0.0 for frame in volume] for volume in volumes]
    if any(max(earlier) >= min(later) for earlier, later in pairwise(spans)):
        return None
    return [(list(volume), (*traits, f"time point {at + 1} of {len(volumes)}")) for at, volume in enumerate(volumes)]
