"""How building, saving and running images fails."""

from __future__ import annotations

from imaging.outcome import SuiteError


class BuildError(SuiteError):
    """An image cannot be built, saved or run: the message says what was needed, what was found and what to do."""
