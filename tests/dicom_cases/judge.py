"""What comes out of a folder, held against what its case declares."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.geometry import GeometryPolicy
from imaging.load_study import load_study
from imaging.outcome import NothingEligibleError, RefusedError
from imaging.split_series import split_series
from imaging.study import Series, Study
from imaging.to_volume import to_volume
from tests.dicom_cases.case import Case, Counts, Exact, NothingEligible, Refused, Resampled
from tests.dicom_cases.phantom import VOLUME_STEP, Grid

OFF_MM = 2e-3
"""Positions and cosines are decimal strings: a voxel may be that far from where it was written."""
RESAMPLED = "resampl|interpolat"


@dataclass(frozen=True, eq=False)
class Image:
    """A volume that some reader made of a folder."""

    array: np.ndarray  # (slice, row, column)
    affine: np.ndarray  # indices to LPS mm
    traits: str = ""
    flags: str = ""

    @property
    def grid(self) -> Grid:
        """Where its voxels lie."""
        return Grid(self.array.shape, self.affine)

    @property
    def volume(self) -> int:
        """Number of the volume of the phantom that most of its voxels belong to, -1 when no value is a number."""
        offsets = self.array - self.grid.codes()
        offsets = offsets[np.isfinite(offsets)]
        return round(float(np.median(offsets)) / VOLUME_STEP) if offsets.size else -1


@dataclass(frozen=True)
class Observed:
    """Everything that came out of a folder."""

    images: tuple[Image, ...] = ()
    refusals: tuple[RefusedError, ...] = ()
    study: Study | None = None  # None when nothing was eligible
    nothing: NothingEligibleError | None = None


def judge(case: Case, folder: Path) -> list[str]:
    """Return how the images of a folder differ from the declaration of its case; nothing when they do not."""
    return list(differences(case, observe(folder, case.policy)))


def observe(folder: Path, policy: GeometryPolicy | None = None) -> Observed:
    """Return what the package under test makes of a folder."""
    try:
        study = load_study(folder)
    except NothingEligibleError as error:
        return Observed(nothing=error)
    found = [result for series in study.series for result in _results(series, policy)]
    return Observed(
        images=tuple(result for result in found if isinstance(result, Image)),
        refusals=tuple(result for result in found if isinstance(result, RefusedError)),
        study=study,
    )


def _results(series: Series, policy: GeometryPolicy | None) -> Iterator[Image | RefusedError]:
    try:
        stacks = split_series(series)
    except RefusedError as error:
        yield error
        return
    for stack in stacks:
        try:
            image = to_volume(stack, policy or GeometryPolicy())
        except RefusedError as error:
            yield error
            continue
        if image.volume.array.dtype != np.float32:
            raise AssertionError(f"volumes are float32, not {image.volume.array.dtype}")
        yield Image(image.volume.array, image.volume.affine, "; ".join(stack.traits), "; ".join(image.flags))


def differences(case: Case, observed: Observed) -> Iterator[str]:
    """Say how what came out of a folder differs from the declaration of its case."""
    match case.expected:
        case NothingEligible(reason):
            found = observed.nothing.reason if observed.nothing else _summary(observed)
            if found != reason:
                yield f"nothing eligible ({reason}) expected, found {found}"
        case Refused(reason, or_else):
            reasons = [refusal.reason for refusal in observed.refusals]
            if observed.images or not reasons or any(found not in (reason, *or_else) for found in reasons):
                yield f"refused ({reason}) expected, found {_summary(observed)}"
        case Exact() | Resampled() as expected:
            yield from image_differences(expected, observed.images)
            yield from _words_missing(expected, observed.images)
            yield from _refusals_differ(expected, observed)
            yield from _counts_differ(expected.counts, observed.study)


def image_differences(expected: Exact | Resampled, images: Sequence[Image]) -> Iterator[str]:
    """Say how the voxels of images differ from the volumes declared; every reader can be held against that."""
    numbers = sorted(image.volume for image in images)
    if len(images) != expected.volumes:
        yield f"{len(images)} volume{'s' * (len(images) != 1)} instead of {expected.volumes}"
        return
    if numbers != list(range(expected.volumes)):
        yield f"the values are those of volumes {numbers}"
        return
    for image in images:
        grid = expected.grid(image.volume)
        if isinstance(expected, Exact):
            fault = _not_exact(image, grid, expected)
        else:
            fault = _not_resampled(image, grid, expected.tolerance)
        if fault:
            yield f"volume {image.volume}: {fault}"


def _not_exact(image: Image, grid: Grid, expected: Exact) -> str | None:
    index = (image.grid.centres_mm - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    nearest = np.rint(index).astype(int)
    off_mm = float((np.abs(index - nearest) * np.linalg.norm(grid.affine[:3, :3], axis=0)).max())
    if sorted(image.array.shape) != sorted(grid.shape) or np.any(nearest < 0) or np.any(nearest >= grid.shape):
        corner = np.abs(image.grid.centres_mm[0, 0, 0] - grid.centres_mm).sum(axis=-1).min()
        return f"{image.array.shape} voxels are not those of {grid.shape}, the first is {corner:.2f} mm off"
    if off_mm > expected.off_mm + OFF_MM:
        return f"voxels are up to {off_mm:.3f} mm beside their places"
    wrong = np.abs(image.array - grid.codes(image.volume)[tuple(np.moveaxis(nearest, -1, 0))])
    if not wrong.max() <= expected.rounding * 1.001 + 0.01:
        share = np.mean(~(wrong <= expected.rounding * 1.001 + 0.01))
        return f"{share:.0%} of the values are wrong, by up to {wrong.max():.1f}"
    return None


def _not_resampled(image: Image, grid: Grid, tolerance: float) -> str | None:
    corners = grid.centres_mm[np.ix_((0, -1), (0, -1), (0, -1))].reshape(-1, 3)
    places = (corners - image.affine[:3, 3]) @ np.linalg.inv(image.affine[:3, :3]).T
    if np.any(places < -0.51) or np.any(places > np.array(image.array.shape) - 0.49):
        return f"{image.array.shape} voxels do not cover what was recorded"
    index = (image.grid.centres_mm - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    inside = np.all((index > -1e-4) & (index < np.array(grid.shape) - 1 + 1e-4), axis=-1)
    wrong = np.abs(image.array - image.grid.codes(image.volume))[inside]
    if inside.sum() < np.prod(grid.shape) / 2:
        return f"{inside.sum()} voxels stand for {np.prod(grid.shape)}"
    if not wrong.max() <= tolerance:
        return f"{np.mean(~(wrong <= tolerance)):.0%} of the values are wrong, by up to {wrong.max():.1f}"
    return None


def _words_missing(expected: Exact | Resampled, images: Sequence[Image]) -> Iterator[str]:
    for image in images:
        if isinstance(expected, Resampled) and not re.search(RESAMPLED, image.flags, re.IGNORECASE):
            yield f"volume {image.volume}: no flag says that it was resampled: {image.flags!r}"
        for word in expected.flags:
            if not re.search(word, image.flags, re.IGNORECASE):
                yield f"volume {image.volume}: no flag says {word!r}: {image.flags!r}"
        if expected.traits and image.volume in range(expected.volumes):
            word = expected.traits[image.volume]
            if not re.search(word, image.traits, re.IGNORECASE):
                yield f"volume {image.volume}: no trait says {word!r}: {image.traits!r}"


def _refusals_differ(expected: Exact | Resampled, observed: Observed) -> Iterator[str]:
    if observed.nothing:
        yield f"nothing eligible: {observed.nothing}"
    needed = list(expected.refused)
    for refusal in observed.refusals:
        if refusal.reason in needed:
            needed.remove(refusal.reason)
        elif refusal.reason not in expected.may_refuse:
            yield f"a stack is refused ({refusal.reason}): {refusal}"
    for reason in needed:
        yield f"no stack is refused as {reason}"


def _counts_differ(expected: Counts, study: Study | None) -> Iterator[str]:
    for name, number in vars(expected).items():
        if study and number is not None and getattr(study, name) != number:
            yield f"{name}: {number} expected, found {getattr(study, name)}"


def _summary(observed: Observed) -> str:
    if observed.nothing:
        return f"nothing eligible ({observed.nothing.reason})"
    refusals = [f"refused ({refusal.reason}): {refusal}" for refusal in observed.refusals]
    return " + ".join([f"{len(observed.images)} volumes", *refusals])
