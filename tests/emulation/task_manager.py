"""The Task Manager with its docker plug-in: a task is a container, and its exit code is nobody's business."""

import shutil
import subprocess
import time
from dataclasses import dataclass

from tests.emulation import engine, plug_in
from tests.emulation.messages import CALLBACK, DISPATCH, DOCKER, TASK_MANAGER, UPDATE
from tests.emulation.plug_in import bind

REQUIRED = ("server_url", "entrypoint", "command", "container_image", "temp_storage_container_path")
WORKDIR = "env_MONAI_WORKDIR"
ENDED = ("exited", "dead")
DEFAULT_MINUTES = 5


@dataclass
class Running:
    """A container that is watched."""

    event: dict
    identity: str
    outputs: dict
    until: float


class TaskManager:
    """Runs what is dispatched; ``temporary`` is HOST_TEMP_STORAGE."""

    def __init__(self, store, queues, temporary):
        self.store, self.queues, self.temporary = store, queues, temporary
        self.running, self.ended, self.events = [], [], {}

    def step(self):
        """Take a message, look after containers; return whether there was something."""
        worked = self.queues.handle(DISPATCH, self._dispatch) or self.queues.handle(CALLBACK, self._callback)
        for one in list(self.running):
            if engine.state(one.identity)["Status"] in ENDED:
                self._finish(one)
                worked = True
            elif time.monotonic() > one.until:
                self.running.remove(one)  # no upload, no callback: the manager's own time-out will end the task
                self.ended.append(one)
        return worked

    def _dispatch(self, event):
        self.events[event["execution_id"]] = event
        try:
            self._check(event)
            identity, outputs = self._run(event)
        except (engine.EngineError, OSError, ValueError, subprocess.CalledProcessError) as error:
            self._update(event, "Failed", "PluginError", str(error))
            return
        minutes = event["task_plugin_arguments"].get("task_timeout_minutes", "")
        seconds = 60 * (int(minutes) if minutes.isdigit() else DEFAULT_MINUTES)
        self.running.append(Running(event, identity, outputs, time.monotonic() + seconds))
        self._update(event, "Accepted", "None", "")

    def _check(self, event):
        arguments = event["task_plugin_arguments"]
        names = [*REQUIRED, *(storage["name"] for storage in (*event["inputs"], *event["outputs"]))]
        for name in names:
            if name not in arguments:
                raise ValueError(f"parameter or mapping is missing: {name}")

    def _run(self, event):
        arguments = event["task_plugin_arguments"]
        folder = self.temporary / event["execution_id"]
        mounts = [*self._inputs(event, folder / "inputs")]
        outputs = {}
        for storage in event["outputs"]:
            host = folder / "outputs" / storage["name"]
            host.mkdir(parents=True)
            mounts.append(bind(host, arguments[storage["name"]], read_only=False))
            outputs[storage["relative_root_path"]] = host
        if WORKDIR in arguments:
            (folder / "temp").mkdir(parents=True)
            mounts.append(bind(folder / "temp", arguments[WORKDIR], read_only=False))
        if user := arguments.get("user"):
            subprocess.run(["chown", "-R", user, str(folder)], check=True)
        return plug_in.start(event["execution_id"], arguments, mounts), outputs

    def _inputs(self, event, folder):
        for storage in event["inputs"]:
            root = storage["relative_root_path"]
            keys = self.store.keys(root)
            for key in keys:
                path = folder / storage["name"] / key.replace(root, "").lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.store.get(key))
            if keys:  # no object, no mount: the image's own folder is seen
                yield bind(folder / storage["name"], event["task_plugin_arguments"][storage["name"]], read_only=True)

    def _finish(self, one):
        self.running.remove(one)
        self.ended.append(one)
        for root, host in one.outputs.items():
            for path in (path for path in sorted(host.rglob("*")) if path.is_file()):
                dicom = path.suffix == ".dcm"
                self.store.put(
                    f"{root}/{path.relative_to(host).as_posix()}",
                    path.read_bytes(),
                    "application/dicom" if dicom else "application/octet-stream",
                )
        event = one.event
        body = {**ids(event), "identity": one.identity, "metadata": {}, "outputs": event["outputs"]}
        self.queues.publish(CALLBACK, body, DOCKER, event["correlation_id"])

    def _callback(self, callback):
        ended = engine.state(callback["identity"])["Status"] in ENDED  # the exit code is not asked for
        status, reason = ("Succeeded", "None") if ended else ("Failed", "Unknown")
        self._update(self.events[callback["execution_id"]], status, reason, "", callback["outputs"])

    def _update(self, event, status, reason, message, outputs=()):
        body = {
            **ids(event),
            "status": status,
            "taskStats": {},
            "reason": reason,
            "message": message,
            "metadata": {},
            "outputs": list(outputs),
        }
        self.queues.publish(UPDATE, body, TASK_MANAGER, event["correlation_id"])

    def close(self):
        """Remove containers and folders, which the plug-in leaves."""
        for one in (*self.running, *self.ended):
            engine.remove(one.identity)
        shutil.rmtree(self.temporary, ignore_errors=True)


def ids(event):
    """What every message about a task begins with."""
    return {name: event[name] for name in ("workflow_instance_id", "task_id", "execution_id", "correlation_id")}
