import pytest

from imaging.outcome import Reason, RefusedError
from imaging.run_record import RunRecord, StageError


def test_a_stage_is_timed_and_announced():
    begun = []
    record = RunRecord(on_stage=begun.append)

    with record.stage("load"):
        pass

    assert begun == ["load"]
    assert record.seconds.keys() == record.cpu_seconds.keys() == {"load"}


def test_a_handled_error_leaves_a_stage_as_it_is():
    error = RefusedError("a tilted stack", Reason.TILT)

    with pytest.raises(RefusedError) as left, RunRecord().stage("load"):
        raise error

    assert left.value is error


def test_the_text_of_any_other_error_stays_in_the_stage():
    with pytest.raises(StageError, match=r"^ValueError in load$"), RunRecord().stage("load"):
        raise ValueError("Doe^Jane")


def test_any_other_error_is_the_cause_of_what_leaves():
    error = MemoryError()

    with pytest.raises(StageError) as left, RunRecord().stage("load"):
        raise error

    assert left.value.__cause__ is error


def test_a_user_who_ends_the_run_is_not_an_error_of_the_stage():
    with pytest.raises(KeyboardInterrupt), RunRecord().stage("load"):
        raise KeyboardInterrupt
