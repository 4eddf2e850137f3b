"""Weights of others become a model: the same outputs, everything that is not known is asked for, nothing is run."""

import functools
import json
import os
import pickle
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cli import unpickle_weights
from cli.main import main
from cli.read_weights import Reader, read_variables
from imaging.model_package import load_model_package, sha256_of
from imaging.outcome import ExitCode, ModelError, UsageError
from tests import monai_networks
from tests.monai_networks import Learner, ZNormalization, pose, random_network

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # deprecated, and still the format
ROOT = Path(__file__).resolve().parents[2]
SPINE = ROOT / "models" / "spine"
SLOW = pytest.mark.system  # each import costs half a second
STRIDES = ("--strides", "2,1x2x2")
GRID = ("--spacing", "4.4,0.78,0.78", "--orientation", "LFP", "--size", "16,40,80", "--intensity", "z_score")
SEQUENCES = ("--sequences", "T2w,DWI,ADC")
SHAPE = (4, 12, 8)


@pytest.fixture
def bring(tmp_path, capsys):
    """Import weights; return exit code, the folder that should be there, and what was printed."""

    def run(files, app, *options):
        files = files if isinstance(files, list) else [files]
        code = main(
            ["import-weights", *map(str, files), "--app", app, "-o", str(tmp_path / "models"), *map(str, options)]
        )
        printed = capsys.readouterr()
        return code, tmp_path / "models" / app, printed.out + printed.err

    return run


@pytest.fixture
def saved(tmp_path):
    """Save what is given and return the file."""

    def save(content, name="weights.pt"):
        path = tmp_path / name
        torch.save(content, path)
        return path

    return save


@pytest.fixture
def posing(monkeypatch):
    """Stand-ins for MONAI and fastMONAI, so that what is pickled names their classes; gone again afterwards."""
    for places in (monai_networks.MONAI, monai_networks.FASTMONAI):
        for classes in places.values():
            for one in classes:
                monkeypatch.setattr(one, "__module__", one.__module__)
        pose(places, replace=monkeypatch)


@pytest.fixture
def fastmonai_python(tmp_path):
    """A Python that has the stand-ins, as an environment with fastMONAI has the real ones."""
    path = tmp_path / "python-with-fastmonai"
    path.write_text(
        f"#!{sys.executable}\nimport runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests import monai_networks as m\nm.pose(m.MONAI)\nm.pose(m.FASTMONAI)\n"
        "sys.argv = sys.argv[4:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    path.chmod(0o755)
    return path


def noise(channels, shape=SHAPE):
    return torch.randn(1, channels, *shape, generator=torch.Generator().manual_seed(7))


def outputs(network, image):
    with torch.inference_mode():
        return network(image)


def scripts(folder):
    return [torch.jit.load(str(one.torchscript)).eval() for one in load_model_package(folder).members]


def nothing_written(folder):
    return not folder.parent.exists() or not list(folder.parent.iterdir())


@pytest.mark.parametrize(
    ("app", "network", "options"),
    [
        ("spine", {"after": 2}, ()),
        pytest.param("spine", {"after": 2, "units": 1}, (), marks=SLOW),
        pytest.param("spine", {"after": 2, "units": 0}, (), marks=SLOW),
        pytest.param("spine", {"after": 2, "units": 3, "channels": (4, 4, 6)}, (), marks=SLOW),
        pytest.param("skull_strip", {"norm": nn.BatchNorm3d}, (), marks=SLOW),
        pytest.param("skull_strip", {"norm": functools.partial(nn.GroupNorm, 1)}, ("--norm", "group:1"), marks=SLOW),
        pytest.param(
            "skull_strip",
            {"norm": functools.partial(nn.InstanceNorm3d, affine=True)},
            ("--norm", "instance"),
            marks=SLOW,
        ),
        pytest.param("skull_strip", {"act": nn.LeakyReLU}, ("--activation", "leakyrelu"), marks=SLOW),
        pytest.param("cervical_tumor", {"before": 3}, SEQUENCES, marks=SLOW),
    ],
)
def test_the_model_gives_what_the_network_gives(app, network, options, saved, bring):
    source = random_network(**network)

    code, folder, printed = bring(saved(source.state_dict()), app, *STRIDES, *GRID, *options)

    assert code == 0, printed
    image = noise(network.get("before", 1))
    wanted = outputs(source, image)
    assert wanted.std() > 0.01
    torch.testing.assert_close(outputs(scripts(folder)[0], image), wanted, rtol=0, atol=1e-5)


@SLOW
def test_anisotropic_strides_reach_the_right_axes(saved, bring):
    source = random_network(after=2, strides=((1, 2, 2), (2, 1, 3)))

    code, folder, printed = bring(
        saved(source.state_dict()), "spine", "--strides", "1x2x2,2x1x3", *GRID, "--size", "8,8,18"
    )

    assert code == 0, printed
    image = noise(1, (2, 6, 12))
    torch.testing.assert_close(outputs(scripts(folder)[0], image), outputs(source, image), rtol=0, atol=1e-5)
    assert json.loads((folder / "metadata.json").read_text())["network"]["strides"] == [[1, 2, 2], [2, 1, 3]]


@SLOW
@pytest.mark.parametrize("root", ["", "module.", "_orig_mod.", "net."])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state}])
def test_checkpoints_and_prefixes_are_seen_through(root, wrap, saved, bring):
    source = random_network(after=2)
    state = OrderedDict((root + name, value) for name, value in source.state_dict().items())

    code, folder, printed = bring(saved(wrap(state)), "spine", *STRIDES, *GRID)

    assert code == 0, printed
    torch.testing.assert_close(outputs(scripts(folder)[0], noise(1)), outputs(source, noise(1)), rtol=0, atol=1e-5)


