"""Base of every operator here: it times its step in the record of the run."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Operator

from imaging.run_record import RunRecord


class Step(Operator):
    """An operator that runs once; subclasses declare ports in ``setup`` and do one call in ``step``."""

    def __init__(self, fragment: Any, *args: Any, record: RunRecord, **kwargs: Any) -> None:
        self.record = record
        super().__init__(fragment, *args, **kwargs)  # calls setup()

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Run the step under its name."""
        with self.record.stage(self.name):
            self.step(op_input, op_output)

    def step(self, op_input: Any, op_output: Any) -> None:
        """Receive, call one function, emit."""
        raise NotImplementedError
