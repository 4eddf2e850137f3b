import json
import os
import shutil
from pathlib import Path

import pytest
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage, MRImageStorage

from imaging import read_header as read_header_module
from imaging.load_study import load_study, looks_like_dicom, read_header, regular_files
from imaging.outcome import NothingEligibleError, SuiteError, UsageError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.uids import derived_uid
from tests.phantoms import PATIENT, SHAPE, bare_file, coded_pixels, slice_headers, write_series


def test_each_series_of_a_folder_is_found_once(tmp_path):
    write_series(tmp_path / "a", name="first", SeriesNumber=3)
    write_series(tmp_path / "b" / "deep", name="second", SeriesNumber=8)

    study = load_study(tmp_path)

    assert sorted((series.number, len(series.instances)) for series in study.series) == [(3, 6), (8, 6)]


def test_files_of_two_series_in_one_folder_are_told_apart(tmp_path):
    write_series(tmp_path, name="first", names=[f"{n}_x" for n in range(6)])
    write_series(tmp_path, name="second", names=[f"{n}_y" for n in range(6)])

    assert [len(series.instances) for series in load_study(tmp_path).series] == [6, 6]


def test_the_order_of_series_and_instances_does_not_depend_on_the_file_system(tmp_path):
    paths = write_series(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two" / "one")

    orders = [[i.uid for i in load_study(folder).series[0].instances] for folder in (tmp_path / "one", tmp_path)]

    assert orders[0] == orders[1]
    assert [instance.path for instance in load_study(tmp_path / "one").series[0].instances] == sorted(paths)


def test_neighbours_that_are_not_dicom_are_counted_and_passed_over(tmp_path, rng):
    write_series(tmp_path)
    (tmp_path / "000.dcm.json").write_text(json.dumps({"00080016": {"vr": "UI", "Value": [MRImageStorage]}}))
    (tmp_path / "000.tags").write_text("(0008,0060) CS MR")
    (tmp_path / "README").write_text("Series of a phantom")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "short.dcm").write_bytes(b"\x08\x00\x05")
    (tmp_path / "garbage.dcm").write_bytes(rng.bytes(5000))

    study = load_study(tmp_path)

    assert (len(study.series), study.not_dicom, study.not_image, study.unreadable) == (1, 6, 0, 0)
    assert len(study.series[0].instances) == SHAPE[0]


def test_a_dicomdir_is_an_object_without_an_image(tmp_path):
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = derived_uid("directory")
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.FileSetID, directory.DirectoryRecordSequence = "PHANTOM", []
    write_series(tmp_path / "IMAGES")
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)

    study = load_study(tmp_path)

    assert (len(study.series[0].instances), study.not_image, study.unreadable) == (SHAPE[0], 1, 0)


def test_a_report_beside_the_images_is_an_object_without_an_image(tmp_path):
    def becomes_report(header, _):
        header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
        del header.Rows, header.Columns, header.PixelData

    write_series(tmp_path / "images")
    write_series(tmp_path / "report", coded_pixels()[:1], name="report", change=becomes_report)

    study = load_study(tmp_path)

    assert (len(study.series), study.not_image) == (1, 1)


def test_a_file_that_begins_like_dicom_and_is_damaged_is_counted(tmp_path):
    write_series(tmp_path)
    (tmp_path / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 64)

    study = load_study(tmp_path)

    assert (len(study.series), study.unreadable) == (1, 1)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_an_object_without_identity_is_counted_as_damaged(keyword, tmp_path):
    write_series(tmp_path / "whole")
    for number, header in enumerate(slice_headers(name="nameless", **{keyword: None})):
        (tmp_path / f"{number}.dcm").write_bytes(bare_file(header, implicit=True))

    study = load_study(tmp_path)

    assert (len(study.series), study.unreadable) == (1, SHAPE[0])


