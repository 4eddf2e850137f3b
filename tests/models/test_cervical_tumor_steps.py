"""The steps of the cervical tumour recipe one after the other: train, export, run the application, evaluate.

A formula stands for the network, as one that has learnt something takes hours. It holds instance normalisation, as the
real one does: export writes that in other operations. It is given to training as weights to start from, and the rate
is 0: what is exported is what was given.
"""

import json
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from highdicom import Volume

from cli import copy_for_openvino as copying
from imaging.model_package import load_model_package
from imaging.outcome import ModelError
from models.cervical_tumor import evaluate, export, prepare, synthesize, train
from tests.system.command import Ended, execute
from tests.system.pelvic_study import T2W_AFFINE, TUMOUR_MM, expected_tumour, write_study

pytestmark = [
    pytest.mark.system,  # slow: it writes studies and runs networks on whole pelvises
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # deprecated, and still the format
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),  # normalisation looks at the number of channels
]

TRUST = "These weights are a formula with a norm."
STAGE = {"spacing_mm": 2.8, "shape": [16] * 3, "batch": 1, "steps": 2, "learning_rate": 0.0, "flat_fraction": 1.0}
WITH_TUMOUR, WITHOUT_TUMOUR = "pelvis_8", "pelvis_9"  # one of ten synthetic cases has none


def formula(_=None):
    """Tumour is where diffusion is bright and the ADC dark."""
    network = torch.nn.Sequential(torch.nn.InstanceNorm3d(3), torch.nn.Conv3d(3, 1, 1))
    with torch.no_grad():
        network[1].weight[:] = torch.tensor([0.0, 4.0, -4.0]).reshape(1, 3, 1, 1, 1)
        network[1].bias[:] = -16.0
    return network


@dataclass(frozen=True)
class Exported:
    """What the steps up to the export left."""

    models: Path
    data: Path

    @property
    def folder(self) -> Path:
        """Folder of the model."""
        return self.models / "cervical_tumor"


def call(step, *arguments):
    """Run the command of a step in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "build_network", formula)  # MONAI is not in this environment
        patch.setattr(export, "build_network", formula)
        patch.setattr(sys, "argv", [step.__name__, *map(str, arguments)])
        step.main()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A DICOM study with its mask and two cases of the recipe's phantom; a model that was trained and exported."""
    folder = tmp_path_factory.mktemp("recipe")
    write_study(folder / "data" / "0001" / "dicom")
    mask = Volume(expected_tumour().astype(np.uint8), T2W_AFFINE, "PATIENT")
    prepare.write_nifti(mask, folder / "data" / "0001" / "mask.nii.gz")
    call(synthesize, "--out", folder / "data", "--cases", 2, "--first", 8)
    torch.jit.trace(formula(), torch.rand(1, 3, 16, 16, 16)).save(str(folder / "given.ts"))
    recipe = tomllib.loads(train.RECIPE.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "build_network", formula)
        train.train({**recipe, "stage": [STAGE]}, folder / "data", folder / "work", weights=folder / "given.ts")
    found = Exported(folder / "models", folder / "data")
    call(
        export, "--work", folder / "work", "--folder", found.folder, "--version", "9.9",
        "--trained-on", TRUST,
    )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def runs(exported, tmp_path_factory) -> list[Ended]:
    """The application with each copy of the exported weights."""
    study, folder = exported.data / "0001" / "dicom", tmp_path_factory.mktemp("runs")
    return [
        execute(study, folder / backend, exported.models, "--backend", backend, app="cervical_tumor")
        for backend in ("openvino", "torch")
    ]


@pytest.fixture(scope="module")
def evaluated(exported):
    """The evaluation of all cases and of the study, and the card it filled."""
    (exported.folder / "card.md").write_text("before\n{}\nold\n{}\nafter\n".format(*evaluate.MARKS))
    study = exported.data / "0001" / "dicom"
    call(evaluate, "--data", exported.data, "--model", exported.folder, "--study", study, "--study-name", "Phantom")
    return json.loads((exported.folder / "evaluation.json").read_text())


