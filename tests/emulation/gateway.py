"""The Informatics Gateway: payloads to the store and the broker, exports to the PACS."""

from datetime import UTC, datetime
from io import BytesIO

import pydicom
from pydicom.errors import InvalidDicomError
from pynetdicom import AE

from tests.emulation.gateway_rest import Rest
from tests.emulation.messages import (
    DIMSE,
    EXPORT,
    EXPORTED,
    FILE_SERVICE_ERROR,
    FILE_SUCCESS,
    FILE_UNSUPPORTED,
    GATEWAY,
    REQUEST,
)
from tests.emulation.processes import free_port
from tests.emulation.receive import Receiver, artifact_type
from tests.emulation.store import BUCKET

SCU = "MONAISCU"


class Gateway:
    """Receives, groups, stores, asks for workflows, exports."""

    def __init__(self, store, queues):
        self.store, self.queues = store, queues
        self.port = free_port()
        self.rest = Rest(free_port())
        self.receiver = Receiver(self.port, self.rest.titles, self.rest.entities["source"])

    def step(self):
        """Publish what is complete, export what is asked for; return whether there was something."""
        complete = self.receiver.complete()
        for payload in complete:
            self._publish(payload)
        return self.queues.handle(EXPORT, self._export) or bool(complete)

    def _publish(self, payload):
        for path, content in payload.files.items():
            self.store.put(f"{payload.id}/{path}", content)
        paths = [path for path in payload.files if path.endswith(".dcm")]
        origin = {
            "dataService": DIMSE,
            "source": payload.calling,
            "destination": payload.called,
            "artifactType": artifact_type(payload.modality),
        }
        body = {
            "payload_id": payload.id,
            "workflows": self.rest.titles[payload.called]["workflows"],
            "file_count": len(paths),
            "correlation_id": payload.correlation_id,
            "bucket": BUCKET,
            "trigger": origin,
            "data_origins": [origin],
            "timestamp": datetime.now(UTC).isoformat(),
            "workflow_instance_id": None,
            "task_id": None,
            "payload": [{"path": path, "metadata": f"{path}.json"} for path in paths],
        }
        self.queues.publish(REQUEST, body, GATEWAY, payload.correlation_id)

    def _export(self, request):
        statuses = {}
        for destination in request["destinations"]:
            at = self.rest.entities["destination"][destination]
            for key in request["files"]:
                statuses[key] = send(self.store.get(key), at)
        failed = sum(status != FILE_SUCCESS for status in statuses.values())
        body = {
            "workflow_instance_id": request["workflow_instance_id"],
            "export_task_id": request["export_task_id"],
            "status": "Success" if not failed else "Failure" if failed == len(statuses) else "PartialFailure",
            "message": "",
            "file_statuses": statuses,
            "Target": None,
        }
        self.queues.publish(EXPORTED, body, GATEWAY, request["correlation_id"])

    def close(self):
        self.receiver.close()
        self.rest.close()


def send(content, destination):
    """Send one file in one association, in its own transfer syntax; only status 0 is a success."""
    try:
        dataset = pydicom.dcmread(BytesIO(content))
    except InvalidDicomError:
        return FILE_UNSUPPORTED
    ae = AE(SCU)
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate(destination["hostIp"], destination["port"], ae_title=destination["aeTitle"])
    if not association.is_established:
        return FILE_SERVICE_ERROR
    try:
        status = association.send_c_store(dataset)
    finally:
        association.release()
    return FILE_SUCCESS if status and status.Status == 0 else FILE_SERVICE_ERROR