def test_an_identity_that_stands_in_the_file_meta_information_only_is_taken_from_there(tmp_path):
    paths = write_series(tmp_path)
    expected = [dcmread(path).SOPInstanceUID for path in paths]
    for path in paths:
        dataset = dcmread(path)
        dataset.SOPInstanceUID = dataset.SOPClassUID = ""
        dataset.save_as(path)

    series = load_study(tmp_path).series[0]

    assert [instance.uid for instance in series.instances] == expected
    assert {header.SOPClassUID for header in series.headers} == {MRImageStorage}


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_read(implicit, tmp_path):
    for path in write_series(tmp_path):
        path.write_bytes(bare_file(dcmread(path), implicit=implicit))

    volume = to_volume(split_series(load_study(tmp_path).series[0])[0]).volume

    assert (volume.array == coded_pixels()).all()


def test_the_same_instance_in_two_files_counts_once(tmp_path):
    paths = write_series(tmp_path)
    shutil.copy(paths[2], tmp_path / "copy of a slice.dcm")

    study = load_study(tmp_path)

    assert len(study.series[0].instances) == SHAPE[0]
    assert to_volume(split_series(study.series[0])[0]).volume.shape == SHAPE


def test_a_single_file_may_be_given(tmp_path):
    paths = write_series(tmp_path)

    assert [instance.path for instance in load_study(paths[4]).series[0].instances] == [paths[4]]


def test_the_header_stops_where_the_pixels_begin(tmp_path):
    path = write_series(tmp_path, syntax=ImplicitVRLittleEndian)[0]

    instance = read_header(path)

    assert "PixelData" not in instance.header
    assert path.read_bytes()[instance.pixel_offset :][:4] == b"\xe0\x7f\x10\x00"


def test_a_header_without_pixels_has_no_place_for_them(tmp_path):
    def no_pixels(header, _):
        del header.PixelData

    path = write_series(tmp_path, change=no_pixels)[0]

    assert read_header(path).pixel_offset is None


def test_links_and_what_is_no_file_are_passed_over(tmp_path):
    inside = tmp_path / "inside"
    (inside / "deep").mkdir(parents=True)
    (tmp_path / "outside.dcm").touch()
    (inside / "file").touch()
    (inside / "deep" / "file").touch()
    (inside / "link_in").symlink_to(inside / "file")
    (inside / "link_out").symlink_to(tmp_path / "outside.dcm")
    (inside / "link_to_nothing").symlink_to(inside / "nothing")
    (inside / "link_to_itself").symlink_to(inside / "link_to_itself")
    (inside / "deep" / "loop").symlink_to(inside)
    (inside / "link_to_folder").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")

    assert list(regular_files(inside)) == [inside / "file", inside / "deep" / "file"]


def test_a_folder_or_file_that_was_given_may_itself_be_a_link(tmp_path):
    paths = write_series(tmp_path / "study")
    (tmp_path / "folder").symlink_to(tmp_path / "study")
    (tmp_path / "file").symlink_to(paths[0])

    assert len(load_study(tmp_path / "folder").series[0].instances) == SHAPE[0]
    assert [instance.path for instance in load_study(tmp_path / "file").series[0].instances] == [paths[0]]


def test_files_and_folders_that_may_not_be_opened_are_said(tmp_path, monkeypatch):
    paths = write_series(tmp_path)
    (tmp_path / "secret").mkdir()

    def denied(function, names):
        def refuse(path, *arguments):
            if Path(path).name in names:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments)

        return refuse

    monkeypatch.setattr(os, "open", denied(os.open, {paths[0].name, paths[1].name}))
    monkeypatch.setattr(os, "scandir", denied(os.scandir, {"secret"}))
    study = load_study(tmp_path)

    assert len(study.series[0].instances) == SHAPE[0] - 2
    assert (study.unreadable, study.denied) == (3, 3)
    assert "3 damaged files (3 of them may not be opened)" in study.counts()


