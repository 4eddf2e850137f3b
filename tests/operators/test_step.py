"""What becomes of an error inside an operator on its way through Holoscan; each graph is a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GRAPH = """
import json, sys
from cli.environment import prepare_process
prepare_process("DEBUG")
from cli.defer_imports import defer_imports
defer_imports()
from concurrent.futures import ThreadPoolExecutor
from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application
from holoscan import schedulers
from cli.arguments import Paths
from cli.handle_error import handle_error
from imaging.outcome import *
from imaging.run_record import RunRecord
from operators.step import Step
from pathlib import Path

def fail():
    STATEMENT

class Bad(Step):
    def step(self, op_input, op_output):
        if sys.argv[2] == "pool":
            with ThreadPoolExecutor() as pool:
                pool.submit(fail).result()
        fail()

class Graph(Application):
    def compose(self):
        self.add_operator(Bad(self, CountCondition(self, 1), record=RunRecord(), name="bad"))

graph = Graph()
if sys.argv[1] != "GreedyScheduler":
    graph.scheduler(getattr(schedulers, sys.argv[1])(graph, worker_thread_number=2))
try:
    graph.run()
except BaseException as error:
    handled = handle_error(error, Paths(Path("/i"), Path("/o"), Path("/m"), "WARN"))
    print(json.dumps([type(handled).__name__, handled.reason, str(handled)]))
"""
SCHEDULERS = (
    "GreedyScheduler",  # the usual one
    pytest.param("EventBasedScheduler", marks=pytest.mark.system),
    pytest.param("MultiThreadScheduler", marks=pytest.mark.system),
)


def ended(statement, scheduler="GreedyScheduler", thread="own"):
    """What a graph ends in whose operator does this, and all that was said meanwhile."""
    script = GRAPH.replace("STATEMENT", statement)
    done = subprocess.run(
        [sys.executable, "-c", script, scheduler, thread], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return tuple(json.loads(done.stdout.splitlines()[-1])), done.stdout + done.stderr


@pytest.mark.parametrize("thread", ["own", pytest.param("pool", marks=pytest.mark.system)])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_handled_error_keeps_its_kind_reason_and_message(scheduler, thread):
    end, _ = ended("raise RefusedError('it leans by 3 mm', Reason.TILT)", scheduler, thread)

    assert end == ("RefusedError", "tilt", "it leans by 3 mm")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_text_of_an_unforeseen_error_is_nowhere_at_any_level(scheduler):
    end, said = ended("raise ValueError('Doe^' + 'Jane')", scheduler)

    assert end[:2] == ("InternalError", "internal")
    assert "Doe^Jane" not in said
    assert "ValueError in bad" in said  # Holoscan does log what is raised: the level is high enough to see it


@pytest.mark.parametrize(
    ("statement", "kind", "reason"),
    [
        ("raise MemoryError", "InternalError", "memory"),
        ("raise KeyboardInterrupt", "TerminatedError", "terminated"),
        ("open('/i/Doe/1.dcm')", "RefusedError", "input_changed"),
    ],
)
def test_other_causes_are_told_apart_behind_holoscan(statement, kind, reason):
    end, _ = ended(statement)

    assert end[:2] == (kind, reason)
