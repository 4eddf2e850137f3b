"""An operator without a graph around it."""

import importlib
import warnings

from cli.environment import preload_cuda_runtime
from imaging.run_record import RunRecord


def operator_module(name: str):
    """A module of operators; Holoscan warns of the stack size when it is imported."""
    preload_cuda_runtime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"operators.{name}")


class Ports(dict):
    """Input and output of an operator in one: what it emits is found under the name of the port."""

    receive = dict.__getitem__

    def emit(self, value, port):
        """Keep a value under the name of its port."""
        self[port] = value


def ran(kind: type, ports: Ports, **attributes: object) -> tuple[Ports, RunRecord]:
    """The ports and the record after an operator of these attributes ran."""
    step = kind.__new__(kind)
    for name, value in {"record": RunRecord(), **attributes}.items():
        setattr(step, name, value)
    step.step(ports, ports)
    return ports, step.record
