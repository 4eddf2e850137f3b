"""The types of pixels: how the position codes of the phantom become stored values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.dicom_cases.case import Exact
from tests.dicom_cases.phantom import PHANTOM, stored


@dataclass(frozen=True)
class Numbers:
    """How position codes become stored values."""

    dtype: type
    bits: int
    slope: str = "1"
    intercept: str = "0"

    def slices(self) -> np.ndarray:
        """Return the stored values of the phantom."""
        return stored(PHANTOM.codes(), self.slope, self.intercept, self.dtype)

    def attributes(self) -> dict[str, object]:
        """Return what the header says of them."""
        return {
            "BitsAllocated": np.dtype(self.dtype).itemsize * 8,
            "BitsStored": self.bits,
            "HighBit": self.bits - 1,
            "PixelRepresentation": int(np.issubdtype(self.dtype, np.signedinteger)),
            "RescaleSlope": self.slope,
            "RescaleIntercept": self.intercept,
        }

    def exact(self, lossy: int = 0) -> Exact:
        """Return the expectation; ``lossy`` is the largest difference that the coding makes to a stored value."""
        return Exact(rounding=float(self.slope) * (0.5 + lossy))


SIGNED_16 = Numbers(np.int16, 16, intercept="6000")
UNSIGNED_16 = Numbers(np.uint16, 16, slope="0.125")
SIGNED_12 = Numbers(np.int16, 12, intercept="6000")
UNSIGNED_12 = Numbers(np.uint16, 12, intercept="5000")
UNSIGNED_8 = Numbers(np.uint8, 8, slope="9", intercept="5600")
SIGNED_8 = Numbers(np.int8, 8, slope="9", intercept="6700")
KINDS = {"s16": SIGNED_16, "u16": UNSIGNED_16, "s12": SIGNED_12, "u12": UNSIGNED_12, "u8": UNSIGNED_8, "s8": SIGNED_8}
