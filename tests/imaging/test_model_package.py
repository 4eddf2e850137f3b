import hashlib
import json

import pytest

from imaging.model_package import ModelInput, load_model_package, sha256_of
from imaging.outcome import ModelError

WEIGHTS, GRAPH, VALUES = b"weights of a network", b"<net/>", b"values of the same network"


def digest(content):
    return hashlib.sha256(content).hexdigest()


def a_record():
    return {
        "name": "skull_strip",
        "version": "1.2.0",
        "weights": {"file": "model.ts", "sha256": digest(WEIGHTS)},
        "openvino": {
            "file": "model.xml",
            "made_from_sha256": digest(WEIGHTS),
            "sha256": {"model.xml": digest(GRAPH), "model.bin": digest(VALUES)},
        },
        "input": {"spacing_mm": 2.0, "multiple": 16, "maximum": 128},
        "threshold": 0.5,
    }


@pytest.fixture
def folder(tmp_path):
    for name, content in {"model.ts": WEIGHTS, "model.xml": GRAPH, "model.bin": VALUES}.items():
        (tmp_path / name).write_bytes(content)
    save(tmp_path, a_record())
    return tmp_path


def save(folder, record):
    (folder / "metadata.json").write_text(json.dumps(record))


def test_a_whole_model_is_described(folder):
    model = load_model_package(folder)

    assert (model.name, model.version, model.threshold) == ("skull_strip", "1.2.0", 0.5)
    (weights,) = model.members
    assert (weights.torchscript, model.sha256) == (folder / "model.ts", digest(WEIGHTS))
    assert weights.openvino == folder / "model.xml"
    assert model.input == ModelInput(spacing_mm=(2.0,) * 3, multiple=(16,) * 3, maximum=(128,) * 3, window=None)
    assert model.channels == ("logits",)


def test_a_window_becomes_a_tuple(folder):
    record = a_record()
    record["input"]["window"] = [64, 80, 96]
    save(folder, record)

    assert load_model_package(folder).input.window == (64, 80, 96)


def test_a_model_without_an_openvino_copy_is_whole(folder):
    record = a_record()
    del record["openvino"]
    save(folder, record)

    assert load_model_package(folder).members[0].openvino is None


def test_a_copy_of_other_weights_is_passed_over(folder):
    record = a_record()
    record["openvino"]["made_from_sha256"] = digest(b"older weights")
    save(folder, record)
    (folder / "model.xml").unlink()

    assert load_model_package(folder).members[0].openvino is None


def test_a_missing_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere/metadata\.json cannot be read\. Give the folder of models with -m"):
        load_model_package(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.ts", "model.xml", "model.bin"])
def test_a_missing_file_is_named_with_the_remedy(name, folder):
    (folder / name).unlink()

    with pytest.raises(ModelError, match=rf"{name} are missing\. Restore them from the release, or give -m another"):
        load_model_package(folder)


@pytest.mark.parametrize("name", ["model.ts", "model.xml", "model.bin"])
def test_a_changed_file_is_named_with_both_hashes_and_the_remedy(name, folder):
    expected = digest((folder / name).read_bytes())
    (folder / name).write_bytes(b"something else")

    with pytest.raises(ModelError, match=rf"{name} are not those of metadata\.json") as refused:
        load_model_package(folder)

    said = str(refused.value)
    assert digest(b"something else")[:12] in said
    assert expected[:12] in said
    assert "Restore the file, or record the new hash" in said


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b'"text"', b"null", b"{}", b"\xff\xfe\x00"])
def test_a_description_that_is_no_record_is_refused_with_the_remedy(content, folder):
    (folder / "metadata.json").write_bytes(content)

    with pytest.raises(ModelError, match=r"is not a valid model description \(.+\)\. Restore it from the release"):
        load_model_package(folder)


