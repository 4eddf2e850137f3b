from dataclasses import replace

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from imaging.find_tumour import TumourObject, TumourObjects
from imaging.measure_nodule import Diameter
from imaging.measure_tumour import TumourMeasurement
from imaging.pair_series import Companion
from imaging.pelvic_sequences import PelvicSequences
from imaging.report_tumour import TUMOUR_LABEL, TumourReport, remarks_on, tumour_headline, tumour_results
from imaging.select_series import Selection, Verdict
from tests.series_samples import stack_of, write_series
from tests.tumour_samples import aligned, field, volume

MASK = np.zeros((4, 5, 6), bool)
MASK[1:3, 2:4, 1:5] = True
MEASURED = TumourMeasurement(
    volume_ml=12.345,
    longest=Diameter(41.5, ((0.0, 0.0, 0.0), (0.0, 0.0, 41.5))),
    axial=Diameter(33.25, ((0.0, 0.0, 0.0), (33.25, 0.0, 0.0))),
    mean_t2w=412.5,
    mean_adc=873.2,
    centre_mm=(1.0, 2.0, 3.0),
    slices=2,
    at_border=False,
    unseen={},
)
PRIMARY = TumourObject(12.4, 0.9, (1.0, 2.0, 3.0), primary=True)
OTHERS = (TumourObject(20.0, 0.8, (9.0, 9.0, 9.0)), TumourObject(0.01, 0.6, (5.0, 5.0, 5.0)))
FOUND = TumourObjects(volume(field()), (PRIMARY, *OTHERS))
TRUST = "These weights saw synthetic pelvises only."
REPORT = TumourReport(FOUND, MASK, MEASURED, 0.5, TRUST, ("the ADC was fitted",))
NONE = TumourReport(TumourObjects(None, ()), np.zeros_like(MASK), None, 0.5, TRUST)


def values(finding):
    return {(one.name.meaning, one.unit.value): round(one.value, 2) for one in finding.quantities}


def test_the_tumour_is_one_segment_of_a_primary_neoplasm_of_the_cervix():
    (segment,) = REPORT.segments

    assert REPORT.labels == ("Primary tumour",)
    assert segment.label.property_type == codes.SCT.NeoplasmPrimary
    assert (segment.label.site.location.value, segment.label.site.location.meaning) == ("71252005", "Cervix uteri")
    np.testing.assert_array_equal(segment.mask, MASK)


def test_every_quantity_has_its_code_its_unit_and_its_value():
    (finding,) = REPORT.findings

    assert finding.segment == 1
    assert values(finding) == {
        ("Volume", "mL"): 12.35,
        ("Maximum 3D Diameter of a Mesh", "mm"): 41.5,
        ("Long axis", "mm"): 33.25,
        ("T2 Weighted MR Signal Intensity", "1"): 412.5,
        ("Apparent Diffusion Coefficient", "um2/s"): 873.2,
        ("Number of similar findings", "1"): 2,
    }
    averages = [one.name for one in finding.quantities if one.derivation]
    assert averages == [codes.DCM.T2WeightedMRSignalIntensity, codes.DCM.ApparentDiffusionCoefficient]


def test_the_diameters_have_their_ends():
    lines = {one.name: one.line_mm for one in REPORT.findings[0].quantities if one.line_mm}

    assert lines == {
        codes.IBSI.Maximum3DDiameterOfAMesh: MEASURED.longest.ends_mm,
        codes.SCT.LongAxis: MEASURED.axial.ends_mm,
    }


def test_without_an_adc_map_no_adc_is_reported():
    report = replace(REPORT, measured=replace(MEASURED, mean_adc=None))

    assert "Apparent Diffusion Coefficient" not in {one.name.meaning for one in report.findings[0].quantities}


def test_the_flags_say_first_what_the_weights_saw_then_the_sequences_then_the_other_objects():
    flags = REPORT.flags

    assert flags[:2] == ("These weights saw synthetic pelvises only", "the ADC was fitted")
    assert flags[2] == ("2 other objects above the threshold: 20.00 mL, mean activation 0.80; 1 of less than 0.1 mL")
    assert "not the largest one (20.00 mL" in flags[3]


