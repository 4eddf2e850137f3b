"""Rigid registration of two images of one patient whose frames of reference differ: by their content.

Mutual information climbed by steps of one length along its gradient, halved where it turns (the regular steps of ITK),
first smoothed, then finer. The same images give the same result. An ADC map fits a T2w image better than
diffusion-weighted images do: of a high b-value, too little is left of most tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy.spatial.transform import Rotation

from imaging.mutual_information import MutualInformation
from imaging.outcome import Reason, RefusedError

Matrix = npt.NDArray[np.float64]

IN_PLANE_MM = 2.5
"""Finer images are brought to it: finer detail is noise to a rigid fit."""
SMOOTH_MM, POINTS = (3.0, 1.0), (20_000, 40_000)
STEPS, FIRST_STEP_MM, LAST_STEP_MM = 200, 4.0, 0.01
ARM_MM = 60.0
"""Where a turn counts as far as a shift: about half of what both images show."""
LEAST_INFORMATION = 0.12
"""Mutual information that a fit needs, in nats; decision 0015 says where it lies."""
MOST_DEGREES, MOST_MM = 30.0, 150.0
"""A patient lies between two scans of a study in about the same way; more is a wrong fit."""


@dataclass(frozen=True)
class Registration:
    """A moving image in the frame of reference of a fixed one."""

    moved: Volume  # same voxels, placed anew
    matrix: Matrix  # 4 x 4, LPS mm of the moving image to LPS mm of the fixed one
    start: str  # "header" or "centres": where the search began
    before: float  # mutual information in nats where the headers put the image; not a number where they do not meet
    after: float

    @property
    def rotation_deg(self) -> float:
        """Angle of the rotation about its own axis."""
        return float(np.degrees(Rotation.from_matrix(self.matrix[:3, :3]).magnitude()))

    @property
    def shift_mm(self) -> tuple[float, float, float]:
        """How the centre of the moving image moves: left, back, up."""
        centre = _centre(self.moved)
        x, y, z = (centre - _at(np.linalg.inv(self.matrix), centre)).tolist()
        return x, y, z

    def facts(self) -> dict[str, Any]:
        """Return the result for the record."""
        return {
            "transform": "rigid",
            "information_before_nats": None if np.isnan(self.before) else round(self.before, 5),
            "information_after_nats": round(self.after, 5),
            "rotation_deg": round(self.rotation_deg, 3),
            "shift_of_centre_mm": [round(value, 3) for value in self.shift_mm],
            "start": self.start,
            "matrix_moving_to_fixed_mm": [[round(float(value), 6) for value in row] for row in self.matrix],
        }

    def summary(self) -> str:
        """Return one sentence on the result."""
        before = "none before" if np.isnan(self.before) else f"{self.before:.3f} before"
        return (
            f"registered rigidly by its content: turned by {self.rotation_deg:.1f} degrees, shifted by "
            f"{float(np.linalg.norm(self.shift_mm)):.1f} mm, mutual information {before} and {self.after:.3f} after"
        )


def register_rigid(moving: Volume, fixed: Volume) -> Registration:
    """Return a moving image where its content fits that of a fixed image; the same for the same images.

    Raises RefusedError when the images do not meet, where no patient can have moved to, or at a fit that says too
    little for its place to be trusted.
    """
    coarse = _shrunk(fixed), _shrunk(moving)
    levels = [
        MutualInformation.of(*coarse, smooth_mm=smooth, count=count)
        for smooth, count in zip(SMOOTH_MM, POINTS, strict=True)
    ]
    starts = {"header": np.eye(4), "centres": _shift(_centre(moving) - _centre(fixed))}
    told = {name: levels[0].at(start) for name, start in starts.items()}
    name = max(told, key=lambda key: np.nan_to_num(told[key], nan=-np.inf))
    transform = starts[name]
    for level in levels:
        transform = _climb(level, transform, _centre(fixed))
    matrix = np.asarray(np.linalg.inv(transform), np.float64)
    placed = Volume(
        moving.array, matrix @ moving.affine, "PATIENT", frame_of_reference_uid=fixed.frame_of_reference_uid
    )
    found = Registration(placed, matrix, name, levels[-1].at(starts["header"]), levels[-1].at(transform))
    begun = _at(np.linalg.inv(starts[name]), _centre(moving))
    _refuse_misfit(found, float(np.linalg.norm(_centre(placed) - begun)))
    return found


def _climb(information: MutualInformation, transform: Matrix, centre_mm: Matrix) -> Matrix:
    """Return the transform with the most information on the way up from one."""
    best, most, before, step_mm = transform, -np.inf, np.zeros(6), FIRST_STEP_MM
    for _ in range(STEPS):
        told, rise = information.rising(transform, _at(transform, centre_mm))
        if told > most:
            best, most = transform, told
        rise = rise / ([ARM_MM] * 3 + [1] * 3)
        length = float(np.linalg.norm(rise))
        step_mm *= 0.5 if rise @ before < 0 else 1.0
        if length == 0 or step_mm < LAST_STEP_MM:
            break
        transform, before = _moved(transform, rise * (step_mm / length), centre_mm), rise
    return best


def _moved(transform: Matrix, by: Matrix, centre_mm: Matrix) -> Matrix:
    """Return a transform followed by a small turn, in mm at the arm, about where it puts a point, and a shift."""
    about = _at(transform, centre_mm)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(by[:3] / ARM_MM).as_matrix()
    return np.asarray(_shift(about + by[3:]) @ turn @ _shift(-about) @ transform)


def _refuse_misfit(found: Registration, beyond_mm: float) -> None:
    if np.isnan(found.after):
        raise _refusal("the images have nothing in common")
    if found.after < LEAST_INFORMATION:
        raise _refusal(
            f"its mutual information with the T2w series is {max(found.after, 0):.3f} at best, and it lies right with "
            f"{LEAST_INFORMATION:g} or more only"
        )
    if found.rotation_deg > MOST_DEGREES or beyond_mm > MOST_MM:
        raise _refusal(f"it was {found.summary()}, which is more than a patient moves")


def _shrunk(volume: Volume) -> Volume:
    """Return a volume with pixels no finer than needed: means of blocks within slices."""
    _, rows, columns = (max(1, round(IN_PLANE_MM / size)) for size in volume.spacing)
    slices, height, width = volume.spatial_shape
    whole = np.asarray(volume.array[:, : height // rows * rows, : width // columns * columns], np.float32)
    array = whole.reshape(slices, height // rows, rows, width // columns, columns).mean((2, 4))
    affine = volume.affine @ np.diag([1.0, rows, columns, 1.0])
    affine[:3, 3] = _at(volume.affine, np.array([0, (rows - 1) / 2, (columns - 1) / 2]))
    return Volume(array, affine, "PATIENT")


def _shift(by_mm: Matrix) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = by_mm
    return matrix


def _at(matrix: npt.ArrayLike, point: npt.ArrayLike) -> Matrix:
    return np.asarray((np.asarray(matrix) @ [*np.asarray(point), 1.0])[:3], np.float64)


def _centre(volume: Volume) -> Matrix:
    return _at(volume.affine, (np.array(volume.spatial_shape) - 1) / 2)


def _refusal(why: str) -> RefusedError:
    return RefusedError(
        f"Images in two frames of reference need a content that both show; this one does not fit: {why}. Send "
        "sequences of one examination, or run without it with --allow-missing.",
        Reason.OTHER_FRAME,
    )
