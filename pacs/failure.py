"""What keeps the demonstration from starting."""

from __future__ import annotations


class DemoError(Exception):
    """What was needed, what was found, what to do."""
