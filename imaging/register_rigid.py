"""Rigid registration of two images of one patient whose frames of reference differ: by their content.

SimpleITK: Mattes mutual information, Euler angles, two resolutions. One thread and a fixed seed make it repeatable.
An ADC map fits a T2w image better than diffusion-weighted images do: of a high b-value, too little is left of most
tissue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.outcome import Reason, RefusedError

if TYPE_CHECKING:
    import SimpleITK as sitk  # noqa: N813

Matrix = npt.NDArray[np.float64]

SEED = 20
BINS = 32
SAMPLED = 0.5
"""Part of the voxels of which the metric is computed."""
IN_PLANE_MM = 2.5
"""Finer images are brought to it: finer detail is noise to a rigid fit."""
SHRINK = (2, 1)
SMOOTH_MM = (3.0, 1.0)
STEPS, FIRST_STEP, LAST_STEP = 200, 1.0, 1e-3
LEAST_INFORMATION = 0.1
"""Mutual information that a fit needs, in nats. A b = 800 series of a real study fitted best, with 0.06, where it was
15 mm off; the ADC map of that study and phantoms fit rightly with 0.14 and more."""
MOST_DEGREES, MOST_MM = 30.0, 150.0
"""A patient lies between two scans of a study in about the same way; more is a wrong fit."""


@dataclass(frozen=True)
class Registration:
    """A moving image in the frame of reference of a fixed one."""

    moved: Volume  # same voxels, placed anew
    matrix: Matrix  # 4 x 4, LPS mm of the moving image to LPS mm of the fixed one
    start: str  # "header" or "centres": where the search began
    metric_before: float  # negative mutual information where the headers put the image; lower is better
    metric_after: float

    @property
    def rotation_deg(self) -> float:
        """Angle of the rotation about its own axis."""
        cosine = (np.trace(self.matrix[:3, :3]) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    @property
    def shift_mm(self) -> tuple[float, float, float]:
        """How the centre of the moving image moves: left, back, up."""
        centre = _centre(self.moved)
        before = np.linalg.inv(self.matrix) @ [*centre, 1]
        x, y, z = (float(value) for value in centre - before[:3])
        return x, y, z

    def facts(self) -> dict[str, Any]:
        """Return the result for the record."""
        return {
            "transform": "rigid",
            "metric": "Mattes mutual information, negative",
            "metric_before": round(self.metric_before, 5),
            "metric_after": round(self.metric_after, 5),
            "rotation_deg": round(self.rotation_deg, 3),
            "shift_of_centre_mm": [round(value, 3) for value in self.shift_mm],
            "start": self.start,
            "matrix_moving_to_fixed_mm": [[round(float(value), 6) for value in row] for row in self.matrix],
        }

    def summary(self) -> str:
        """Return one sentence on the result."""
        return (
            f"registered rigidly by its content: turned by {self.rotation_deg:.1f} degrees, shifted by "
            f"{float(np.linalg.norm(self.shift_mm)):.1f} mm, mutual information {-self.metric_before:.3f} before and "
            f"{-self.metric_after:.3f} after"
        )


def register_rigid(moving: Volume, fixed: Volume) -> Registration:
    """Return a moving image where its content fits that of a fixed image; the same for the same images.

    Raises RefusedError when the search ends nowhere, where no patient can have moved to, or at a fit that says too
    little for its place to be trusted.
    """
    with _one_thread():
        return _register(moving, fixed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of floats depend on how threads share the work; the setting is one of the process."""
    import SimpleITK as sitk  # noqa: N813  slow to import, and only this option needs it

    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def _register(moving: Volume, fixed: Volume) -> Registration:
    import SimpleITK as sitk  # noqa: N813

    fixed_image, moving_image = _image(fixed), _image(moving)
    method = _method()
    starts = {"header": sitk.Euler3DTransform(), "centres": _centres(fixed_image, moving_image)}
    metrics = {name: _metric(method, fixed_image, moving_image, start) for name, start in starts.items()}
    name = min(metrics, key=lambda key: metrics[key])
    if not np.isfinite(metrics[name]):
        raise _refusal("the images have no contrast, or nothing in common")
    transform = sitk.Euler3DTransform(starts[name])
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(fixed_image, moving_image)
    except RuntimeError as error:  # too few samples in the other image
        raise _refusal("the search left the image") from error
    after = _metric(method, fixed_image, moving_image, transform)
    if not after <= metrics[name]:
        transform, after = starts[name], metrics[name]
    matrix = np.asarray(np.linalg.inv(_matrix(transform)), np.float64)
    placed = Volume(
        moving.array, matrix @ moving.affine, "PATIENT", frame_of_reference_uid=fixed.frame_of_reference_uid
    )
    found = Registration(placed, matrix, name, metrics["header"], after)
    _refuse_misfit(found, _beyond_mm(found, starts[name]))
    return found


def _refuse_misfit(found: Registration, beyond_mm: float) -> None:
    if -found.metric_after < LEAST_INFORMATION:
        raise _refusal(
            f"its mutual information with the T2w series is {-found.metric_after:.3f} at best, and it lies right with "
            f"{LEAST_INFORMATION:g} or more only"
        )
    if found.rotation_deg > MOST_DEGREES or beyond_mm > MOST_MM:
        raise _refusal(f"it was {found.summary()}, which is more than a patient moves")


def _method() -> sitk.ImageRegistrationMethod:
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(FIRST_STEP, LAST_STEP, STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK)
    method.SetSmoothingSigmasPerLevel(SMOOTH_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


def _metric(
    method: sitk.ImageRegistrationMethod, fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform
) -> float:
    """Return the metric at a transform; infinite where the images do not meet."""
    method.SetInitialTransform(transform, inPlace=False)
    try:
        return float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:
        return float("inf")


def _centres(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    import SimpleITK as sitk  # noqa: N813

    geometry = sitk.CenteredTransformInitializerFilter.GEOMETRY
    return sitk.Euler3DTransform(sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), geometry))


def _image(volume: Volume) -> sitk.Image:
    """Return a volume as an ITK image, with pixels no finer than needed."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.asarray(volume.array, np.float32))
    image.SetDirection(volume.direction[:, ::-1].flatten().tolist())  # columns first
    image.SetSpacing([float(size) for size in volume.spacing[::-1]])
    image.SetOrigin([float(value) for value in volume.position])
    bins = [max(1, round(IN_PLANE_MM / size)) for size in volume.spacing[:0:-1]]
    return sitk.BinShrink(image, [*bins, 1])


def _matrix(transform: sitk.Transform) -> Matrix:
    """Return the 4 x 4 matrix of a rigid transform, from points of the fixed image to points of the moving one."""
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        unit = [float(axis == other) for other in range(3)]
        matrix[:3, axis] = np.array(transform.TransformPoint(unit)) - matrix[:3, 3]
    return matrix


def _beyond_mm(found: Registration, start: sitk.Transform) -> float:
    """Return how far the centre of the moving image lies from where the search began."""
    centre = np.array([*_centre(found.moved), 1.0])
    begun = np.linalg.inv(_matrix(start)) @ np.linalg.inv(found.matrix) @ centre
    return float(np.linalg.norm((centre - begun)[:3]))


def _centre(volume: Volume) -> npt.NDArray[np.float64]:
    return np.asarray(volume.map_indices_to_reference((np.array([volume.spatial_shape]) - 1) / 2)[0])


def _refusal(why: str) -> RefusedError:
    return RefusedError(
        f"Images in two frames of reference need a content that both show; this one does not fit: {why}. Send "
        "sequences of one examination, or run without it with --allow-missing.",
        Reason.OTHER_FRAME,
    )
