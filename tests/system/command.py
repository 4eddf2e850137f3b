"""The command as a process of its own, on small synthetic studies."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imaging.write_sample import write_head_study
from tests.html_judge import without_pictures

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "cli.main"]
SMALL = {"shape": (40, 48, 44), "spacing_mm": (5.0, 4.75, 4.25)}
"""A head in few slices: the whole way in two seconds."""
IDENTITY = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "ZZTESTNAME^Иванова=山田^花子",
    "PatientID": "ZZID4711",
    "PatientBirthDate": "19010203",
    "PatientComments": "ZZCOMMENT",
    "AccessionNumber": "ZZACC9",
    "InstitutionName": "ZZHOSP",
    "StationName": "ZZSTATION",
    "ReferringPhysicianName": "ZZREFERRER^Σωκράτης",
    "OperatorsName": "ZZOPERATOR",
    "StudyID": "ZZSTUDYID",
    "StudyDate": "18991231",
    "SeriesDate": "18991231",
    "AcquisitionDate": "18991231",
    "StudyTime": "224455.137",
    "SeriesTime": "224455.137",
    "StudyDescription": "ZZSTUDYTEXT",
    "SeriesDescription": "t1 ZZSERIESTEXT",
    "ProtocolName": "t1 ZZPROTOCOL",
    "ImageComments": "ZZIMAGETEXT",
    "StudyInstanceUID": "1.2.826.0.4711.1",
    "SeriesInstanceUID": "1.2.826.0.4711.2",
    "FrameOfReferenceUID": "1.2.826.0.4711.3",
}
VERDICT = ["metadata.json", "result.json"]
"""What a run without results leaves."""
SECRETS = (
    "ZZ", "Иванова", "山田", "花子", "Σωκράτης", "2.826.0.4711",
    "19010203", "1901-02-03", "18991231", "1899-12-31", "224455", "22:44:55",
)  # fmt: skip
"""What no run may say: words of IDENTITY, of names of files below the input, and how dates and times may be written."""


def identify(header, number: int) -> None:
    """Give a header a patient, a study and UIDs that can be found again wherever they are said."""
    for keyword, value in IDENTITY.items():
        setattr(header, keyword, value)
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.4711.4.{number + 1}"


def name_after_patient(study: Path) -> None:
    """Give files and a folder of a study the name of the patient, as some archives do."""
    files = [path for path in study.iterdir() if path.is_file()] if study.is_dir() else []
    for path in files:
        (study / "ZZFOLDER Иванова").mkdir(exist_ok=True)
        path.rename(study / "ZZFOLDER Иванова" / f"ZZFILE^JANE_{path.name}")


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it left in its output folder."""

    code: int
    stdout: str
    stderr: str
    output: Path

    @property
    def record(self) -> dict[str, Any]:
        """The content of metadata.json."""
        return json.loads((self.output / "metadata.json").read_text())

    @property
    def files(self) -> set[str]:
        """Relative paths of the files in the output folder."""
        return {path.relative_to(self.output).as_posix() for path in self.output.rglob("*") if path.is_file()}

    @property
    def overlays(self) -> set[str]:
        """The pictures with outlines among them."""
        return {name for name in self.files if name.startswith("overlays/")}


def spoken(ended: Ended) -> dict[str, str]:
    """Everything a run says, and all it writes but the DICOM files."""
    written = {name: ended.output / name for name in ended.files if not name.endswith(".dcm")}
    return {
        "stdout": ended.stdout,
        "stderr": ended.stderr,
        "file names": " ".join(ended.files),
        **{name: _text_of(path) for name, path in written.items()},
    }


def identifying(ended: Ended) -> list[tuple[str, str]]:
    """Each secret that a run says, and where; in plain letters or as escapes."""
    return [
        (place, secret)
        for place, text in spoken(ended).items()
        for secret in SECRETS
        for form in {secret, json.dumps(secret)[1:-1], quote(secret), repr(secret.encode())[2:-1]}
        if form in text
    ]


def _text_of(path: Path) -> str:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8", "replace")
    return without_pictures(text) if path.suffix == ".html" else text


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without the variables the command reads, and some more."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("HOLOSCAN_", "MONAI_"))}
    return {**ours, "PYTHONPATH": str(ROOT), **(extra or {})}


def monai_deploy(*arguments: object, output: Path = Path("no output"), env=None, cwd: Path = ROOT) -> Ended:
    """Run the command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr, output)


def execute(study: Path, output: Path, models: Path, *more: object, app: object = "skull_strip") -> Ended:
    """Run an application on a study."""
    return monai_deploy("exec", app, "-i", study, "-o", output, "-m", models, *more, output=output)


SPOILED = """\
import sys
from contextlib import contextmanager
from pathlib import Path
from cli.main import main
from imaging.run_record import RunRecord

at, statement, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
whole = RunRecord.stage
@contextmanager
def spoiled(self, name):
    with whole(self, name):
        if name == at:
            exec(statement)
        yield
RunRecord.stage = spoiled
sys.exit(main(arguments))
"""


def execute_spoiled(
    stage: str, statement: str, study: Path, output: Path, models: Path, *more: object, app: str = "skull_strip"
) -> Ended:
    """Run an application in which a statement is executed as a stage begins."""
    arguments = (stage, statement, "exec", app, "-i", study, "-o", output, "-m", models, *more)
    done = subprocess.run(
        [sys.executable, "-c", SPOILED, *map(str, arguments)], cwd=ROOT, env=environment(), capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr, output)


def start(*arguments: object) -> subprocess.Popen:
    """Start the command; SIGINT is as in a terminal, also where the tests themselves run in the background."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=ROOT, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def small_study(folder: Path, seed: int = 0) -> Path:
    """Write a small head study."""
    return write_head_study(folder, **SMALL, seed=seed)


def written_sample(app: str, folder: Path) -> Path:
    """Write the sample of an application with the command, and return its folder."""
    ended = monai_deploy("sample", app, folder)
    assert ended.code == 0, ended.stderr
    return folder


def copy_of(study: Path, folder: Path) -> Path:
    """Copy a study, to be changed."""
    return Path(shutil.copytree(study, folder))
