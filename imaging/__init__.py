"""Pure functions and frozen dataclasses of medical imaging: no SDK, no torch."""
