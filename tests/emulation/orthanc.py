"""Debian's Orthanc as the PACS: authentication on, DICOM from known peers on the loopback interface only."""

import base64
import contextlib
import json
import os
import urllib.error
import urllib.request
from io import BytesIO

import pydicom

from tests.emulation.processes import free_port, server

USER, PASSWORD = "clinic", "loopback-only"
PEERS = ("MONAISCU", "MODALITY")


@contextlib.contextmanager
def running_orthanc(folder, lua=(), stable_age_s=1, env=None):
    """A running Orthanc whose files are in a folder."""
    folder.mkdir(parents=True)
    http, dicom = free_port(), free_port()
    config = {
        "Name": "tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomAlwaysAllowStore": False,
        "DicomAlwaysAllowEcho": False,
        "DicomCheckModalityHost": True,
        "DicomModalities": {name: [name, "127.0.0.1", 104] for name in PEERS},
        "StableAge": stable_age_s,
        "LuaScripts": [os.fspath(path) for path in lua],
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    command = ["Orthanc", str(folder / "orthanc.json")]
    with server(command, folder / "orthanc.log", [http, dicom], {**os.environ, **(env or {})}):
        yield Orthanc(http, dicom, folder / "orthanc.log")


class Orthanc:
    """Its two ports, and what its REST API says."""

    def __init__(self, http, dicom, log):
        self.url, self.dicom, self.log = f"http://127.0.0.1:{http}", dicom, log

    def call(self, path, method="GET"):
        """Answer to a request with the right password."""
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Basic {token}"}, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.read()

    def get(self, path):
        """Parsed answer."""
        return json.loads(self.call(path))

    def clear(self):
        """Forget everything."""
        for study in self.studies():
            self.call(f"/studies/{study}", "DELETE")

    def datasets(self):
        """Every instance as a data set."""
        return [pydicom.dcmread(BytesIO(self.call(f"/instances/{one}/file"))) for one in self.get("/instances")]

    def refuses_strangers(self):
        """Whether a request without a password is refused."""
        try:
            urllib.request.urlopen(self.url + "/system", timeout=30)  # noqa: S310
        except urllib.error.HTTPError as error:
            return error.code == 401
        return False

    def studies(self):
        return self.get("/studies")

    def series(self):
        """Modality and number of instances of every series, sorted."""
        return sorted((one["MainDicomTags"]["Modality"], len(one["Instances"])) for one in self.get("/series?expand"))

    def modalities(self):
        """Modalities of all series, each once."""
        return {modality for modality, _ in self.series()}