def test_the_metadata_tell_input_origin_and_that_nothing_was_evaluated(saved, bring):
    source = random_network(before=3)
    file = saved(source.state_dict(), "published.pth")

    code, folder, printed = bring(
        file, "cervical_tumor", *STRIDES, "--spacing", "0.7", "--orientation", "ras", "--size", "32,48,16",
        "--intensity", "z_score", *SEQUENCES, "--may-be-absent", "DWI", "--threshold", "0.4", "--version", "2.1",
    )  # fmt: skip

    assert code == 0, printed
    package = load_model_package(folder)
    record = json.loads((folder / "metadata.json").read_text())
    assert package.name == "cervical_tumor"
    assert package.version == "2.1"
    assert package.threshold == 0.4
    assert package.channels == ("tumour",)
    assert package.input.spacing_mm == (0.7, 0.7, 0.7)
    assert package.input.orientation == "RAH"  # S is H in DICOM
    assert package.input.multiple == package.input.maximum == (32, 48, 16)
    assert package.input.sequences == ("T2w", "DWI", "ADC")
    assert package.input.may_be_absent == ("DWI",)
    assert "not evaluated here" in package.calibration
    assert record["imported"][0]["sha256"] == sha256_of(file)
    assert record["imported"][0]["file"] == "published.pth"
    assert "not evaluated here" in (folder / "card.md").read_text().splitlines()[2]
    assert record["network"]["channels"] == [4, 6, 8]
    assert record["network"]["residual_units"] == 2


@SLOW
def test_a_grid_that_fits_is_a_multiple_of_the_strides(saved, bring):
    _, folder, _ = bring(saved(random_network(after=2).state_dict()), "spine", *STRIDES, *GRID, "--fit")

    package = load_model_package(folder)
    assert package.input.multiple == (2, 4, 4)
    assert package.input.maximum == (16, 40, 80)


@SLOW
def test_a_model_it_is_like_tells_input_and_threshold_but_not_what_may_be_absent(saved, bring, tmp_path):
    like = tmp_path / "like"
    like.mkdir()
    described = {
        "spacing_mm": [1, 2, 3], "orientation": "LFP", "multiple": 4, "maximum": [8, 16, 24], "intensity": "z_score",
        "sequences": ["T2w", "DWI", "ADC"], "may_be_absent": ["DWI"],
    }  # fmt: skip
    network = {"strides": [[2, 2, 2], [1, 2, 2]]}
    (like / "metadata.json").write_text(json.dumps({"input": described, "threshold": 0.3, "network": network}))

    code, folder, printed = bring(saved(random_network(before=3).state_dict()), "cervical_tumor", "--like", like)

    assert code == 0, printed
    package = load_model_package(folder)
    assert package.input.spacing_mm == (1, 2, 3)
    assert package.input.multiple == (4, 4, 4)
    assert package.threshold == 0.3
    assert package.input.may_be_absent == ()


