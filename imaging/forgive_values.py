"""Values that do not fit their VR: pydicom raises or warns, quoting them, wherever an attribute is first asked for.

After ``forgive()`` such a value is its bytes, its VR is UN, and nothing is said.
"""

from __future__ import annotations

import warnings
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.hooks import hooks, raw_element_value, raw_element_vr

from imaging.read_values import UNREADABLE

FAULTS = (*UNREADABLE, RecursionError, OSError)


def forgive() -> None:
    """Let pydicom convert values with these functions from now on."""
    hooks.register_callback("raw_element_vr", forgiving_vr)
    hooks.register_callback("raw_element_value", forgiving_value)


def forgiving_vr(raw: RawDataElement, data: dict[str, Any], **options: Any) -> None:
    """Find the VR of an element; UN where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw_element_vr(raw, data, **options)
    except FAULTS:
        data["VR"] = "UN"


def forgiving_value(raw: RawDataElement, data: dict[str, Any], **options: Any) -> None:
    """Convert the value of an element; leave its bytes where they are no such value."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw_element_value(raw, data, **options)
            if data["VR"] == "SQ" and not all(isinstance(item, Dataset) for item in data["value"]):
                raise TypeError("no sequence")
    except FAULTS:
        data["VR"], data["value"] = "UN", raw.value or b""
