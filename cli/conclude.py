"""The end of a run, once and in one of three ways: results, a verdict without results, or a signal."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.arguments import HostRules, Paths
from cli.describe_run import (
    app_facts,
    as_typed,
    cost_facts,
    failure_facts,
    mercure_result,
    success_facts,
    summary,
    without_paths,
)
from cli.handle_error import handle_error
from cli.hush import LOG, frames_of
from imaging.outcome import (
    ExitCode,
    NothingEligibleError,
    OutputError,
    Reason,
    SuiteError,
    TerminatedError,
    UsageError,
)
from imaging.publish import (
    RECORD,
    RESULT,
    Stage,
    discard,
    earlier_results,
    open_stage,
    publish,
    publish_verdict,
    result_names,
    staged,
)
from imaging.run_record import RunRecord

if TYPE_CHECKING:  # they import numpy, which has to wait until the process is prepared
    from imaging.app_card import AppCard
    from imaging.model_package import ModelPackage

ENDING = {signal.SIGTERM, signal.SIGINT}
NOT_SHOWN = (Reason.INTERNAL, Reason.MEMORY)


@dataclass
class Conclusion:
    """What is known of a run, filled while it goes on, and the ways to end it."""

    app: str
    typed: Paths  # as messages show them
    started: float
    rules: HostRules = field(default_factory=HostRules)
    record: RunRecord = field(default_factory=RunRecord)
    card: AppCard | None = None
    model: ModelPackage | None = None
    stage: Stage | None = None
    ending: threading.Lock = field(default_factory=threading.Lock)  # never released: a run ends once

    @property
    def paths(self) -> Paths:
        """The paths the run works with."""
        return self.typed.absolute()

    def succeed(self, stage: Stage) -> int:
        """Publish the results with their record and say what was found."""
        facts = {**self._app_facts(), **success_facts(self.record), **cost_facts(self.record, self.started)}
        try:
            staged(stage.folder, RESULT).write_text(_json(mercure_result(facts)))
            files = [name for name in result_names(stage) if name != RECORD]
            staged(stage.folder, RECORD).write_text(_json({**facts, "files": files}))
        except OSError as error:
            raise OutputError(
                f"The results cannot be written ({error.strerror}). Free space or choose another folder with -o."
            ) from error
        self.ending.acquire()  # from here on the results appear, whatever the host sends
        try:
            published = publish(stage)
        except OutputError:
            self.ending.release()
            raise
        seconds = time.perf_counter() - self.started
        sys.stdout.write(summary(self.record, len(published), self.typed.output, seconds))
        return int(ExitCode.DONE)

    def write_page(self, stage: Stage) -> None:
        """Write the page of a run into the stage, unless none is wanted."""
        from cli.write_page import write_page

        content = self.record.page
        if content is None or self.card is None:
            return
        with self.record.stage("write_page"):
            facts = {**self._app_facts(), **success_facts(self.record), **cost_facts(self.record, self.started)}
            write_page(stage, content, facts, self.paths.models / self.card.model)

    def fail(self, error: BaseException) -> int:
        """Say why there are no results, leave the verdict in the output folder, and return the exit code."""
        handled = handle_error(error, self.paths)
        self.ending.acquire()
        if handled.reason in NOT_SHOWN:
            LOG.debug("%s", frames_of(error))
        sys.stderr.write(f"{self.app}: {as_typed(str(handled), self.paths, self.typed)}\n")
        exit_code = self._exit_code(handled)
        if self._may_write(handled):
            self._leave_verdict(handled, exit_code)
        return exit_code

    def terminate(self) -> None:
        """End the process after a signal, unless results or a verdict are being published already.

        With results of an earlier run in the folder nothing is written: taking them away is not done in an instant.
        """
        if not self.ending.acquire(blocking=False):
            return
        handled = TerminatedError("Ended by a signal; no result was written.")
        try:
            if self.stage and not earlier_results(self.stage.output):
                self._leave_verdict(handled, int(handled.exit_code))
            elif self.stage:
                discard(self.stage)
            sys.stderr.write(f"{self.app}: {handled}\n")
            sys.stderr.flush()
        finally:  # whoever read standard error may be gone, and the main thread waits for its turn to end
            os._exit(int(handled.exit_code))

    def on_signal(self) -> None:
        """Have a thread wait for the host to end the run: the graph may be busy in C++."""

        def wait() -> None:
            signal.sigwait(ENDING)
            self.terminate()

        threading.Thread(target=wait, daemon=True).start()

    def _exit_code(self, handled: SuiteError) -> int:
        if self.rules.nothing_eligible_ok and isinstance(handled, NothingEligibleError):
            return int(ExitCode.DONE)
        return int(handled.exit_code)

    def _may_write(self, handled: SuiteError) -> bool:
        """Return whether the output folder is this run's; one that failed before it got that far asks for it now."""
        if isinstance(handled, UsageError) and self.stage:
            discard(self.stage)
            return False
        if self.stage is None and not isinstance(handled, UsageError | OutputError):
            try:
                self.stage = open_stage(self.paths.output)
            except OutputError:
                return False
        return self.stage is not None

    def _leave_verdict(self, handled: SuiteError, exit_code: int) -> None:
        if self.stage is None:
            return
        message = without_paths(str(handled), self.paths)
        facts = {
            **self._app_facts(),
            **failure_facts(handled, exit_code, message, self.record),
            **cost_facts(self.record, self.started),
            "files": [RESULT],
        }
        texts = {RESULT: _json(mercure_result(facts)), RECORD: _json(facts)}
        publish_verdict(self.stage, {} if self.rules.empty_on_failure and exit_code else texts)

    def _app_facts(self) -> dict[str, Any]:
        return app_facts(self.app, self.card, self.model)


def _json(facts: dict[str, Any]) -> str:
    return json.dumps(facts, indent=2) + "\n"
