"""A bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from typing import TextIO

STAGES = 12
WIDTH = 24


class Progress:
    """Shows the stage that runs; silent when the stream is not a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.shown = stream.isatty()
        self.done = 0

    def begin(self, stage: str) -> None:
        """Show that a stage begins."""
        if self.shown:
            filled = min(WIDTH, WIDTH * self.done // STAGES)
            self.stream.write(f"\r\x1b[K[{'#' * filled}{'.' * (WIDTH - filled)}] {stage}")
            self.stream.flush()
        self.done += 1

    def end(self) -> None:
        """Clear the line."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
