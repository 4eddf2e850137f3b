"""Texts of libraries, which quote attribute values, reach no stream; each case is a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.hush import frames_of

ROOT = Path(__file__).parents[2]
NAME = "Иванов^Иван Doe"
CASES = {
    "a warning": "import warnings; warnings.warn(NAME)",
    "a warning while all are shown": "import warnings; warnings.simplefilter('always'); warnings.warn(NAME)",
    "a library's logger": "import logging; logging.getLogger('library').critical(NAME)",
    "the root logger": "import logging; logging.critical(NAME)",
    "pydicom debugging": "import pydicom; pydicom.config.debug(True); pydicom.config.logger.critical(NAME)",
    "pydicom's reader debugging": (
        "import io, pydicom; pydicom.config.debug(True)\n"
        "d = pydicom.Dataset(); d.PatientName = 'Doe'; f = io.BytesIO()\n"
        "pydicom.dcmwrite(f, d, implicit_vr=True, little_endian=True); f.seek(0)\n"
        "assert pydicom.dcmread(f, force=True).PatientName == 'Doe'"
    ),
    "an invalid value": "import pydicom; pydicom.Dataset().PatientBirthDate = NAME",
    "a logger set up later": "import logging; logging.basicConfig(level=0); logging.getLogger('x').error(NAME)",
    "an error nobody caught": "raise ValueError(NAME)",
    "an error in a thread": "import threading; t = threading.Thread(target=int, args=(NAME,)); t.start(); t.join()",
    "an error in a finalizer": "class A:\n    def __del__(self): raise ValueError(NAME)\nA()",
}


@pytest.mark.parametrize("level", ["DEBUG", pytest.param("WARN", marks=pytest.mark.system)])
@pytest.mark.parametrize("statement", CASES.values(), ids=CASES)
def test_no_text_of_a_library_is_shown(statement, level):
    script = f"NAME = {NAME!r}\nfrom cli.hush import hush_libraries\nhush_libraries({level!r})\n{statement}"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "Иванов" not in done.stdout + done.stderr
    assert "Doe" not in done.stdout + done.stderr


@pytest.mark.parametrize(("level", "shown"), [("DEBUG", True), ("INFO", True), ("WARN", False)])
def test_the_suite_itself_is_heard_at_its_level(level, shown):
    script = f"from cli.hush import LOG, hush_libraries\nhush_libraries({level!r})\nLOG.info('segment')"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ("segment" in done.stderr) == shown


def test_an_error_is_told_by_its_frames_and_those_of_its_causes():
    try:
        try:
            int("Doe")
        except ValueError as error:
            raise KeyError("Doe^Jane") from error
    except KeyError as error:
        told = frames_of(error)

    assert told.index("ValueError") < told.index("led to") < told.rindex("KeyError")
    assert "Doe^Jane" not in told.replace('raise KeyError("Doe^Jane")', "")  # the line of code itself is shown
