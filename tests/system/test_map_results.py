"""What comes out of an image is what comes out of the command, whatever lies beside the images of a study."""

import gc
import json
import shutil
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from imaging.write_pelvic_sample import write_pelvic_study
from maps.describe_app import describe_app
from tests.emulation.stored_study import as_gateway
from tests.system.command import copy_of

pytestmark = [pytest.mark.system, pytest.mark.servers]


@pytest.fixture
def run(docker, tmp_path):
    """Run the image of skull stripping as a host without a network does; the output may be that of an earlier run."""

    def start(study, name, *arguments, environment=()):
        output = tmp_path / name
        output.mkdir(exist_ok=True)
        output.chmod(0o777)
        command = ["run", "--rm", "--network", "none", "--user", "1000:1000", *(f"--env={one}" for one in environment)]
        command += ["-v", f"{study}:/data/in:ro", "-v", f"{output}:/data/out", docker.load("skull_strip"), *arguments]
        ended = docker(*command)
        assert ended.returncode == 0, ended.stderr
        return output

    return start


BY_ENVIRONMENT = ("HOLOSCAN_INPUT_PATH=/data/in", "HOLOSCAN_OUTPUT_PATH=/data/out")
BY_OPTIONS = ("-i", "/data/in", "-o", "/data/out", "-m", "/opt/holoscan/models")


def mask(output):
    return pydicom.dcmread(output / "seg.dcm").PixelData


def measured(output):
    return json.loads((output / "metadata.json").read_text())["measurements"]


def test_options_and_environment_give_the_same_result_and_options_win(run, small):
    """B1."""
    options = run(small, "options", *BY_OPTIONS, environment=("HOLOSCAN_INPUT_PATH=/nowhere",))
    environment = run(small, "environment", environment=BY_ENVIRONMENT)

    assert mask(options) == mask(environment)
    assert measured(options) == measured(environment)


def test_the_image_measures_what_the_command_measures(run, small, small_run):
    """The same voxels as outside of a container, with the same library and weights."""
    output = run(small, "out", environment=BY_ENVIRONMENT)

    inside, outside = (np.frombuffer(mask(folder), np.uint8) for folder in (output, small_run.output))
    assert np.unpackbits(inside ^ outside).sum() <= 1e-4 * np.unpackbits(outside).sum()


def test_what_lies_beside_the_images_changes_nothing(run, small, tmp_path):
    """B6: JSON beside each file, a DICOMDIR, an object without image, a second series that does not fit."""
    clean = run(small, "clean", environment=BY_ENVIRONMENT)
    crowded = crowd(small, tmp_path / "crowded")

    found = run(crowded, "found", environment=BY_ENVIRONMENT)

    assert mask(found) == mask(clean)
    assert measured(found) == measured(clean)


def crowd(study, folder):
    """Write a study as a gateway stores it, among everything else a study may hold."""
    as_gateway(study, folder)
    first = sorted(folder.rglob("*.dcm"))[0]
    other = pydicom.dcmread(first)
    other.SeriesInstanceUID, other.SeriesNumber, other.Modality = generate_uid(), 99, "CT"
    for name, classes in (("other", other.SOPClassUID), ("state", "1.2.840.10008.5.1.4.1.1.11.1")):
        other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = classes
        if name == "state":
            del other.PixelData
            other.Modality = "PR"
        other.save_as(first.parent / f"{name}.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a temporary folder that pydicom leaves to the collector
        members = FileSet()
        members.add(first)
        members.write(folder.parent / "media")
        del members
        gc.collect()
    shutil.copy(folder.parent / "media" / "DICOMDIR", folder)
    return folder


def test_a_second_run_takes_the_place_of_the_first(run, small, tmp_path):
    """B11: the same input into a folder that holds results; same UIDs, nothing of the first run is left over."""
    first = run(small, "out", environment=BY_ENVIRONMENT)
    before = {path.relative_to(first) for path in first.rglob("*")}
    uid = pydicom.dcmread(first / "seg.dcm").SOPInstanceUID

    again = run(copy_of(small, tmp_path / "copy"), "out", environment=BY_ENVIRONMENT)

    assert {path.relative_to(again) for path in again.rglob("*")} == before
    assert pydicom.dcmread(again / "seg.dcm").SOPInstanceUID == uid


def test_what_a_host_exports_is_dicom_of_the_same_patient(run, small):
    """C1: by name; Part 10; study and patient of the source; no number twice."""
    output = run(small, "out", environment=BY_ENVIRONMENT)
    source = pydicom.dcmread(next(path for path in small.rglob("*") if path.is_file()))

    exported = [pydicom.dcmread(path) for path in sorted(output.rglob("*.dcm"))]

    numbers = [one.SOPInstanceUID for one in exported]
    assert set(describe_app("skull_strip").deployment.always_writes) <= {path.name for path in output.glob("*.dcm")}
    assert len(set(numbers)) == len(numbers)
    assert {(one.StudyInstanceUID, one.PatientID) for one in exported} == {(source.StudyInstanceUID, source.PatientID)}
    assert all(len(one.SOPInstanceUID) <= 64 and one.file_meta.TransferSyntaxUID for one in exported)
    others = [path for path in output.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert [path for path in others if path.read_bytes()[128:132] == b"DICM"] == []


def test_sequences_of_another_frame_are_registered_in_the_image_too(docker, tmp_path):
    """As the command does it; nothing that only a developer's environment has is needed."""
    study, output = write_pelvic_study(tmp_path / "study"), tmp_path / "output"
    for path in study.rglob("*.dcm"):
        header = pydicom.dcmread(path)
        if "EP" in header.ScanningSequence:
            header.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.1"
            header.save_as(path)
    output.mkdir()
    output.chmod(0o777)
    mounts = ["-v", f"{study}:/data/in:ro", "-v", f"{output}:/data/out"]

    command = ["run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", *mounts]  # noqa: S108
    ended = docker(*command, docker.load("cervical_tumor"), *BY_OPTIONS, "--register")

    assert ended.returncode == 0, ended.stderr
    record = json.loads((output / "metadata.json").read_text())
    assert record["sequences"]["adc"]["registration"]["rotation_deg"] < 1
    assert np.linalg.norm(record["sequences"]["adc"]["registration"]["shift_of_centre_mm"]) < 1
