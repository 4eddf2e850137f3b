"""Keep texts of libraries off the terminal: they quote attribute values, patient names among them.

What is said comes from this suite alone, at any level: messages of handled errors, names of stages, and, of an
unforeseen error, its type and the places in the code it came through.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

LOG = logging.getLogger("map_suite")
"""The only logger that is heard."""
DEAF = ("pydicom", "highdicom")  # pydicom's own switch for debugging gives its logger a level and a handler


def hush_libraries(level: str) -> None:
    """Hear the suite's logger at a level and no other one; show no warning and no text of an error nobody caught."""
    logging.basicConfig(handlers=[logging.NullHandler()])  # a later basicConfig does nothing
    for name in DEAF:
        logging.getLogger(name).disabled = True
    LOG.setLevel(level)
    LOG.propagate = False
    if not LOG.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        LOG.addHandler(handler)
    warnings.simplefilter("ignore")
    warnings.showwarning = _say_nothing
    logging.captureWarnings(capture=False)
    sys.excepthook = lambda _kind, error, trace: _say_where(error, trace)
    threading.excepthook = lambda args: _say_where(args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _say_where(args.exc_value, args.exc_traceback)


def where(error: BaseException | None, trace: TracebackType | None = None) -> str:
    """Return type and place of an error: all of it that may be said.

    >>> where(ValueError("Doe^Jane"))
    'ValueError'
    """
    frames = traceback.extract_tb(trace or (error.__traceback__ if error else None))
    place = f" in {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def frames_of(error: BaseException) -> str:
    """Return type and frames of an error and of its causes: lines of code, no values."""
    told = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
    cause = error.__cause__ or error.__context__
    return f"{frames_of(cause)}\nled to\n{told}" if cause else told


def _say_where(error: BaseException | None, trace: TracebackType | None) -> None:
    sys.stderr.write(f"internal error, {where(error, trace)}\n")


def _say_nothing(*_args: Any, **_kwargs: Any) -> None:
    return
