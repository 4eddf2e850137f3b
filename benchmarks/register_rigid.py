"""How near and how fast a rigid registration ends, against SimpleITK's, in one run.

    python benchmarks/register_rigid.py [--study DICOM_FOLDER] [--repeat 12]

Four synthetic pelves (the procedural phantom of the sample), or a study whose sequences share one frame of reference,
which then is the truth: the ADC map, and the diffusion-weighted images, are displaced at random by up to 10 degrees
about each axis and 20 mm along each, and registered to the T2w images. The error is that of the worst of eight points
around the middle. README.md says how to read it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import SimpleITK as sitk  # noqa: N813
from highdicom import Volume
from scipy.spatial.transform import Rotation

from imaging import register_rigid
from imaging.load_study import load_study
from imaging.pelvic_sequences import resolve_pelvis
from imaging.to_volume import to_volume
from imaging.write_pelvic_sample import ADC, AXIAL_T2W, DWI, PelvicSeries, series_affine, series_pixels

Register = Callable[[Volume, Volume], tuple[np.ndarray, float]]
MOST_DEGREES, MOST_MM = 10.0, 20.0


def ours(moving: Volume, fixed: Volume) -> tuple[np.ndarray, float]:
    """Return matrix and mutual information of the suite's registration; a poor fit is not refused here."""
    with mock.patch.object(register_rigid, "_refuse_misfit"):
        found = register_rigid.register_rigid(moving, fixed)
    return found.matrix, found.after


def simple_itk(moving: Volume, fixed: Volume) -> tuple[np.ndarray, float]:
    """Return matrix and mutual information of SimpleITK's: Mattes, regular steps, the same resolutions and starts."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    images = _image(fixed), _image(moving)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.5, 20)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel((2, 1))
    method.SetSmoothingSigmasPerLevel((3.0, 1.0))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    geometry = sitk.CenteredTransformInitializerFilter.GEOMETRY
    centres = sitk.Euler3DTransform(sitk.CenteredTransformInitializer(*images, sitk.Euler3DTransform(), geometry))
    transform = min(sitk.Euler3DTransform(), centres, key=lambda start: _metric(method, images, start))
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(*images)
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = np.array(transform.TransformPoint(np.eye(3)[axis].tolist())) - matrix[:3, 3]
    return np.linalg.inv(matrix), -_metric(method, images, transform)


def _metric(method: sitk.ImageRegistrationMethod, images: tuple[sitk.Image, ...], start: sitk.Transform) -> float:
    method.SetInitialTransform(start, inPlace=False)
    try:
        return float(method.MetricEvaluate(*images))
    except RuntimeError:  # the images do not meet
        return float("inf")


def _image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.asarray(volume.array, np.float32))
    image.SetDirection(volume.direction[:, ::-1].flatten().tolist())
    image.SetSpacing([float(size) for size in volume.spacing[::-1]])
    image.SetOrigin([float(value) for value in volume.position])
    return sitk.BinShrink(image, [*(max(1, round(2.5 / size)) for size in volume.spacing[:0:-1]), 1])


def phantoms() -> Iterator[tuple[str, Volume, Volume]]:
    """Yield a name, the moving and the fixed image of synthetic pelves."""
    for seed in range(4):
        t2w, adc, dwi = (_drawn(series, seed) for series in (AXIAL_T2W, ADC, DWI))
        yield f"synthetic pelvis {seed}, ADC", adc, t2w
        yield f"synthetic pelvis {seed}, diffusion", dwi, t2w


def _drawn(series: PelvicSeries, seed: int) -> Volume:
    """Return one series of a synthetic pelvis; of several b-values the highest."""
    pixels = series_pixels(series, seed)
    return Volume(pixels.reshape(-1, *series.shape)[-1].astype(np.float32), series_affine(series), "PATIENT")


def study(folder: Path) -> Iterator[tuple[str, Volume, Volume]]:
    """Yield the same of a study."""
    found = resolve_pelvis(load_study(folder))
    t2w = to_volume(found.t2w.stack).volume
    yield "study, ADC", to_volume(found.adc.selection.stack).volume, t2w
    yield f"study, diffusion, b = {found.b_value:.0f}", to_volume(found.dwi.selection.stack).volume, t2w


def displacements(count: int) -> list[np.ndarray]:
    """Return random rigid transforms, the same each time."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        matrix = np.eye(4)
        turn = rng.uniform(-MOST_DEGREES, MOST_DEGREES, 3)
        matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
        matrix[:3, 3] = rng.uniform(-MOST_MM, MOST_MM, 3)
        found.append(matrix)
    return found


def error_mm(left: np.ndarray, fixed: Volume) -> float:
    """Return how far a transform that should be none moves the worst of eight points half-way to the corners."""
    corners = np.array(np.meshgrid(*[(0.25, 0.75)] * 3)).reshape(3, -1).T * (np.array(fixed.spatial_shape) - 1)
    points = corners @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]
    return float(np.linalg.norm(points @ left[:3, :3].T + left[:3, 3] - points, axis=1).max())


def measured(register: Register, moving: Volume, fixed: Volume, count: int) -> str:
    """Return a row of the table: median and largest error, the range of the information, CPU seconds of one."""
    errors, told, begun = [], [], time.process_time()
    for displacement in displacements(count):
        placed = Volume(moving.array, displacement @ moving.affine, "PATIENT")
        matrix, information = register(placed, fixed)
        errors.append(error_mm(matrix @ displacement, fixed))
        told.append(information)
    seconds = (time.process_time() - begun) / count
    return f"{np.median(errors):.1f} | {max(errors):.1f} | {min(told):.3f} to {max(told):.3f} | {seconds:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, help="a pelvic study (default: synthetic pelves)")
    parser.add_argument("--repeat", type=int, default=12, help="displacements of each image (%(default)s)")
    options = parser.parse_args()
    print("| moving image | by | error, median, mm | worst, mm | information, nats | CPU s |")
    print("|---|---|---:|---:|---:|---:|")
    for name, moving, fixed in study(options.study) if options.study else phantoms():
        for by, register in (("this suite", ours), ("SimpleITK", simple_itk)):
            print(f"| {name} | {by} | {measured(register, moving, fixed, options.repeat)} |", flush=True)


if __name__ == "__main__":
    main()
