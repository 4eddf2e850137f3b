"""Good and bad input of the spine application, with a stand-in for its network."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from highdicom.seg import segread
from pydicom import dcmread
from pydicom.sr.codedict import codes
from scipy import ndimage

from imaging.lumbar_phantom import Body
from imaging.write_lumbar_sample import OTHERS, STIR, T1_TSE, write_lumbar_study
from tests.lumbar_bodies import LUMBAR, arc, true_heights, true_space
from tests.system.command import VERDICT, execute, monai_deploy
from tests.system.spine_study import Brightest, Nothing, join_series, stand_in, with_metal, write_bodies

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # deprecated, and still the format
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return stand_in(tmp_path_factory.mktemp("models"), Brightest())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_bodies(tmp_path_factory.mktemp("bodies") / "study")


@pytest.fixture(scope="module")
def ran(study, models, tmp_path_factory):
    ended = execute(study, tmp_path_factory.mktemp("ran") / "out", models, "--nifti", app="spine")
    assert ended.code == 0, ended.stderr
    return ended


def bodies_of(ended):
    assert ended.code == 0, ended.stderr
    return ended.record["measurements"]["bodies"]


def run_on(study, tmp_path, models, *options):
    return execute(study, tmp_path / "out", models, *options, app="spine")


def test_measurements_are_those_of_the_bodies(ran):
    found = bodies_of(ran)

    assert [body["level"] for body in found] == ["L5", "L4", "L3", "L2", "L1", "T12"]
    for body, shape in zip(found, LUMBAR, strict=True):
        assert body["volume_ml"] == pytest.approx(shape.volume_ml, rel=0.06)
        np.testing.assert_allclose(list(body["height"].values()), true_heights(shape), atol=1.0)
        np.testing.assert_allclose(body["centre_lps_mm"], shape.centre_mm, atol=1.0)
    for body, lower, upper in zip(found, LUMBAR, LUMBAR[1:], strict=False):
        assert body["disc_space_above_mm"] == pytest.approx(true_space(lower, upper), abs=1.0)
    assert found[-1]["disc_space_above_mm"] is None


def test_the_record_says_on_what_the_levels_rest(ran):
    assert ran.record["levels"]["by"] == "evidence"
    assert ["OHIF" in flag for flag in ran.record["flags"]] == [True]  # its matrix is 333 x 113; nothing else
    assert "6 vertebral bodies, L5 to T12" in ran.record["headline"]


def test_each_body_is_a_segment_of_its_own_code_identity_and_colour(ran):
    seg = dcmread(ran.output / "seg.dcm")

    segments = seg.SegmentSequence
    assert [segment.SegmentLabel for segment in segments][:2] == ["L5 vertebral body", "L4 vertebral body"]
    assert segments[5].SegmentedPropertyTypeCodeSequence[0].CodeValue == codes.SCT.T12Vertebra.value
    assert len({segment.TrackingUID for segment in segments}) == 6
    assert len({tuple(segment.RecommendedDisplayCIELabValue) for segment in segments}) == 6


def test_the_report_measures_each_segment_with_units(ran):
    sr = dcmread(ran.output / "sr.dcm")

    groups = list(measurement_groups(sr))
    assert len(groups) == 6
    for number, group in enumerate(groups, start=1):
        values = [item.MeasuredValueSequence[0] for item in group.ContentSequence if item.ValueType == "NUM"]
        assert len(values) == (4 if number == 6 else 5)
        assert all(value.MeasurementUnitsCodeSequence[0].CodeValue in ("mL", "mm") for value in values)
        points = [item for item in group.ContentSequence if item.ValueType == "SCOORD3D"]
        np.testing.assert_allclose(points[0].GraphicData, LUMBAR[number - 1].centre_mm, atol=1.0)


def test_the_report_says_of_what_each_height_is(ran):
    group = next(measurement_groups(dcmread(ran.output / "sr.dcm")))

    sites = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeMeaning == "Height":
            (site,) = [child for child in item.ContentSequence if child.ValueType == "CODE"]
            parts = [part.ConceptCodeSequence[0].CodeMeaning for part in site.get("ContentSequence", [])]
            sites[(site.ConceptCodeSequence[0].CodeMeaning, *parts)] = float(item.MeasuredValueSequence[0].NumericValue)
    facts = bodies_of(ran)[0]
    assert sites == {
        ("L5 vertebra", "Anterior"): facts["height"]["anterior_mm"],
        ("L5 vertebra", "Central"): facts["height"]["middle_mm"],
        ("L5 vertebra", "Posterior"): facts["height"]["posterior_mm"],
        ("L4/L5 disc",): facts["disc_space_above_mm"],
    }


def measurement_groups(item):
    for child in item.get("ContentSequence", []):
        if child.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Group":
            yield child
        else:
            yield from measurement_groups(child)


def test_slices_in_reverse_change_nothing(ran, models, tmp_path):
    def backwards(pixels, affine):
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 0] * (len(pixels) - 1)
        affine[:3, 0] *= -1
        return pixels[::-1], affine

    again = run_on(write_bodies(tmp_path / "study", change=backwards), tmp_path, models)

    assert bodies_of(again) == bodies_of(ran)


def test_a_coronal_order_of_rows_and_columns_changes_nothing_that_is_measured(ran, models, tmp_path):
    def upside_down(pixels, affine):
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 1] * (pixels.shape[1] - 1)
        affine[:3, 1] *= -1
        return pixels[:, ::-1], affine

    for one, other in zip(
        bodies_of(run_on(write_bodies(tmp_path / "study", change=upside_down), tmp_path, models)),
        bodies_of(ran),
        strict=True,
    ):
        np.testing.assert_allclose(one["centre_lps_mm"], other["centre_lps_mm"], atol=0.3)
        np.testing.assert_allclose(list(one["height"].values()), list(other["height"].values()), atol=0.5)


def test_the_level_may_be_stated_by_the_user(models, tmp_path):
    ended = run_on(write_bodies(tmp_path / "study", LUMBAR[1:]), tmp_path, models, "--lowest", "L4")

    assert bodies_of(ended)[0]["level"] == "L4"
    assert ended.record["levels"]["by"] == "user"
    assert "as stated by the user" in ended.record["headline"]


def test_without_l5_no_level_is_said_anywhere(models, tmp_path):
    ended = run_on(write_bodies(tmp_path / "study", LUMBAR[1:]), tmp_path, models)

    assert {body["level"] for body in bodies_of(ended)} == {None}
    assert "Level not established" in " ".join(ended.record["flags"])
    labels = [segment.SegmentLabel for segment in dcmread(ended.output / "seg.dcm").SegmentSequence]
    assert labels[0] == "Vertebral body 1 (from below), level not established"
    said = (ended.output / "sr.dcm").read_bytes()
    assert b"Level not established" in said
    assert b"L4" not in said


KNEE = [Body((0.0, 0.0, 45.0), 0.0, 80.0, 38.0, 30.0), Body((0.0, 0.0, -45.0), 0.0, 80.0, 36.0, 26.0)]
CERVICAL = arc(6, step_deg=3, distance_mm=18, height_mm=13, half_width_mm=9, half_depth_mm=8)


@pytest.mark.parametrize(
    ("bodies", "flag"),
    [
        (LUMBAR[:4], "Only 4 vertebral bodies"),
        (LUMBAR[:1], "Only 1 vertebral body was found"),
        (LUMBAR[:2] + LUMBAR[3:], "one may be missing between them"),
        (CERVICAL, "as cervical ones are"),
        ([Body((0.0, 0.0, 0.0), 0.0, 80.0, 34.0, 34.0)], "implausible volume"),
        (KNEE, "implausible volume"),
    ],
    ids=["four bodies", "one body", "a gap", "a neck without body part", "a bottle", "a knee without body part"],
)
def test_what_is_suspicious_is_flagged(models, tmp_path, bodies, flag):
    ended = run_on(write_bodies(tmp_path / "study", bodies, body_part=""), tmp_path, models)

    assert ended.code == 0, ended.stderr
    assert flag in " ".join(ended.record["flags"])
    assert flag in flat(dcmread(ended.output / "sr.dcm"))
    assert flag in ended.stdout + ended.stderr


@pytest.mark.parametrize("bodies", [CERVICAL, KNEE], ids=["a neck", "a knee"])
def test_no_level_is_said_of_what_is_no_lumbar_spine(models, tmp_path, bodies):
    ended = run_on(write_bodies(tmp_path / "study", bodies, body_part=""), tmp_path, models)

    assert {body["level"] for body in bodies_of(ended)} == {None}


def flat(item):
    """All text of a report."""
    own = [str(item.TextValue)] if "TextValue" in item else []
    return " ".join([*own, *map(flat, item.get("ContentSequence", []))])


def test_a_scoliotic_spine_that_leaves_the_slab_is_flagged_where_it_does(models, tmp_path):
    """Its middle bends 24 mm to the left, out of the last slices."""
    bent = [replace(body, centre_mm=(body.centre_mm[0] + shift, *body.centre_mm[1:]))
            for body, shift in zip(LUMBAR, (0, 12, 24, 24, 12, 0), strict=True)]  # fmt: skip

    def narrow(pixels, affine):
        slices = np.flatnonzero((pixels > 500).any(axis=(1, 2)))
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 0] * (slices[0] + 4)
        return pixels[slices[0] + 4 :], affine

    ended = run_on(write_bodies(tmp_path / "study", bent, change=narrow), tmp_path, models)

    found = bodies_of(ended)
    assert len(found) == 6
    leaves = ["leaves the image at a side" in " ".join(body["flags"]) for body in found]
    assert leaves == [False, leaves[1], True, True, leaves[4], False]
    for body, shape in zip(found, bent, strict=True):
        assert body["flags"] or body["volume_ml"] == pytest.approx(shape.volume_ml, rel=0.06)
    assert "leaves the image at a side" in " ".join(ended.record["flags"])


@pytest.mark.parametrize("rim", [0, 1000], ids=["a void", "a void with a bright rim"])
def test_metal_over_two_bodies_is_never_passed_over(models, tmp_path, rim):
    """Every body that is not one of the phantom is flagged, and so is the place of those that are gone."""
    ended = run_on(write_bodies(tmp_path / "study", change=with_metal(LUMBAR[2:4], rim)), tmp_path, models)

    found = bodies_of(ended)
    assert ended.record["flags"]
    for body in found:
        away_mm = [np.linalg.norm(np.subtract(body["centre_lps_mm"], shape.centre_mm)) for shape in LUMBAR]
        nearest = LUMBAR[int(np.argmin(away_mm))]
        whole = min(away_mm) < 3 and body["volume_ml"] == pytest.approx(nearest.volume_ml, rel=0.1)
        assert whole or body["flags"]
        if body["level"] and not body["flags"]:
            assert ("L5", "L4", "L3", "L2", "L1", "T12")[int(np.argmin(away_mm))] == body["level"]


def test_metal_at_the_lumbosacral_junction_leaves_the_levels_open(models, tmp_path):
    ended = run_on(write_bodies(tmp_path / "study", change=with_metal(LUMBAR[:2], 0)), tmp_path, models)

    assert {body["level"] for body in bodies_of(ended)} == {None}
    assert "Level not established" in " ".join(ended.record["flags"])


def test_a_body_cut_by_the_upper_border_is_flagged_and_has_no_heights(models, tmp_path):
    def lower(pixels, affine):
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 1] * 64
        return pixels[:, 64:], affine

    ended = run_on(write_bodies(tmp_path / "study", change=lower), tmp_path, models)

    assert bodies_of(ended)[-1]["height"] is None
    assert "cut by the border" in " ".join(ended.record["flags"])


def rows(first, last):
    """Keep these rows of the pixels."""

    def change(pixels, affine):
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 1] * first
        return pixels[:, first:last], affine

    return change


@pytest.fixture(params=["two series", "one series", "one series, slices of one between those of the other"])
def stations(request, tmp_path):
    """An upper and a lower station that share half a body, L2, and whether they can be told apart."""
    folder, aside_mm = tmp_path / "study", 2.2 if "between" in request.param else 0.0

    def lower(pixels, affine):
        pixels, affine = rows(140, None)(pixels, affine)
        affine[:3, 3] += affine[:3, 0] / 4.4 * aside_mm
        return pixels, affine

    write_bodies(folder / "upper", change=rows(0, -140), series=("upper",), number=3)
    write_bodies(folder / "lower", change=lower, series=("lower",), number=4)
    if request.param != "two series":
        join_series(folder / "upper", folder / "lower")
    return folder, not aside_mm


def test_of_two_stations_the_lower_one_is_taken_and_the_other_is_named(models, stations, tmp_path):
    study, told_apart = stations

    ended = run_on(study, tmp_path, models)

    if told_apart:
        assert [body["level"] for body in bodies_of(ended)] == ["L5", "L4", "L3", "L2"]
        assert ["cut by the border" in " ".join(body["flags"]) for body in bodies_of(ended)] == [False] * 3 + [True]
        (said,) = [flag for flag in ended.record["flags"] if "Another station" in flag]
        assert "mm higher; it was not joined" in said
        assert said in flat(dcmread(ended.output / "sr.dcm"))
        assert sum(series["eligible"] for series in ended.record["series"]) == 2
    else:
        assert ended.code == 4
        assert ended.files == set(VERDICT)


def test_explain_takes_the_station_that_the_application_takes(models, tmp_path):
    write_bodies(tmp_path / "study" / "upper", LUMBAR[3:], series=("upper",), number=3)
    write_bodies(tmp_path / "study" / "lower", LUMBAR[:3], series=("lower",), number=4)

    (taken,) = [
        line for line in monai_deploy("explain", "spine", "-i", tmp_path / "study").stdout.splitlines()
        if "TAKEN" in line
    ]  # fmt: skip

    assert "series 4" in taken


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"sequence": T1_TSE}, "T1-weighted"),
        ({"sequence": STIR}, "STIR"),
        ({"body_part": "CSPINE"}, "CSPINE"),
        ({"body_part": "PELVIS"}, "PELVIS"),
        ({"body_part": "KNEE"}, "KNEE"),
    ],
    ids=["T1 only", "STIR only", "cervical only", "a pelvis", "a knee"],
)
def test_a_study_without_a_lumbar_t2w_series_holds_nothing_eligible(models, tmp_path, facts, reason):
    ended = run_on(write_bodies(tmp_path / "study", **facts), tmp_path, models)

    assert ended.code == 3
    assert reason in ended.stderr
    assert ended.record["reason"] == "no_match"
    assert ended.files == set(VERDICT)


def test_an_axial_block_alone_is_not_eligible(models, tmp_path):
    (axial,) = [series for series in OTHERS if series.axes[0] == "+z"]

    ended = run_on(write_lumbar_study(tmp_path / "study", series=(axial,)), tmp_path, models)

    assert ended.code == 3
    assert "axial, not sagittal" in ended.stderr
    assert ended.files == set(VERDICT)


def test_nothing_found_is_refused_and_leaves_no_image(study, tmp_path):
    ended = run_on(study, tmp_path, stand_in(tmp_path / "models", Nothing()))

    assert ended.code == 4
    assert ended.record["reason"] == "empty_result"
    assert ended.files == set(VERDICT)


def test_a_missing_slice_is_refused(study, models, tmp_path):
    part = shutil.copytree(study, tmp_path / "study")
    (part / "0008.dcm").unlink()

    ended = run_on(part, tmp_path, models)

    assert ended.code == 4
    assert "Slices must be evenly spaced" in ended.stderr
    assert ended.files == set(VERDICT)


def test_the_mean_probability_is_written_when_asked_for(study, ran, models, tmp_path):
    ended = run_on(study, tmp_path, models, "--votes")

    assert ended.code == 0, ended.stderr
    votes = segread(ended.output / "votes.dcm")
    bodies = segread(ended.output / "seg.dcm").get_volume(combine_segments=True)
    found = votes.get_volume(rescale_fractional=True)
    assert votes.SegmentationType == "FRACTIONAL"
    np.testing.assert_allclose(found.affine, bodies.affine, atol=1e-6)
    sure, marked = found.array[..., 0], bodies.array > 0
    assert sure[marked].min() > 0.5 - 1 / 255
    assert (sure[marked] > 0.9).mean() > 0.5
    assert sure[~ndimage.binary_dilation(marked, iterations=2)].max() < 0.5
    assert not (ran.output / "votes.dcm").exists()


def test_the_same_input_gives_the_same_identifiers(study, ran, models, tmp_path):
    again = run_on(study, tmp_path, models)

    for name in ("seg.dcm", "sr.dcm"):
        one, other = dcmread(ran.output / name), dcmread(again.output / name)
        assert one.SOPInstanceUID == other.SOPInstanceUID


def test_list_names_the_application():
    assert "spine" in monai_deploy("list").stdout
