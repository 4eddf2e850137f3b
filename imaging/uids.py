"""Deterministic UIDs: the same input, application and weights give the same UIDs, so a re-run replaces."""

from __future__ import annotations

from uuid import UUID, uuid5

from pydicom.uid import UID

NAMESPACE = UUID("5c1e2c4e-8a53-4d2e-9c5e-3f0f6c3b7d10")


def derived_uid(*parts: str) -> UID:
    """Return a UID made of the given parts (PS3.5 B.2: 2.25 and a UUID as an integer).

    >>> derived_uid("a", "b") == derived_uid("a", "b") != derived_uid("ab")
    True
    """
    return UID(f"2.25.{uuid5(NAMESPACE, chr(0).join(parts)).int}")
