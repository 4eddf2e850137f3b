"""``python -m pacs [STUDY]``: a PACS, a viewer and the suite between them, until Ctrl-C.

Orthanc receives a study by DICOM; the receiver runs the applications on it and stores what they find; the OHIF viewer
shows it in the browser. Everything listens on loopback and is removed at the end.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from imaging.suite import RESEARCH_USE
from pacs.failure import DemoError
from pacs.fetch_viewer import fetch_viewer
from pacs.orthanc import AE_TITLE, USER, run_orthanc
from pacs.ports import LOOPBACK
from pacs.receive import Receiver
from pacs.send import send, write_samples
from pacs.serve import serve_viewer

VIEWER = Path(__file__).parents[1] / ".viewer"
POLL_S = 0.5


def main() -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    options = _parse()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="pacs-demo-") as folder:
            _run(options, Path(folder))
    except KeyboardInterrupt:
        _say("Stopped; its data are removed.")
    except DemoError as error:
        sys.stderr.write(f"pacs-demo: {error}\n")
        return 1
    except ConnectionError:
        sys.stderr.write("pacs-demo: Orthanc answers no longer. Start again.\n")
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pacs", description=f"PACS and viewer. {RESEARCH_USE}")
    parser.add_argument(
        "study", metavar="STUDY", nargs="?", type=Path, help="folder of DICOM files (default: the synthetic studies)"
    )
    parser.add_argument("--port", type=int, default=8077, help="of the viewer on loopback; 0: a free one (8077)")
    parser.add_argument("--dicom-port", type=int, default=11112, help="of the PACS on loopback; 0: a free one (11112)")
    return parser.parse_args()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the program, once: what is being cleaned up is not to be interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, folder: Path) -> None:
    _say(RESEARCH_USE)
    viewer = fetch_viewer(VIEWER, _say)
    with run_orthanc(folder, options.dicom_port) as orthanc, serve_viewer(viewer, orthanc, options.port) as address:
        _say(f"PACS    DICOM {LOOPBACK}:{orthanc.dicom_port}, AE title {AE_TITLE}")
        _say(f"        http://{LOOPBACK}:{orthanc.http_port}/ (Orthanc; user {USER}, password {orthanc.password})")
        _say(f"Viewer  {address}")
        study = options.study
        if study is None:
            study = folder / "samples"
            write_samples(study)
        send(study, orthanc)
        _say(f"Sent    {len(orthanc.json('/studies'))} studies; results follow as they are found. Ctrl-C ends it.")
        receiver = Receiver(orthanc, folder)
        while True:
            for ended in receiver.poll():
                _say(f"Study {ended.study}  {ended.app}: {ended.outcome}, {ended.stored} objects stored")
            time.sleep(POLL_S)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
