"""Diffusion and ADC on the grid of the T2w series, by the geometry of their headers.

The grids may be turned against each other in any way. What lies in another frame of reference is registered by its
content when that is asked for, and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry
from scipy.ndimage import affine_transform

from imaging.adc_values import adc_values
from imaging.fit_adc import FittedAdc, fit_stacks
from imaging.geometry import GeometryPolicy
from imaging.image_attributes import shown_inverted
from imaging.outcome import Reason, RefusedError
from imaging.pair_series import same_place
from imaging.pelvic_sequences import MIN_PELVIC_OVERLAP, PelvicSequences
from imaging.register_rigid import Registration, register_rigid
from imaging.study import Stack
from imaging.to_volume import SourceImage, to_volume

WHOLE = 0.5
"""A sequence that covers less of the T2w field of view is said to."""
EDGE = 0.5 + 1e-6
"""Voxels: as far as this from its outermost centres a volume reaches."""


@dataclass(frozen=True, eq=False)
class AlignedImage:
    """A sequence on the T2w grid, to be looked at."""

    volume: Volume
    inverted: bool  # its series asks for low values to be shown white


@dataclass(frozen=True)
class AlignedSequences:
    """T2w as it is, diffusion and ADC on its grid: trilinear, 0 outside their field of view."""

    source: SourceImage  # the T2w series; its volume is the grid
    dwi: Volume | None  # float32
    adc: Volume | None  # float32, 1e-6 mm2/s
    b_value: float | None  # s/mm2
    calculated: bool  # the diffusion-weighted images were calculated for this b-value, not measured
    fitted: bool  # the ADC was fitted to diffusion-weighted images
    facts: dict[str, Any]  # for the record: units, scaling, overlap, registration
    flags: tuple[str, ...]  # of the choice and the companions; those of the T2w series are its own
    fitted_adc: FittedAdc | None = None  # on the grid of the diffusion-weighted images
    inverted: frozenset[str] = frozenset()  # of "dwi" and "adc", those whose series asks for low values to be white

    @property
    def companions(self) -> dict[str, AlignedImage]:
        """Diffusion and ADC, as far as they are there, under the names that readers know."""
        b_value = "" if self.b_value is None else f", b = {self.b_value:.0f} s/mm2"
        found = {}
        if self.dwi is not None:
            name = f"DWI{b_value}{', calculated' if self.calculated else ''}"
            found[name] = AlignedImage(self.dwi, "dwi" in self.inverted)
        if self.adc is not None:
            found[f"ADC{', fitted' if self.fitted else ''}"] = AlignedImage(self.adc, "adc" in self.inverted)
        return found


@dataclass(frozen=True, eq=False)
class _Part:
    """One sequence on its own grid."""

    name: str
    stack: Stack
    volume: Volume
    facts: dict[str, Any]
    flags: tuple[str, ...]
    inverted: bool = False  # low values are to be shown white


def align(moving: Volume, onto: VolumeGeometry) -> Volume:
    """Return a volume on another grid, however it is turned: trilinear, float32, 0 outside its field of view.

    The field of view ends at the edges of the outermost voxels; between their centres and their edges their values
    hold. Coarser grids are sampled, not averaged.
    """
    voxels = np.linalg.inv(moving.affine) @ onto.affine
    array = affine_transform(
        np.asarray(moving.array, np.float32),
        voxels[:3, :3],
        voxels[:3, 3],
        output_shape=onto.shape,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    array *= _inside(voxels, moving.spatial_shape, onto.shape)
    return Volume(array, onto.affine, "PATIENT", frame_of_reference_uid=onto.frame_of_reference_uid)


def overlap_with(moving: VolumeGeometry | Volume, onto: VolumeGeometry) -> float:
    """Return the part of a grid's voxels, 0 to 1, whose centres lie in the field of view of a volume."""
    voxels = np.linalg.inv(moving.affine) @ onto.affine
    return float(_inside(voxels, moving.spatial_shape, onto.shape).mean())


def align_sequences(
    sequences: PelvicSequences, *, register: bool, policy: GeometryPolicy, min_overlap: float = MIN_PELVIC_OVERLAP
) -> AlignedSequences:
    """Return the sequences on the grid of the T2w series, which is read as it is.

    register     whether what lies in another frame of reference is registered rigidly; refused otherwise
    policy       what is tolerated of each series: a missing slice, uneven spacing
    min_overlap  least part of the T2w grid that a sequence covers

    Raises RefusedError when a series is no regular volume, when its values have no known unit, or when it lies
    elsewhere.
    """
    source = to_volume(sequences.t2w.stack, policy)
    fitted = fit_stacks(sequences.fit_from, policy) if sequences.fit_from else None
    parts = [part for part in (_dwi(sequences, policy), _adc(sequences, policy, fitted)) if part]
    placed, registrations = _placed(source, parts, register=register)
    facts: dict[str, Any] = {"t2w": _series_facts(source.stack)}
    flags = list(sequences.flags)
    on_grid = {}
    for part in placed:
        overlap = overlap_with(part.volume, source.volume.get_geometry())
        _refuse_elsewhere(part, overlap, min_overlap)
        on_grid[part.name] = align(part.volume, source.volume.get_geometry())
        registration = registrations.get(part.name)
        facts[part.name] = {
            **_series_facts(part.stack),
            **part.facts,
            "overlap": round(overlap, 4),
            "registration": registration.facts() if registration else None,
        }
        flags += part.flags
        if overlap < WHOLE:
            flags.append(f"{part.stack} covers {100 * overlap:.0f} % of the T2w field of view; beyond it there is 0")
        flags += [f"{part.stack} was {registration.summary()}"] if registration else []
    return AlignedSequences(
        source=source,
        dwi=on_grid.get("dwi"),
        adc=on_grid.get("adc"),
        b_value=sequences.b_value,
        calculated=sequences.calculated,
        fitted=fitted is not None,
        facts=facts,
        flags=tuple(dict.fromkeys(flags)),
        fitted_adc=fitted,
        inverted=frozenset(part.name for part in placed if part.inverted),
    )


