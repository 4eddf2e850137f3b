"""The distribution of a measure over a cohort, as a drawing in the page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from imaging.cohort import LIMIT, Measure
from imaging.html_parts import Html, element

WIDTH, HEIGHT, FOOT = 240, 70, 16
"""Of the drawing in its own units; below the bars stands the scale."""
MOST_BARS = 24


def histogram(measure: Measure) -> Html:
    """Return bars for how many runs have which values, those that stand out marked, and the same in words."""
    counts, edges = np.histogram(measure.values, bins=bins_of(measure.values))
    high, low, span = int(counts.max()), float(edges[0]), float(edges[-1] - edges[0])
    wide = WIDTH / len(counts)
    bars = []
    for at, count in enumerate(counts):
        middle = float(edges[at] + edges[at + 1]) / 2
        tall = HEIGHT * int(count) / high
        out = abs(measure.z(middle)) > LIMIT
        bars.append(
            element(
                "rect",
                x=f"{at * wide + 0.5:.1f}",
                y=f"{HEIGHT - tall:.1f}",
                width=f"{wide - 1:.1f}",
                height=f"{max(tall, 2.0 if count else 0.0):.1f}",
                class_="out" if out else "in",
            )
        )
    middle_at = WIDTH * (measure.median - low) / span if span else WIDTH / 2
    median = element("line", x1=f"{middle_at:.1f}", x2=f"{middle_at:.1f}", y1="0", y2=str(HEIGHT), class_="median")
    scale = [
        element("text", f"{edges[0]:.4g}", x="0", y=str(HEIGHT + FOOT - 3)),
        element("text", f"{edges[-1]:.4g}", x=str(WIDTH), y=str(HEIGHT + FOOT - 3), text_anchor="end"),
    ]
    said = told(measure)
    drawing = element("svg", *bars, median, *scale, viewBox=f"0 0 {WIDTH} {HEIGHT + FOOT}", role="img", aria_label=said)
    return element("figure", drawing, element("figcaption", said), class_="chart")


def told(measure: Measure) -> str:
    """Return a distribution in words.

    >>> told(Measure(name="volume (mL)", values=(1.0, 2.0, 4.0), median=2.0, sigma=None))
    'Volume (mL): 3 runs, median 2, from 1 to 4'
    """
    values = measure.values
    name = measure.name[0].upper() + measure.name[1:]
    quarters = statistics.quantiles(values, n=4) if len(values) >= 4 else None
    middle = f", middle half {quarters[0]:.4g} to {quarters[2]:.4g}" if quarters else ""
    out = sum(abs(measure.z(value)) > LIMIT for value in values)
    standing = f", {out} standing out" if out else ""
    return (
        f"{name}: {len(values)} runs, median {measure.median:.4g}{middle}, from {min(values):.4g} to {max(values):.4g}"
        + (standing)
    )


def bins_of(values: Sequence[float]) -> int:
    """Return a number of bars that suits so many values: the square root of it, as a spreadsheet has it.

    >>> bins_of([1.0] * 9), bins_of(range(5000))
    (4, 24)
    """
    return int(min(MOST_BARS, max(4, np.ceil(len(values) ** 0.5))))
