"""Print how the classifier does on the synthetic headers: python -m tests.imaging.classify_report"""

from __future__ import annotations

import sys
from collections import Counter

from imaging.classify_image import classify_image
from tests.imaging.build_header import VendorHeader
from tests.imaging.vendor_headers import VENDOR_HEADERS


def wrong_facts(case: VendorHeader) -> list[str]:
    """Say what is wrong in the answer on one header; an empty list when nothing is."""
    kind = classify_image(case.dataset())
    expected = {"weighting": case.expected, **case.facts}
    found = {name: getattr(kind, name) for name in expected}
    return [
        f"{case.name}: {name} {found[name]}, expected {expected[name]} ({kind.evidence[0]})"
        for name in expected
        if found[name] != expected[name]
    ]


def confusion() -> Counter[tuple[str, str]]:
    """Count expected and found weightings."""
    return Counter((case.expected.value, classify_image(case.dataset()).weighting.value) for case in VENDOR_HEADERS)


def report() -> str:
    """Return the confusion table, one row for each weighting, and what is wrong."""
    counts = confusion()
    names = sorted({name for pair in counts for name in pair})
    rows = []
    for expected in names:
        found = ", ".join(f"{counts[expected, name]} {name}" for name in names if counts[expected, name])
        if found:
            rows.append(f"{expected:22} -> {found}")
    right = sum(number for (expected, found), number in counts.items() if expected == found)
    wrong = [line for case in VENDOR_HEADERS for line in wrong_facts(case)]
    return "\n".join((*rows, f"{right} of {counts.total()} right", *wrong))


if __name__ == "__main__":
    sys.stdout.write(report() + "\n")
