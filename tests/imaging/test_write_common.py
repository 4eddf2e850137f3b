"""How an object reaches the disk, and what is said when it does not."""

import errno
import os
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag, tag_in_exception

from cli.arguments import Paths
from cli.handle_error import handle_error
from imaging.outcome import OutputError, Reason
from imaging.write_common import save_dicom


def test_a_disk_that_fills_within_an_element_is_called_full(tmp_path, monkeypatch):
    """pydicom raises the system's error anew for each element and sequence around it, as text alone."""

    def full(*_args, **_named):
        with tag_in_exception(Tag("SharedFunctionalGroupsSequence")), tag_in_exception(Tag("PixelData")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Dataset, "save_as", full)

    with pytest.raises(OutputError, match=r"seg\.dcm cannot be written \(No space left on device\)") as refused:
        save_dicom(Dataset(), tmp_path / "seg.dcm")
    assert handle_error(refused.value, Paths(Path(), tmp_path, Path(), "INFO")).reason == Reason.DISK_FULL
