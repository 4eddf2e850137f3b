"""The receiving half of the gateway: a C-STORE SCP that takes any transfer syntax and groups instances by study."""

import threading
import time
import uuid
from dataclasses import dataclass, field
from io import BytesIO

import pydicom
from pydicom.uid import AllTransferSyntaxes, UncompressedTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from tests.emulation.messages import MODALITIES
from tests.emulation.stored_study import as_json, path_of

NOT_RECOGNISED = {"source": 3, "destination": 7}  # reasons of A-ASSOCIATE-RJ, PS3.8 Table 9-21
SUCCESS, CANNOT_STORE = 0x0000, 0xC000


@dataclass
class Payload:
    """Instances of one study, until the timer has run out."""

    calling: str
    called: str
    modality: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    files: dict[str, bytes] = field(default_factory=dict)  # by upload path: DICOM and its JSON
    last: float = field(default_factory=time.monotonic)


class Receiver:
    """A running SCP; AE titles and sources are dictionaries that may change while it runs."""

    def __init__(self, port, titles, sources):
        self.titles, self.sources = titles, sources
        self.open, self.lock = {}, threading.Lock()
        ae = AE("GATEWAY")
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, [*UncompressedTransferSyntaxes, *AllTransferSyntaxes])
        ae.add_supported_context(Verification)
        handlers = [(evt.EVT_REQUESTED, self._request), (evt.EVT_C_STORE, self._store)]
        self.server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)

    def _request(self, event):
        request = event.assoc.requestor.primitive
        unknown = None
        if request.called_ae_title.strip() not in self.titles:
            unknown = "destination"
        elif request.calling_ae_title.strip() not in {body["aeTitle"] for body in self.sources.values()}:
            unknown = "source"
        if unknown:
            event.assoc.acse.send_reject(0x01, 0x01, NOT_RECOGNISED[unknown])
            event.assoc.kill()

    def _store(self, event):
        request = event.assoc.requestor.primitive
        content = event.encoded_dataset()  # with the transfer syntax it came in
        header = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
        path = f"dcm/{path_of(header)}"
        called = request.called_ae_title.strip()
        group = header[self.titles[called]["grouping"].replace(",", "")].value
        with self.lock:
            if group not in self.open:  # whatever the AE title: what follows joins the first one's payload
                modality = str(header.get("Modality", ""))
                self.open[group] = Payload(request.calling_ae_title.strip(), called, modality)
            payload = self.open[group]
            payload.files |= {path: content, f"{path}.json": as_json(header).encode()}
            payload.last = time.monotonic()
        return SUCCESS

    def complete(self):
        """Payloads whose timer has run out; they are no longer open."""
        with self.lock:
            now = time.monotonic()
            ready = [
                group
                for group, payload in self.open.items()
                if now - payload.last > self.titles[payload.called]["timeout"]
            ]
            return [self.open.pop(group) for group in ready]

    def close(self):
        self.server.shutdown()


def artifact_type(modality):
    """Number of a modality in messages."""
    return MODALITIES.get(modality, 0)