@SLOW
def test_one_output_stands_for_body_and_core(saved, bring):
    source = random_network()

    code, folder, printed = bring(saved(source.state_dict()), "spine", *STRIDES, *GRID)

    assert code == 0, printed
    found, wanted = outputs(scripts(folder)[0], noise(1)), outputs(source, noise(1))
    assert load_model_package(folder).channels == ("body", "core")
    torch.testing.assert_close(found, torch.cat([wanted, wanted], 1), rtol=0, atol=1e-5)


@SLOW
def test_softmax_of_two_becomes_the_sigmoid_of_one(saved, bring):
    source = random_network(after=2)

    code, folder, printed = bring(saved(source.state_dict()), "skull_strip", *STRIDES, *GRID, "--softmax")

    assert code == 0, printed
    found = outputs(scripts(folder)[0], noise(1)).sigmoid()
    torch.testing.assert_close(found, outputs(source, noise(1)).softmax(1)[:, 1:], rtol=0, atol=1e-5)


@SLOW
def test_several_files_become_an_ensemble_in_their_order(saved, bring):
    sources = [random_network(after=2, seed=seed) for seed in (1, 2)]
    files = [saved(one.state_dict(), f"fold{number}.pt") for number, one in enumerate(sources)]

    code, folder, printed = bring(files, "spine", *STRIDES, *GRID)

    assert code == 0, printed
    for script, source in zip(scripts(folder), sources, strict=True):
        torch.testing.assert_close(outputs(script, noise(1)), outputs(source, noise(1)), rtol=0, atol=1e-5)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


def changed(name, change):
    return lambda state: {**state, name: change(state[name])}


LAST = "model.2.0.conv.weight"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: without(state, "model.0.conv.unit1.conv.weight"), "lacks model.0.conv.unit1.conv.weight"),
        (lambda state: {**state, "model.0.strange": torch.zeros(2)}, "Unexpected key"),
        (lambda state: {**state, "head.weight": torch.zeros(2)}, "found head.weight"),
        (lambda state: {"encoder.weight": torch.zeros(3, 3)}, "found encoder.weight"),
        (changed(LAST, lambda one: one[:-1]), "do not fit together"),
        (changed(LAST, lambda one: one[..., 0]), "3D network"),
        (changed(LAST, lambda one: one[..., :2]), "Odd kernels"),
        (changed(LAST, lambda one: one * float("nan")), "Finite weights"),
    ],
)
def test_tensors_that_are_not_a_unet_are_refused_and_nothing_is_written(damage, message, saved, bring):
    state = damage(random_network(after=2).state_dict())

    code, folder, printed = bring(saved(state), "spine", *STRIDES, *GRID)

    assert code == ExitCode.MODEL
    assert message in printed
    assert nothing_written(folder)


