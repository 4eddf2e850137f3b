"""Several sequences of one study as the channels of one image on the grid of a network."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from highdicom import ChannelDescriptor, Volume

from imaging.align_sequences import AlignedSequences
from imaging.model_package import ModelInput
from imaging.outcome import NothingEligibleError, Reason, RefusedError
from imaging.resample import model_geometry, resample
from imaging.scale_intensity import intensity_window

Channel = npt.NDArray[np.float32]
SEQUENCE = ChannelDescriptor("Sequence", is_custom=True, value_type=str)
"""What the channels of a prepared image stand for."""


def prepare_sequences(aligned: AlignedSequences, wanted: ModelInput, *, full_grid: bool = False) -> Volume:
    """Return the aligned sequences as one image, (slice, row, column, channel) float32, as ``prepare_volumes`` does."""
    volumes = {"T2w": aligned.source.volume, "DWI": aligned.dwi, "ADC": aligned.adc}
    return prepare_volumes(volumes, wanted, full_grid=full_grid)


def prepare_volumes(volumes: Mapping[str, Volume | None], wanted: ModelInput, *, full_grid: bool = False) -> Volume:
    """Return volumes of one grid as one image, (slice, row, column, channel) float32, on the grid of the model.

    volumes    under the names of ``wanted.sequences``; those that are there share one grid, and are 0 beyond what they
               show
    full_grid  whether the grid has the model's largest size, whatever the volumes need

    The grid is centred on the volumes, which lose what a longer axis has too much. Each channel is normalised on its
    own; one of a sequence that is not there is 0 throughout. Raises NothingEligibleError when a sequence is missing
    that the model cannot do without, RefusedError when one has no contrast.
    """
    present = {name: volume for name in wanted.sequences if (volume := volumes.get(name)) is not None}
    _refuse_missing(present, wanted)
    for name, volume in present.items():
        _refuse_no_contrast(name, volume.array)
    multiple = wanted.maximum if full_grid else wanted.multiple
    first = next(iter(present.values()))
    grid = model_geometry(first, wanted.spacing_mm, multiple, wanted.maximum, orientation=wanted.orientation)
    channels = np.zeros((len(wanted.sequences), *grid.shape), np.float32)
    for at, name in enumerate(wanted.sequences):
        if name in present:
            coarse = resample(present[name], grid).array
            channels[at] = normalise(coarse, seen_in(coarse))
    return Volume(
        np.moveaxis(channels, 0, -1),  # a view: the network takes the channels first
        grid.affine,
        "PATIENT",
        frame_of_reference_uid=grid.frame_of_reference_uid,
        channels={SEQUENCE: list(wanted.sequences)},
    )


def seen_in(channel: Channel) -> npt.NDArray[np.bool_]:
    """Return where a sequence was acquired: what is exactly 0 lies outside, or was masked."""
    return np.asarray(channel != 0)


def normalise(channel: Channel, seen: npt.NDArray[np.bool_]) -> Channel:
    """Return an array less its mean and divided by its deviation over what was seen; 0, the mean, elsewhere.

    So neither padding nor the part of the grid that a small field of view leaves empty changes it. An array without
    contrast becomes 0.

    >>> normalise(np.array([[[0, 1, 3]]], np.float32), np.array([[[False, True, True]]])).tolist()
    [[[0.0, -1.0, 1.0]]]
    """
    result = np.zeros(channel.shape, np.float32)
    values = channel[seen]
    deviation = float(values.std(dtype=np.float64)) if values.size else 0.0
    if deviation > 0:
        result[seen] = (values - np.float32(values.mean(dtype=np.float64))) / np.float32(deviation)
    return result


def _refuse_missing(present: Collection[str], wanted: ModelInput) -> None:
    missing = [name for name in wanted.sequences if name not in present]
    needed = [name for name in missing if name not in wanted.may_be_absent]
    if needed or not present:
        found = ", ".join(present) or "none of them"
        raise NothingEligibleError(
            f"The model needs {', '.join(wanted.sequences)}, without {', '.join(needed or missing)} it does not work; "
            f"found {found}. Send the whole study, or use a model that was trained with sequences left out."
        )


def _refuse_no_contrast(name: str, array: Channel) -> None:
    seen = array[seen_in(array)]
    low, high = intensity_window(seen) if seen.size else (0.0, 0.0)
    if not high > low:
        raise RefusedError(
            f"A {name} image with contrast is needed; nearly every voxel of the series holds one value, {low:g}. "
            "Send the acquired series.",
            Reason.NO_CONTRAST,
        )