@pytest.mark.parametrize("name", ["66.4", "481.2", "30", "88.59", "11.1"])
def test_an_object_with_rows_and_columns_is_no_image_when_its_class_is_none(name, tmp_path):
    write_series(tmp_path / "images")
    write_series(tmp_path / "others", name="others", SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{name}")

    study = load_study(tmp_path)

    assert (len(study.series), study.not_image) == (1, SHAPE[0])


def test_a_secondary_capture_is_an_image(tmp_path):
    write_series(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")

    assert (len(load_study(tmp_path).series), load_study(tmp_path).not_image) == (1, 0)


def test_a_copy_that_came_another_way_counts_once(tmp_path):
    paths = write_series(tmp_path)
    copy = dcmread(paths[2])
    copy.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    copy.save_as(tmp_path / "copy.dcm")

    study = load_study(tmp_path)

    assert len(study.series[0].instances) == SHAPE[0]
    assert (study.conflicting, study.series[0].conflicting) == (0, 0)


def test_two_images_with_one_identifier_both_stay_and_are_said(tmp_path):
    paths = write_series(tmp_path)
    other = dcmread(paths[2])
    other.WindowCenter = 40
    other.save_as(tmp_path / "other.dcm")
    shutil.copy(tmp_path / "other.dcm", tmp_path / "copy of the other.dcm")

    study = load_study(tmp_path)

    assert len(study.series[0].instances) == SHAPE[0] + 1
    assert (study.conflicting, study.series[0].conflicting) == (2, 2)
    assert "2 images bear the identifier of another, different image" in study.counts()


def test_an_identifier_that_two_series_share_is_said_of_the_study(tmp_path):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", change=lambda header, _: setattr(header, "SeriesInstanceUID", "1.2.3"))

    study = load_study(tmp_path)

    assert study.conflicting == 2 * SHAPE[0]
    assert [series.conflicting for series in study.series] == [0, 0]


def test_studies_and_patients_of_a_folder_are_told_apart(tmp_path):
    write_series(tmp_path / "a", name="first")
    write_series(tmp_path / "b", name="second", StudyInstanceUID="1.2.3")
    write_series(tmp_path / "c", name="third", StudyInstanceUID="1.2.4", PatientID="SOMEBODY ELSE")
    write_series(tmp_path / "d", name="fourth", StudyInstanceUID="1.2.4", IssuerOfPatientID="ANOTHER HOSPITAL")

    study = load_study(tmp_path)

    assert study.patients == 3
    assert len(study.study_uids) == 3
    assert {series.study_uid for series in study.series} == set(study.study_uids)
    assert "4 image series of 3 patients" in study.counts()
    assert load_study(tmp_path / "a").patients == 1


def test_one_patient_is_one_however_the_files_are_written(tmp_path):
    write_series(tmp_path / "a", name="first", PatientID="ODD")
    write_series(tmp_path / "b", name="second", PatientID="ODD", syntax=ImplicitVRLittleEndian)
    for path in write_series(tmp_path / "c", name="third", PatientID="ODD"):
        path.write_bytes(bare_file(dcmread(path), implicit=True))

    study = load_study(tmp_path)

    assert (len(study.series), study.patients) == (3, 1)


def test_no_header_is_parsed_before_it_is_asked_for(tmp_path, monkeypatch):
    write_series(tmp_path)
    monkeypatch.setattr(read_header_module, "header_of", lambda *_: pytest.fail("parsed"))

    study = load_study(tmp_path)

    assert study.series[0].instances[0].facts.series_uid == study.series[0].uid
    assert study.counts()


def test_a_file_that_cannot_be_opened_does_not_look_like_dicom(tmp_path):
    assert not looks_like_dicom(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"does not exist: .*/nowhere\. Give an existing folder with -i"):
        load_study(tmp_path / "nowhere")


def test_a_folder_without_dicom_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    (tmp_path / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 64)

    with pytest.raises(NothingEligibleError, match=r"0 image series, .* 1 damaged files, 1 other files"):
        load_study(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom warns of the damage that is done here
def test_random_damage_ends_in_a_volume_or_in_an_error_of_ours(tmp_path, rng):
    paths = write_series(tmp_path, coded_pixels()[:2])
    whole = paths[0].read_bytes()
    said = []

    for _ in range(150):
        damaged = bytearray(whole[: rng.choice([len(whole), rng.integers(1, len(whole))])])
        for place in rng.integers(len(damaged), size=5):
            damaged[place] = rng.integers(256)
        paths[0].write_bytes(damaged)
        try:
            for series in load_study(tmp_path).series:
                to_volume(split_series(series)[0])
        except SuiteError as error:
            said.append(str(error))

    assert said
    assert not [text for text in said for value in PATIENT.values() if value in text]
