"""The grey window an image is shown in: that of its series where it shows the image, else one made from its values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from imaging.image_attributes import shown_inverted
from imaging.read_values import numbers, words
from imaging.scale_intensity import PERCENTILES, intensity_window, scale_intensity
from imaging.to_volume import SourceImage

OF_SERIES = "window of the series"
OF_VALUES = f"window from percentile {PERCENTILES[0]} to {PERCENTILES[1]} of the image"
SHOWN_CONTRAST = 0.3
"""Part of the grey scale that must lie between the 1st and the 99th percentile of an image."""
SATURATED = 0.2
"""Largest part of an image that may be white: a window of another series, or of one bright slice, makes more so."""
SAMPLES = 200_000


@dataclass(frozen=True)
class GreyWindow:
    """Values shown from black to white, or from white to black."""

    low: float
    high: float
    basis: str  # where it comes from, as a phrase
    inverted: bool = False  # low values are white

    @property
    def black(self) -> float:
        """A value that is shown black."""
        return self.high if self.inverted else self.low

    def grey(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Return values as grey from 0 to 255.

        >>> GreyWindow(0, 200, "lung window").grey(np.array([-5, 100, 400], np.float32))
        array([  0, 128, 255], dtype=uint8)
        """
        grey = np.asarray(np.rint(255 * scale_intensity(values, (self.low, self.high))), np.uint8)
        return 255 - grey if self.inverted else grey


LUNG_WINDOW = GreyWindow(-1350.0, 150.0, "lung window")
"""In HU; the window of a series may be made for what lies between the lungs."""


def grey_window(source: SourceImage, wanted: GreyWindow | None = None) -> GreyWindow:
    """Return the window of the middle frame of a series where it shows the image, else one from percentiles.

    Windows of a series often differ from slice to slice; pictures of one series need one window, to be compared.
    Where the frame asks for it, low values are white.

    wanted  window instead of that of the series
    """
    header = source.frames[len(source.frames) // 2].header
    found = wanted or stated_window(header)
    if found is None or not (wanted or shows(found, source.volume.array)):
        found = value_window(source.volume.array)
    return as_asked(found, header)


def as_asked(window: GreyWindow, header: Dataset) -> GreyWindow:
    """Return a window that shows low values white where a header asks for it, whatever the window."""
    return (
        replace(window, basis=f"{window.basis}, low values white", inverted=True) if shown_inverted(header) else window
    )


def value_window(array: npt.NDArray[np.float32]) -> GreyWindow:
    """Return the window between two percentiles of an image."""
    low, high = intensity_window(array)
    return GreyWindow(low, high, OF_VALUES)


def stated_window(header: Dataset) -> GreyWindow | None:
    """Return the first window that a header states, None without a usable one (PS3.3 C.11.2.1.2).

    >>> header = Dataset()
    >>> header.WindowCenter, header.WindowWidth = ["40", "-600"], ["400", "1500"]
    >>> stated_window(header).low, stated_window(header).high
    (-160.0, 239.0)
    """
    centres, widths = numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    if not centres or not widths or not math.isfinite(centres[0]):
        return None
    function = words(header, "VOILUTFunction") or ["LINEAR"]
    if function[0] == "LINEAR" and 1 < widths[0] < math.inf:
        middle, half = centres[0] - 0.5, (widths[0] - 1) / 2
    elif function[0] == "LINEAR_EXACT" and 0 < widths[0] < math.inf:
        middle, half = centres[0], widths[0] / 2
    else:  # a sigmoid, or a width of no meaning
        return None
    return GreyWindow(middle - half, middle + half, OF_SERIES)


def shows(window: GreyWindow, array: npt.NDArray[np.float32]) -> bool:
    """Return whether an image in a window is neither nearly even nor white in a large part."""
    flat = array.reshape(-1)
    grey = scale_intensity(flat[:: max(1, flat.size // SAMPLES)], (window.low, window.high))
    dark, bright = np.percentile(grey, (1, 99))
    return bool(bright - dark >= SHOWN_CONTRAST and np.mean(grey >= 1) <= SATURATED)