@pytest.mark.parametrize(
    ("app", "network", "options", "message"),
    [
        ("spine", {"after": 2}, GRID, "strides of 2 levels"),
        ("spine", {"after": 2}, ("--strides", "2,2,2", *GRID), "2 levels is needed, 3 are given"),
        ("spine", {"after": 2}, ("--strides", "1,2", *GRID), "is not 1; 1x1x1 is given"),
        ("spine", {"after": 2, "strides": ((1, 1, 1), (2, 2, 2))}, ("--strides", "2", *GRID), "is 1; 2x2x2 is given"),
        ("spine", {"after": 3}, (*STRIDES, *GRID), "expects 2 output channels, the network has 3"),
        ("spine", {"after": 3}, (*STRIDES, *GRID, "--softmax"), "the network has 3"),
        ("spine", {"act": nn.ReLU}, (*STRIDES, *GRID), "Give --activation"),
        ("spine", {"norm": functools.partial(nn.GroupNorm, 2), "after": 2}, (*STRIDES, *GRID), "Give --norm"),
        ("spine", {}, STRIDES, "Give --spacing"),
        ("spine", {}, (*STRIDES, *GRID[:2]), "Give --orientation"),
        ("spine", {}, (*STRIDES, *GRID[:4], "--intensity", "z_score"), "Give --size"),
        ("spine", {}, (*STRIDES, *GRID[:6]), "Give --intensity"),
        ("spine", {}, (*STRIDES, *GRID, "--size", "16,42,80"), "multiples of [2, 4, 4]"),
        ("spine", {}, (*STRIDES, *GRID, "--like", "nowhere"), "--like needs a folder"),
        ("spine", {}, (*STRIDES, *GRID, "--vars", "nowhere"), "vars.pkl"),
        ("cervical_tumor", {"before": 3}, (*STRIDES, *GRID), "Give --sequences"),
        ("cervical_tumor", {"before": 2}, (*STRIDES, *GRID, *SEQUENCES), "takes 2 channels"),
        ("cervical_tumor", {"before": 3}, (*STRIDES, *GRID, *SEQUENCES, "--may-be-absent", "FLAIR"), "names FLAIR"),
    ],
)
def test_what_is_not_known_is_asked_for_and_nothing_is_written(app, network, options, message, saved, bring):
    code, folder, printed = bring(saved(random_network(**network).state_dict()), app, *options)

    assert code == ExitCode.USAGE
    assert message in printed
    assert nothing_written(folder)


def test_two_channels_are_too_many_for_an_application_of_one_series(saved, bring):
    code, folder, printed = bring(saved(random_network(before=2).state_dict()), "spine", *STRIDES, *GRID)

    assert code == ExitCode.MODEL
    assert "this one takes 2" in printed
    assert nothing_written(folder)