def without(*keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return change


def having(value, *keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without("name"), "KeyError: 'name'"),
        (having("T2w", "input", "sequences"), "ValueError: a list of names is needed, got 'T2w'"),
        (having([1], "input", "sequences"), "ValueError: a list of names is needed, got [1]"),
        (having(["DWI"], "input", "may_be_absent"), "ValueError: of the sequences, some may be absent"),
        (without("weights"), "KeyError: 'weights'"),
        (without("weights", "sha256"), "KeyError: 'sha256'"),
        (without("openvino", "made_from_sha256"), "KeyError: 'made_from_sha256'"),
        (without("openvino", "sha256"), "KeyError: 'sha256'"),
        (having("text", "openvino", "sha256"), "ValueError: "),
        (having(7, "openvino", "sha256"), "TypeError: "),
        (without("input", "multiple"), "missing 1 required keyword-only argument: 'multiple'"),
        (having(1, "input", "spacing"), "unexpected keyword argument 'spacing'"),
        (having(64, "input", "window"), "TypeError: 'int' object is not iterable"),
        (having("half", "threshold"), "could not convert string to float: 'half'"),
        (having(None, "weights", "file"), "TypeError: "),
    ],
)
def test_a_description_that_is_incomplete_is_refused_with_what_is_wrong(change, fault, folder):
    record = a_record()
    change(record)
    save(folder, record)

    with pytest.raises(ModelError, match=r"is not a valid model description") as refused:
        load_model_package(folder)

    assert fault in str(refused.value)


def test_the_hash_is_that_of_the_standard(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")

    # FIPS 180-2, appendix B.1
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def an_ensemble(folder, count=3):
    record = a_record()
    del record["weights"], record["openvino"]
    record["members"] = []
    for number in range(count):
        content = b"weights of fold %d" % number
        (folder / f"fold{number}.ts").write_bytes(content)
        record["members"].append({"weights": {"file": f"fold{number}.ts", "sha256": digest(content)}})
    record["channels"] = ["body", "core"]
    record["input"] |= {"spacing_mm": [4.4, 1.25, 1.25], "orientation": "LFP", "intensity": "z_score"}
    save(folder, record)


def test_an_ensemble_has_its_members_in_order_and_one_hash(folder):
    an_ensemble(folder)

    model = load_model_package(folder)

    assert [member.torchscript.name for member in model.members] == ["fold0.ts", "fold1.ts", "fold2.ts"]
    assert model.sha256 == digest("".join(member.sha256 for member in model.members).encode())
    assert model.channels == ("body", "core")
    assert (model.input.spacing_mm, model.input.multiple) == ((4.4, 1.25, 1.25), (16, 16, 16))
    assert (model.input.orientation, model.input.intensity) == ("LFP", "z_score")


def test_each_member_is_verified(folder):
    an_ensemble(folder)
    (folder / "fold1.ts").write_bytes(b"something else")

    with pytest.raises(ModelError, match=r"fold1\.ts are not those of metadata\.json"):
        load_model_package(folder)


def test_an_ensemble_without_members_is_refused(folder):
    an_ensemble(folder, count=0)

    with pytest.raises(ModelError, match="at least one member"):
        load_model_package(folder)


def test_a_model_of_several_sequences_names_them_and_those_it_works_without(folder):
    record = a_record()
    record["input"] |= {"sequences": ["T2w", "DWI", "ADC"], "may_be_absent": ["ADC"]}
    save(folder, record)

    found = load_model_package(folder).input

    assert (found.sequences, found.may_be_absent) == (("T2w", "DWI", "ADC"), ("ADC",))


def test_a_model_without_names_of_sequences_has_one_image(folder):
    assert load_model_package(folder).input.sequences == ()


def test_a_model_that_works_without_all_its_sequences_is_refused(folder):
    record = a_record()
    record["input"] |= {"sequences": ["T2w", "DWI"], "may_be_absent": ["DWI", "T2w"]}
    save(folder, record)

    with pytest.raises(ModelError, match="one must be there"):
        load_model_package(folder)
