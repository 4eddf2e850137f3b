"""All services together, and the one thread that keeps them going."""

import json
import subprocess
import time

from tests.emulation.gateway import Gateway
from tests.emulation.messages import TOPICS
from tests.emulation.queues import Queues, dead
from tests.emulation.task_manager import TaskManager
from tests.emulation.workflow_manager import WorkflowManager

MODALITY = "MODALITY"  # AE title of who sends studies


class Hospital:
    """Gateway, managers, store and PACS, configured by the files of a site."""

    def __init__(self, store, queues_url, pacs, folder):
        self.store, self.pacs, self.folder = store, pacs, folder
        self.queues = Queues(queues_url)
        self.gateway = Gateway(store, self.queues)
        self.manager = WorkflowManager(store, self.queues)
        self.tasks = TaskManager(store, self.queues, folder / "mdtm")

    def configure(self, script, timeout_s):
        """Run the site's script against the gateway; then shorten the timers, which are meant for a real PACS."""
        subprocess.run([script, self.gateway.rest.url], check=True, capture_output=True, text=True)
        self.gateway.rest.entities["source"][MODALITY] = {"aeTitle": MODALITY, "hostIp": "127.0.0.1"}
        for title in self.gateway.rest.titles.values():
            title["timeout"] = timeout_s

    def register(self, definition):
        """Register a workflow that takes studies of the tests' modality as well."""
        gateway = definition["informatics_gateway"]
        origins = [*gateway["data_origins"], MODALITY]
        changed = {**definition, "informatics_gateway": {**gateway, "data_origins": origins}}
        self.manager.register(changed, {body["aeTitle"] for body in self.gateway.rest.entities["source"].values()})

    def send(self, study, called, *options, sender=MODALITY):
        """Send a folder with dcmtk's storescu; options say which transfer syntax is proposed."""
        names = ["-aet", sender, "-aec", called]
        command = ["storescu", *names, *options, "127.0.0.1", str(self.gateway.port), "+sd", "+r", str(study)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def work(self, seconds, until=lambda: False):
        """Let the services work until a condition holds; an error after some seconds."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s; instances: {self.outcomes()}")
            steps = [service.step() for service in (self.gateway, self.manager, self.tasks)]
            if not any(steps):
                time.sleep(0.2)

    def work_to_the_end(self, instances, seconds=120):
        """Let the services work until so many instances of workflows have ended."""
        self.work(
            seconds, lambda: sum(one.status in ("Succeeded", "Failed") for one in self.manager.instances) >= instances
        )

    def outcomes(self):
        """Status of every task of every instance."""
        return {
            one.definition["name"]: {name: execution.status for name, execution in one.executions.items()}
            for one in self.manager.instances
        }

    def dead_letters(self):
        """Number of dead letters in every queue of them."""
        return {topic: self.queues.waiting(dead(topic)) for topic in TOPICS}

    def close(self):
        self.tasks.close()
        self.gateway.close()
        self.queues.close()


def load(path):
    """Parsed JSON of a file."""
    return json.loads(path.read_text())
