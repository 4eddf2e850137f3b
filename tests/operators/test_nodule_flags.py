"""How what is suspicious of marks reaches the report, operator by operator, without a graph around them."""

from types import SimpleNamespace

import numpy as np
import pytest

from imaging.classify_crop import Classified
from imaging.lung_mask import MISSING, LungMask
from imaging.mark import Mark, Origin
from tests.nodule_samples import ball, centre_mm, region, write_ct
from tests.operators.run_operator import Ports, operator_module, ran
from tests.series_samples import source_of

SAID = "a segment of the study that marks a nodule is empty"


@pytest.fixture(scope="module", name="source")
def _source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


def mark(number, origin, *, outlined):
    x, y, z = centre_mm(number)
    return Mark(centre_mm=(x, y, z), origin=origin, region=region(number) if outlined else None)


def test_what_the_study_cannot_mark_is_passed_on(source):
    module = operator_module("read_marks")
    study = SimpleNamespace(others=())

    ports, _ = ran(module.ReadMarks, Ports(study=study, source=source), points=())

    assert (ports["marks"], ports["flags"]) == ((), ())


@pytest.mark.parametrize(("origin", "said"), [(Origin.USER, True), (Origin.COMPUTER, False)])
def test_a_mark_without_an_outline_is_added_to_what_was_said_before(source, monkeypatch, origin, said):
    module = operator_module("outline_marks")
    monkeypatch.setattr(
        module.OutlineMarks, "_outlined", lambda _self, marks, _source: [marks[0], mark(2, origin, outlined=False)]
    )
    marks = (mark(1, origin, outlined=True), mark(2, origin, outlined=False))

    ports, _ = ran(module.OutlineMarks, Ports(marks=marks, source=source, flags=(SAID,)))

    assert [one.centre_mm for one in ports["marks"]] == [marks[0].centre_mm]
    assert ports["flags"] == (SAID, *["No nodule could be outlined at 1 of 2 marks: 2"] * said)


def test_the_report_says_what_is_suspicious_of_marks_and_lungs(source):
    module = operator_module("report_nodules")
    sides = source.volume.with_array(np.where(ball(1), 1, 0).astype(np.uint8))
    ports = Ports(
        marks=(mark(1, Origin.SEG, outlined=True),), classified=(Classified(0.25, None),), source=source,
        lungs=LungMask(sides, 1000.0, 0.0, (MISSING.flag("No left lung was found"),)), flags=(SAID,),
    )  # fmt: skip

    ran(module.ReportNodules, ports, model=SimpleNamespace(calibration="None.", threshold=0.5))

    assert ports["report"].flags == (SAID, "No left lung was found")
    assert len(ports["segments"]) == 1
