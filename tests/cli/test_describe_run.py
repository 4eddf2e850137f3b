import json
from pathlib import Path

import pytest

from cli.arguments import Paths
from cli.describe_run import as_typed, failure_facts, mercure_result, success_facts, without_paths
from imaging.outcome import NothingEligibleError, Reason, RefusedError
from imaging.run_record import RunRecord

HOME = Path("/home/Doe")
TYPED = Paths(input=Path("study"), output=Path("out"), models=Path("/models"), level="WARN")
ABSOLUTE = Paths(input=HOME / "study", output=HOME / "study" / "out", models=Path("/models"), level="WARN")


def test_a_message_shows_paths_as_they_were_typed():
    message = f"{HOME}/study/out is full, {HOME}/study/x cannot be read, {HOME}/study-2 is another folder."

    assert as_typed(message, ABSOLUTE, TYPED) == (
        f"out is full, study/x cannot be read, {HOME}/study-2 is another folder."
    )


def test_a_written_message_shows_what_paths_are_for():
    message = f"The weights /models/brain/model.ts are missing; {HOME}/study/out."

    assert without_paths(message, ABSOLUTE) == (
        "The weights the folder of models/brain/model.ts are missing; the output folder."
    )


def test_the_root_folder_is_not_replaced():
    root = Paths(input=Path("/"), output=Path("/"), models=Path("/"), level="WARN")

    assert without_paths("cut 1/2", root) == "cut 1/2"


def failed(error):
    return failure_facts(error, int(error.exit_code), str(error), RunRecord())


def test_a_failure_has_the_keys_of_the_workflow_managers_handled_exceptions():
    facts = failed(RefusedError("leans", Reason.TILT))

    assert (facts["exception"], facts["exception_message"]) == ("RefusedError", "leans")


def test_a_success_has_no_exception():
    assert not {"exception", "exception_message", "reason"} & success_facts(RunRecord()).keys()


def test_facts_are_plain_json():
    facts = failed(NothingEligibleError("none"))

    assert json.loads(json.dumps(facts)) == facts
    assert (type(facts["outcome"]), type(facts["reason"])) == (str, str)


def result_of(headline="Found a brain", notes=()):
    return mercure_result(success_facts(RunRecord(headline=headline, notes=list(notes))))


@pytest.mark.parametrize(("notes", "requested"), [((), False), (("a dark image",), True)])
def test_mercure_is_asked_to_notify_of_a_success_with_flags_only(notes, requested):
    notification = result_of(notes=notes)["__mercure_notification"]

    assert notification == {"text": "\n".join(["Found a brain", *notes]), "requested": requested}


def test_mercure_is_asked_to_notify_of_what_is_no_success():
    notification = mercure_result(failed(NothingEligibleError("no such series")))["__mercure_notification"]

    assert notification == {"text": "no such series", "requested": True}


def test_mercure_is_told_to_send_nothing_where_there_is_no_result():
    assert "__mercure_routing" not in result_of()
    assert mercure_result(failed(NothingEligibleError("no such series")))["__mercure_routing"] == {"discard": True}
