"""The command writes every case, and a manifest that other programs can judge themselves by."""

import json

import numpy as np

from imaging.load_study import load_study
from tests.dicom_cases import cases
from tests.dicom_cases.__main__ import main


def test_cases_can_be_chosen_by_words(tmp_path, capsys):
    assert main([str(tmp_path / "out"), "echoes-by-number", "one-slice"]) == 0

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "echoes-by-number",
        "manifest.json",
        "one-slice",
    ]
    assert len(list((tmp_path / "out" / "echoes-by-number").iterdir())) == 12
    assert "2 cases" in capsys.readouterr().out


def test_the_manifest_is_enough_to_judge_by(tmp_path):
    main([str(tmp_path), "unsigned-8"])

    told = json.loads((tmp_path / "manifest.json").read_text())
    expected = told["cases"]["unsigned-8"]["expected"]
    volume, affine = expected["volumes"][0], np.array(expected["volumes"][0]["affine"])
    centre = affine @ [2, 3, 4, 1]
    value = centre[:3] @ told["value"]["code"] + told["value"]["zero"]
    third = load_study(tmp_path / "unsigned-8").series[0].instances[2]
    stored = third.path.read_bytes()[third.pixel_offset + 12 :][3 * volume["shape"][2] + 4]

    assert expected["outcome"] == "exact"
    assert abs(stored * 10 + 5500 - value) <= expected["rounding"]


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()

    assert main([str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "usage" in capsys.readouterr().err


def test_a_folder_is_needed(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_every_case_is_known_by_its_name():
    assert len({case.name for case in cases()}) == len(cases())