def _dwi(sequences: PelvicSequences, policy: GeometryPolicy) -> _Part | None:
    if sequences.dwi is None:
        return None
    source = to_volume(sequences.dwi.selection.stack, policy)
    facts = {"b_value_s_per_mm2": sequences.b_value, "calculated": sequences.calculated}
    inverted = shown_inverted(source.stack.header)
    return _Part("dwi", source.stack, source.volume, facts, _named("diffusion", source.flags), inverted)


def _adc(sequences: PelvicSequences, policy: GeometryPolicy, fitted: FittedAdc | None) -> _Part | None:
    if sequences.adc is not None:
        source = to_volume(sequences.adc.selection.stack, policy)
        found = adc_values(source)
        facts = {**found.facts, "fitted": False}
        inverted = shown_inverted(source.stack.header)
        return _Part("adc", source.stack, found.volume, facts, _named("ADC", (*source.flags, *found.flags)), inverted)
    if fitted is None:
        return None
    facts = {
        "unit": "1e-6 mm2/s",
        "fitted": True,
        "b_values_s_per_mm2": list(fitted.b_values),
        "evidence": "one exponential, least squares on the logarithm",
    }
    return _Part("adc", fitted.sources[-1].stack, fitted.volume, facts, _named("diffusion", fitted.flags))


def _placed(
    source: SourceImage, parts: Sequence[_Part], *, register: bool
) -> tuple[list[_Part], dict[str, Registration]]:
    """Return the parts in the frame of reference of the T2w series; what shares another one is moved as one.

    Of those the last part, the ADC map, is what is registered.
    """
    elsewhere = [part for part in parts if not same_place(source.stack, part.stack)]
    if elsewhere and not register:
        raise _other_frame(elsewhere[0])
    guides = {_frame(part): part for part in elsewhere}
    found = {frame: register_rigid(part.volume, source.volume) for frame, part in guides.items()}
    placed = [_moved(part, found[_frame(part)], source.volume) if part in elsewhere else part for part in parts]
    return placed, {part.name: found[_frame(part)] for part in elsewhere}


def _frame(part: _Part) -> str:
    """Return what images that lie in one frame of reference share; without one, each lies in its own."""
    return str(part.stack.header.get("FrameOfReferenceUID") or part.name)


def _moved(part: _Part, registration: Registration, fixed: Volume) -> _Part:
    volume = Volume(
        part.volume.array,
        registration.matrix @ part.volume.affine,
        "PATIENT",
        frame_of_reference_uid=fixed.frame_of_reference_uid,
    )
    return replace(part, volume=volume)


def _inside(voxels: npt.NDArray[np.float64], shape: Iterable[int], onto: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return which voxels of a grid lie within a volume; ``voxels`` maps the indices of the grid to the volume's."""
    steps = [np.arange(size, dtype=np.float64) for size in onto]
    inside = np.ones(onto, bool)
    for row, size in zip(voxels[:3], shape, strict=True):
        at = (row[0] * steps[0] + row[3])[:, None, None] + (row[1] * steps[1])[:, None] + row[2] * steps[2]
        inside &= (at >= -EDGE) & (at <= size - 1 + EDGE)
    return inside


def _refuse_elsewhere(part: _Part, overlap: float, min_overlap: float) -> None:
    if overlap < min_overlap:
        raise RefusedError(
            f"A sequence has to cover {100 * min_overlap:.0f} % of the T2w field of view; {part.stack} covers "
            f"{100 * overlap:.0f} %. Send one of the same place, or run without it with --allow-missing.",
            Reason.OUTSIDE,
        )


def _other_frame(part: _Part) -> RefusedError:
    return RefusedError(
        f"The sequences have to share the frame of reference of the T2w series; {part.stack} lies in another one. "
        "Send sequences of one examination, or register it by its content with --register.",
        Reason.OTHER_FRAME,
    )


def _series_facts(stack: Stack) -> dict[str, Any]:
    return {"series_number": stack.series.number, "slices": len(stack.frames), "traits": list(stack.traits)}


def _named(name: str, flags: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {flag}" for flag in flags)
