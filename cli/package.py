"""``monai-deploy package``: build the container images of applications."""

from __future__ import annotations

import argparse

from maps import build

add_arguments = build.add_arguments


def run(options: argparse.Namespace) -> int:
    """Build what the options ask for."""
    return build.run(options)
