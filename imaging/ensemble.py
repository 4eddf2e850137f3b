"""Several outputs as one, of an ensemble of networks or of an image and its mirror images: mean probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from imaging.sliding_window import Predict

Logits = npt.NDArray[np.float32]
SURE = np.float32(20.0)
"""Logits beyond are as good as certain; float32 cannot tell the probability from 0 or 1."""
LEAST = np.float32(np.exp(-SURE))


def mean_logits(members: Sequence[Logits]) -> Logits:
    """Return the logits of the mean probability of the members, which are arrays of one shape.

    A single member comes back as it is.
    """
    if len(members) == 1:
        return members[0]
    total = probability(members[0])
    for logits in members[1:]:
        total += probability(logits)
    return _logit(total / np.float32(len(members)))


def mirrored(predict: Predict, axes: Sequence[int]) -> Predict:
    """Return a function that averages over the image and the image mirrored along each axis of its own.

    axes  of a (slice, row, column) image: 0 for slices; an image with a channel axis before them, and the output, which
          always has one, are mirrored along the same axes of space
    """

    def both(image: npt.NDArray[np.float32]) -> Logits:
        found = [predict(image)]
        for axis in axes:
            turned = predict(np.ascontiguousarray(np.flip(image, axis - 3)))  # counted from the last, as space is
            found.append(np.flip(turned, axis - 3))
        return mean_logits(found)

    return both if axes else predict


def probability(logits: Logits) -> Logits:
    """Return the logistic function of logits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -SURE, SURE))), np.float32)


def _logit(chance: Logits) -> Logits:
    chance = np.clip(chance, LEAST, 1 - np.float32(1e-7))
    return np.asarray(np.log(chance) - np.log1p(-chance), np.float32)