@pytest.mark.parametrize(
    "options",
    [
        ("--spacing", "1,2"), ("--spacing", "1,0,1"), ("--size", "a"), ("--strides", "2x2"), ("--strides", "0"),
        ("--orientation", "RAL"), ("--orientation", "XYZ"), ("--threshold", "1.5"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_an_error_of_usage(options, bring, tmp_path):
    with pytest.raises(SystemExit) as end:
        bring(tmp_path / "none.pt", "spine", *options)

    assert end.value.code == 2


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(kept, saved, bring):
    file = saved(random_network(after=2, channels=(8, 16, 24)).state_dict())
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])

    code, folder, printed = bring(file, "spine", *STRIDES, *GRID)

    assert code == ExitCode.MODEL
    assert "cut short" in printed
    assert nothing_written(folder)


@SLOW
def test_safetensors_come_in_and_damaged_ones_do_not(bring, tmp_path):
    save_file = pytest.importorskip("safetensors.torch", reason="no safetensors: pip install safetensors").save_file
    source, file = random_network(after=2), tmp_path / "weights.safetensors"
    save_file(source.state_dict(), file)

    code, folder, printed = bring(file, "spine", *STRIDES, *GRID)

    assert code == 0, printed
    torch.testing.assert_close(outputs(scripts(folder)[0], noise(1)), outputs(source, noise(1)), rtol=0, atol=1e-5)
    folder.rename(tmp_path / "first")
    file.write_bytes(file.read_bytes()[:2000])

    code, folder, printed = bring(file, "spine", *STRIDES, *GRID)

    assert code == ExitCode.MODEL
    assert "cut short" in printed


def test_safetensors_without_the_library_are_an_error_of_usage(bring, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    (tmp_path / "weights.safetensors").write_bytes(b"")

    code, _, printed = bring(tmp_path / "weights.safetensors", "spine")

    assert code == ExitCode.USAGE
    assert "pip install safetensors" in printed


def test_a_missing_file_is_an_error_of_usage(bring, tmp_path):
    code, folder, printed = bring(tmp_path / "none.pt", "spine", *STRIDES, *GRID)

    assert code == ExitCode.USAGE
    assert "none.pt is none" in printed
    assert nothing_written(folder)


def test_a_checkpoint_without_weights_is_refused_with_what_it_holds(saved, bring):
    code, _, printed = bring(saved({"epoch": 3, "loss": 0.5}), "spine", *STRIDES, *GRID)

    assert code == ExitCode.MODEL
    assert "a dict of epoch, loss" in printed


def test_torchscript_needs_no_import(bring, tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(nn.Conv3d(1, 1, 1), torch.zeros(1, 1, 2, 2, 2)).save(str(path))

    code, _, printed = bring(path, "spine")

    assert code == ExitCode.MODEL
    assert "TorchScript already" in printed


def test_a_model_that_is_there_is_left_alone(saved, bring, tmp_path):
    there = tmp_path / "models" / "spine" / "model.ts"
    there.parent.mkdir(parents=True)
    there.write_text("precious")

    code, _, printed = bring(saved(random_network().state_dict()), "spine", *STRIDES, *GRID)

    assert code == ExitCode.OUTPUT
    assert "move it away" in printed
    assert there.read_text() == "precious"
    assert [path.name for path in there.parent.parent.iterdir()] == ["spine"]


def test_networks_built_differently_are_no_ensemble(saved, bring):
    files = [saved(random_network(units=units).state_dict(), f"{units}.pt") for units in (1, 2)]

    code, folder, printed = bring(files, "spine", *STRIDES, *GRID)

    assert code == ExitCode.USAGE
    assert "built alike" in printed
    assert nothing_written(folder)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ([[16, 400, 400], True, [4.4, 0.78, 0.78]], ([16, 400, 400], True, [4.4, 0.78, 0.78])),
        ([None, False, None], (None, False, None)),
        ([[16, 16, 16], 1, 2], ([16, 16, 16], True, [2.0, 2.0, 2.0])),
    ],
)
def test_variables_of_json_are_size_reorder_and_spacing(content, wanted, tmp_path):
    file = tmp_path / "vars.json"
    file.write_text(json.dumps(content))

    found = read_variables(file, Reader())

    assert (found.size, found.reorder, found.spacing_mm) == wanted


@pytest.mark.parametrize("content", [[1, 2], [[16, 400], True, None], [[16, 16, 16], True, ["a", "b", "c"]], {}])
def test_variables_of_another_kind_are_refused(content, tmp_path):
    file = tmp_path / "vars.json"
    file.write_text(json.dumps(content))

    with pytest.raises(ModelError, match="Leave --vars out"):
        read_variables(file, Reader())


@SLOW
def test_variables_give_grid_and_ras_axes(saved, bring, tmp_path):
    file = tmp_path / "vars.json"
    file.write_text(json.dumps([[16, 40, 80], True, [4.4, 0.78, 0.78]]))

    code, folder, printed = bring(
        saved(random_network().state_dict()), "spine", *STRIDES, "--vars", file, "--intensity", "z_score"
    )

    assert code == 0, printed
    package = load_model_package(folder)
    assert package.input.spacing_mm == (4.4, 0.78, 0.78)
    assert package.input.orientation == "RAH"
    assert package.input.maximum == package.input.multiple == (16, 40, 80)


def test_axes_that_were_not_reordered_must_be_told(saved, bring, tmp_path):
    file = tmp_path / "vars.json"
    file.write_text(json.dumps([[16, 40, 80], False, [4.4, 0.78, 0.78]]))

    code, _, printed = bring(saved(random_network().state_dict()), "spine", *STRIDES, "--vars", file)

    assert code == ExitCode.USAGE
    assert "Give --orientation" in printed


class Evil:
    """Leaves the number of the process that unpickles it."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return exec, (f"import os, pathlib; pathlib.Path({self.marker!r}).write_text(str(os.getpid()))",)


class Slow:
    def __reduce__(self):
        return time.sleep, (120,)


def test_the_marker_of_these_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "marker")))  # noqa: S301 - it is our own

    assert (tmp_path / "marker").read_text() == str(os.getpid())


def test_reading_inertly_runs_nothing_and_finds_tensors_and_layers(posing, saved, tmp_path):
    source = random_network(after=2, norm=nn.BatchNorm3d)
    learner = Learner(source, [ZNormalization()])
    learner.hook = Evil(tmp_path / "marker")
    file = saved(learner, "export.pkl")

    loaded = unpickle_weights.load_inert(file)
    network = unpickle_weights.network_of(loaded)
    tensors = unpickle_weights.tensors_of(network)

    assert not (tmp_path / "marker").exists()
    assert type(loaded) is not Learner
    assert list(tensors) == list(source.state_dict())
    assert all(torch.equal(tensors[name], value) for name, value in source.state_dict().items())
    assert unpickle_weights.layers_of(network) == unpickle_weights.layers_of(source)
    assert unpickle_weights.transforms_of(loaded) == unpickle_weights.transforms_of(learner)
    assert unpickle_weights.transforms_of(loaded)[0]["name"] == "ZNormalization"


@pytest.mark.parametrize(
    "value",
    [[[16, 40, 80], True, [4.4, 0.78, 0.78]], [[np.int64(16), 40, 80], True, [np.float64(4.4), np.float32(0.5), 1.0]]],
)
def test_numbers_in_a_pickle_keep_their_values(value, tmp_path):
    file = tmp_path / "vars.pkl"
    file.write_bytes(pickle.dumps(value))

    found = unpickle_weights.read_variables(file)

    assert found == [[float(one) for one in value[0]], True, [float(one) for one in value[2]]]


@SLOW
@pytest.mark.parametrize("pack", [lambda network: Learner(network, [ZNormalization()]), lambda network: network])
def test_a_pickled_network_comes_in_with_its_strides_and_without_its_libraries(pack, posing, saved, bring, tmp_path):
    source = random_network(after=2, act=nn.LeakyReLU, strides=((1, 2, 2), (2, 2, 1)))
    file = saved(pack(source), "export.pkl")
    (tmp_path / "vars.pkl").write_bytes(pickle.dumps([[16, 40, 80], True, [4.4, 0.78, 0.78]]))
    intensity = () if isinstance(pack(source), Learner) else ("--intensity", "z_score")

    code, folder, printed = bring(file, "spine", "--vars", tmp_path / "vars.pkl", *intensity)

    assert code == 0, printed
    torch.testing.assert_close(outputs(scripts(folder)[0], noise(1)), outputs(source, noise(1)), rtol=0, atol=1e-5)
    package = load_model_package(folder)
    assert package.input.orientation == "RAH"
    assert package.input.intensity == "z_score"


@SLOW
def test_another_normalisation_than_ours_is_asked_for(posing, saved, bring):
    file = saved(Learner(random_network(), [ZNormalization(masking_method="foreground")]), "export.pkl")

    code, _, printed = bring(file, "spine", *GRID[:6])

    assert code == ExitCode.USAGE
    assert "found ZNormalization" in printed


@SLOW
def test_a_network_of_other_layers_is_refused(posing, saved, bring):
    source = random_network(act=functools.partial(nn.LeakyReLU, 0.3))
    file = saved(Learner(source, [ZNormalization()]), "export.pkl")

    code, folder, printed = bring(file, "spine", *GRID)

    assert code == ExitCode.MODEL
    assert "negative_slope 0.3" in printed
    assert nothing_written(folder)


@SLOW
def test_a_pickle_runs_only_when_it_is_trusted_and_never_here(posing, saved, bring, tmp_path, fastmonai_python):
    learner = Learner(random_network(after=2), [ZNormalization()])
    learner.hook = Evil(tmp_path / "marker")
    file = saved(learner, "export.pkl")

    code, folder, printed = bring(file, "spine", *GRID)

    assert code == 0, printed
    assert not (tmp_path / "marker").exists()
    folder.rename(tmp_path / "untrusted")

    code, folder, printed = bring(file, "spine", *GRID, "--trust-pickle", "--python", fastmonai_python)

    assert code == 0, printed
    assert "pickle is a program" in printed
    assert (tmp_path / "marker").read_text() != str(os.getpid())
    assert "differs from the source network" in printed


@SLOW
def test_a_trusted_network_that_computes_something_else_is_refused(posing, saved, bring, fastmonai_python):
    file = saved(Learner(random_network(after=2), [ZNormalization()]), "export.pkl")
    text = fastmonai_python.read_text()  # in that environment the same classes compute something else
    fastmonai_python.write_text(
        text.replace("sys.argv = ", "m.UNet.forward = lambda self, image: 2 * self.model(image)\nsys.argv = ")
    )

    code, folder, printed = bring(file, "spine", *GRID, "--trust-pickle", "--python", fastmonai_python)

    assert code == ExitCode.MODEL
    assert "must give what the source gives" in printed
    assert nothing_written(folder)


@SLOW
def test_a_missing_library_is_named_with_the_remedy(posing, saved, bring):
    file = saved(Learner(random_network(), [ZNormalization()]), "export.pkl")

    code, folder, printed = bring(file, "spine", *GRID, "--trust-pickle")

    assert code == ExitCode.MODEL
    assert "needs fastai" in printed
    assert "Leave --trust-pickle out" in printed
    assert nothing_written(folder)


@SLOW
def test_what_does_not_end_is_ended(saved, bring):
    file = saved({"model": random_network().state_dict(), "slow": Slow()})

    code, folder, printed = bring(file, "spine", *GRID, "--trust-pickle", "--time-limit", "1")

    assert code == ExitCode.MODEL
    assert "not done after 1 s" in printed
    assert nothing_written(folder)


@SLOW
def test_a_checkpoint_with_objects_beside_its_state_dict_is_read(saved, bring, tmp_path):
    source = random_network(after=2)
    file = saved({"model": source.state_dict(), "options": Evil(tmp_path / "marker")})

    code, folder, printed = bring(file, "spine", *STRIDES, *GRID)

    assert code == 0, printed
    assert not (tmp_path / "marker").exists()
    torch.testing.assert_close(outputs(scripts(folder)[0], noise(1)), outputs(source, noise(1)), rtol=0, atol=1e-5)


@SLOW
@pytest.mark.parametrize("content", [b"", b"these are no weights", pickle.dumps({"a": 1})])
def test_a_file_of_something_else_is_refused(content, bring, tmp_path):
    file = tmp_path / "export.pkl"
    file.write_bytes(content)

    code, folder, printed = bring(file, "spine", *STRIDES, *GRID)

    assert code == ExitCode.MODEL
    assert "Download it again" in printed
    assert nothing_written(folder)


@SLOW
def test_variables_that_are_a_program_are_not_run(tmp_path):
    file = tmp_path / "vars.pkl"
    file.write_bytes(pickle.dumps([[16, 40, 80], True, Evil(tmp_path / "marker")]))

    with pytest.raises(ModelError, match="Leave --vars out"):
        read_variables(file, Reader())

    assert not (tmp_path / "marker").exists()


@SLOW
def test_another_process_gets_no_secrets(saved, bring, tmp_path, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "secret")
    file = saved({"model": random_network().state_dict(), "look": Look(tmp_path / "seen")})

    code, _, printed = bring(file, "spine", *STRIDES, *GRID, "--trust-pickle")

    assert code == 0, printed
    assert "PATH" in (tmp_path / "seen").read_text()
    assert "secret" not in (tmp_path / "seen").read_text()


class Look(Evil):
    """Leaves the environment of the process that unpickles it."""

    def __reduce__(self):
        return exec, (f"import os, pathlib; pathlib.Path({self.marker!r}).write_text(str(dict(os.environ)))",)


def test_a_python_that_is_not_there_is_an_error_of_usage(tmp_path):
    file = tmp_path / "vars.pkl"
    file.write_bytes(pickle.dumps([None, True, None]))

    with pytest.raises(UsageError, match="Give --python"):
        read_variables(file, Reader(python=str(tmp_path / "no-python")))


@SLOW
def test_the_weights_of_the_spine_model_come_back_as_they_are(saved, bring):
    source = torch.jit.load(str(SPINE / "fold0.ts")).eval()  # traced from MONAI's own network
    image = noise(1, (16, 32, 48))

    code, folder, printed = bring(saved(dict(source.state_dict())), "spine", "--like", SPINE, "--openvino")

    assert code == 0, printed
    torch.testing.assert_close(outputs(scripts(folder)[0], image), outputs(source, image), rtol=0, atol=1e-5)
    made, shipped = load_model_package(folder), load_model_package(SPINE)
    assert made.input == shipped.input
    assert made.channels == shipped.channels
    assert made.members[0].openvino.name == "model.xml"


@SLOW
def test_weights_of_monai_itself_come_in(saved, bring):
    nets = pytest.importorskip("monai.networks.nets", reason="no MONAI core beside the App SDK: pip install monai")
    torch.manual_seed(0)
    source = nets.UNet(3, 3, 1, (4, 8, 12), (2, 2), num_res_units=2).eval()

    code, folder, printed = bring(saved(source.state_dict()), "cervical_tumor", "--strides", "2", *GRID, *SEQUENCES)

    assert code == 0, printed
    torch.testing.assert_close(outputs(scripts(folder)[0], noise(3)), outputs(source, noise(3)), rtol=0, atol=1e-5)


MAKE_LEARNER = """
import sys, pathlib, torch
import numpy as np, pandas as pd, torchio as tio
from fastMONAI.vision_all import *
from monai.networks.nets import UNet
torch.manual_seed(0)
folder = pathlib.Path(sys.argv[1])
rows = []
for number in range(2):
    image = tio.ScalarImage(tensor=torch.rand(1, 16, 32, 32), affine=np.diag([4.4, 0.78, 0.78, 1.0]))
    mask = tio.LabelMap(tensor=(image.data > 0.7).int(), affine=image.affine)
    image.save(folder / f"image{number}.nii.gz"); mask.save(folder / f"mask{number}.nii.gz")
    rows.append({"image": str(folder / f"image{number}.nii.gz"), "mask": str(folder / f"mask{number}.nii.gz")})
frame = pd.DataFrame(rows); frame["is_val"] = [False, True]
size, reorder, spacing = [16, 32, 32], True, [4.4, 0.78, 0.78]
block = MedDataBlock(blocks=(ImageBlock(cls=MedImage), MedMaskBlock), splitter=ColSplitter("is_val"),
    get_x=ColReader("image"), get_y=ColReader("mask"), item_tfms=[ZNormalization(), PadOrCrop(size)],
    apply_reorder=reorder, target_spacing=spacing)
dls = block.dataloaders(frame, bs=1)
network = UNet(3, 1, 1, (4, 8, 16), (2, 2), num_res_units=2)
learn = Learner(dls, network, loss_func=CustomLoss(loss_func=TverskyFocalLoss(sigmoid=True)), opt_func=ranger)
learn.fit(1)
learn.export(folder / "export.pkl")
pickle = __import__("pickle"); pickle.dump([size, reorder, spacing], open(folder / "vars.pkl", "wb"))
again = load_learner(folder / "export.pkl", cpu=True)
image = torch.randn(1, 1, 8, 16, 12, generator=torch.Generator().manual_seed(7))
with torch.inference_mode():
    output = again.model.eval()(image)
torch.save({"image": image, "output": output.as_subclass(torch.Tensor).clone()}, folder / "reference.pt")
"""


@SLOW
@pytest.mark.parametrize("trust", [False, True])
def test_a_learner_that_fastmonai_exported_comes_in(trust, bring, tmp_path):
    python = os.environ.get("MAP_FASTMONAI_PYTHON")
    if not python:
        pytest.skip("no fastMONAI: set MAP_FASTMONAI_PYTHON to the Python of an environment with it")
    subprocess.run([python, "-c", MAKE_LEARNER, str(tmp_path)], check=True, cwd=tmp_path)
    options = ("--trust-pickle", "--python", python) if trust else ()

    code, folder, printed = bring(tmp_path / "export.pkl", "spine", "--vars", tmp_path / "vars.pkl", *options)

    assert code == 0, printed
    made = torch.load(tmp_path / "reference.pt", weights_only=True)
    found = outputs(scripts(folder)[0], made["image"])
    torch.testing.assert_close(found, made["output"].repeat(1, 2, 1, 1, 1), rtol=0, atol=1e-4)
    assert load_model_package(folder).input.intensity == "z_score"