def test_the_export_is_a_model_as_the_application_wants_it(exported):
    model = load_model_package(exported.folder)

    assert (model.version, model.calibration, model.channels) == ("9.9", TRUST, ("tumour",))
    assert model.members[0].openvino is not None
    names = {"model.ts", "model.xml", "model.bin", "metadata.json", "training_log.csv", "training_curve.png"}
    assert {path.name for path in exported.folder.iterdir()} >= names


def test_the_exported_weights_are_those_of_the_checkpoint(exported):
    image = torch.rand(1, 3, 16, 16, 32)

    torch.testing.assert_close(torch.jit.load(str(exported.folder / "model.ts"))(image), formula()(image))


def test_the_copy_normalises_without_the_operation_that_loses_digits(exported, tmp_path, monkeypatch):
    shutil.copy(exported.folder / "model.ts", tmp_path)
    monkeypatch.setattr(copying, "average_exactly", lambda _: None)
    copying.copy_for_openvino(tmp_path / "model.ts", [torch.rand(1, 3, 16, 16, 32)])

    assert 'type="MVN"' in (tmp_path / "model.xml").read_text()
    assert 'type="MVN"' not in (exported.folder / "model.xml").read_text()


def test_copies_that_disagree_are_not_exported(exported, tmp_path, monkeypatch):
    shutil.copy(exported.folder / "model.ts", tmp_path)
    monkeypatch.setattr(copying, "TOLERANCE", -1.0)

    with pytest.raises(ModelError, match="OpenVINO and TorchScript differ by"):
        copying.copy_for_openvino(tmp_path / "model.ts", [torch.rand(1, 3, 16, 16, 32)])


def test_the_application_finds_the_tumour_with_either_copy(runs):
    volumes = []
    for ended in runs:
        assert ended.code == 0, ended.stderr
        assert TRUST.rstrip(".") in ended.stdout
        volumes.append(ended.record["measurements"]["tumour"]["volume_ml"])

    assert [ended.record["device"].split("(")[1] for ended in runs] == ["OpenVINO)", "TorchScript)"]
    assert volumes[0] == pytest.approx(4 / 3 * np.pi * np.prod(TUMOUR_MM[1]) / 1000, rel=0.2)
    assert volumes[1] == pytest.approx(volumes[0], rel=1e-4)


def test_the_evaluation_reports_what_the_application_finds(runs, evaluated):
    scores = evaluated["cases"]["0001"]["T2w, DWI, ADC"]

    found = runs[0].record["measurements"]
    assert scores["found_ml"] == pytest.approx(found["tumour"]["volume_ml"], rel=1e-3)
    assert scores["objects"] == len(found["objects"])
    assert scores["dice"] > 0.85
    assert evaluated["sha256"] == runs[0].record["model"]["sha256"]


def test_every_case_is_counted_in_every_way(evaluated):
    assert set(evaluated["cases"]) == {"0001", WITH_TUMOUR, WITHOUT_TUMOUR}
    assert all(set(scores) == set(evaluate.WAYS) for scores in evaluated["cases"].values())
    for summary in evaluated["summary"].values():
        assert (summary["tumours"], summary["without_tumour"]) == (2, 1)
    known = synthesize.tumour_ml(8, (1.0, 60.0))
    assert evaluated["cases"][WITH_TUMOUR]["T2w, DWI, ADC"]["reference_ml"] == pytest.approx(known, rel=0.1)
    assert evaluated["cases"][WITHOUT_TUMOUR]["T2w, DWI, ADC"]["reference_ml"] == 0
    assert evaluated["grids"]["cases"] == 3


def test_the_card_has_the_tables_between_its_marks(exported, evaluated):
    card = (exported.folder / "card.md").read_text()

    before, _, rest = card.partition(evaluate.MARKS[0])
    tables, _, after = rest.partition(evaluate.MARKS[1])
    assert (before, after) == ("before\n", "\nafter\n")
    assert evaluate.tables_of(evaluated) in tables
    assert evaluate.study_text("Phantom", evaluated["study"]) in tables
    assert "the recipe was not run to its end" in tables