def test_a_model_that_says_nothing_of_its_weights_adds_no_flag():
    assert replace(REPORT, calibration="", general=()).flags == FOUND.flags


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"at_border": True}, "touches the edge of the T2w image: it may be larger than measured"),
        ({"unseen": {"ADC": 0.25}}, "reaches the edge of what the ADC series shows, 25 % of it lie outside"),
        ({"unseen": {"DWI": 0.0}}, "reaches the edge of what the DWI series shows, its rim lies outside"),
        ({"slices": 1}, "seen on one slice only: its volume is hardly known"),
    ],
)
def test_what_is_suspicious_is_said_of_the_tumour(change, said):
    report = replace(REPORT, measured=replace(MEASURED, **change))

    assert remarks_on(report.measured) == (said,)
    assert report.findings[0].remarks == (said,)
    assert report.flags[-1] == f"Primary tumour: {said}"


def test_nothing_suspicious_is_said_of_a_tumour_without_faults():
    assert remarks_on(MEASURED) == ()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (NONE.found, "nothing is above the threshold; that is no proof"),
        (TumourObjects(None, OTHERS[1:]), "what is above the threshold is too small"),
        (TumourObjects(volume(field()), (PRIMARY,)), "vanishes between the slices"),
    ],
)
def test_without_a_tumour_the_report_says_so_and_has_no_segment(found, said):
    report = replace(NONE, found=found)

    assert report.segments == ()
    (finding,) = report.findings
    assert finding.segment is None
    assert said in finding.remarks[0]
    assert finding.evaluations[0].value == codes.SCT.Absent
    assert values(finding)[("Number of lesions", "1")] == 0


def test_specks_are_counted_where_there_is_no_tumour():
    report = replace(NONE, found=TumourObjects(None, OTHERS[1:]))

    assert values(report.findings[0])[("Number of similar findings", "1")] == 1


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    def selection(number):
        stack = stack_of(write_series(tmp_path_factory.mktemp("series") / str(number)))
        return Selection(stack, (Verdict(stack, True, 1.0, ("T2w by its echo time",)),), tie=False)

    return PelvicSequences(
        selection(1), Companion(selection(2), 0.9), 800.0, False, Companion(selection(3), 1.0), (), ()
    )


def test_the_headline_says_what_was_taken_and_what_was_found(sequences):
    said = tumour_headline(sequences, REPORT)

    assert said.startswith("Took series 4 (MR, 6 slices): T2w by its echo time, with DWI series 4")
    assert "(b = 800 s/mm2)" in said
    assert said.endswith("Primary tumour of 12.3 mL, longest diameter 42 mm, 33 mm in a slice, and 2 other objects")


def test_the_headline_says_that_there_is_no_tumour_and_what_is_calculated(sequences):
    said = tumour_headline(replace(sequences, calculated=True, adc=None), NONE)

    assert "(calculated b = 800 s/mm2). No tumour was found" in said
    assert "ADC" not in said


def test_the_record_has_every_object_and_what_was_taken(sequences):
    images = aligned(field(0), field(1), field(2), facts={"adc": {"unit": "1e-6 mm2/s"}})

    record = tumour_results(sequences, images, REPORT)

    assert record["sequences"] == {"t2w": None, "dwi": None, "adc": {"unit": "1e-6 mm2/s"}}
    assert record["measurements"]["tumour"]["volume_ml"] == 12.345
    assert record["measurements"]["tumour"]["mean_adc_1e-6_mm2_per_s"] == 873.2
    assert [one["primary"] for one in record["measurements"]["objects"]] == [True, False, False]
    assert record["measurements"]["other_objects"] == 2
    assert record["weights"] == TRUST


def test_the_record_of_no_tumour_has_none(sequences):
    record = tumour_results(replace(sequences, dwi=None, adc=None), aligned(), NONE)

    assert record["measurements"] == {"tumour": None, "other_objects": 0, "objects": []}


def test_the_name_fits_its_attribute():
    assert len(TUMOUR_LABEL.label) <= 64


def test_pictures_say_what_the_weights_saw():
    assert REPORT.caution == "These weights saw synthetic pelvises only"
    assert replace(REPORT, calibration="").caution == ""


def test_a_flag_names_the_segment_of_the_tumour():
    (flag,) = replace(REPORT, measured=replace(MEASURED, at_border=True)).plausibility

    assert (flag.segment, flag.check.code) == (1, "tumour-at-border")
    assert NONE.plausibility == ()
