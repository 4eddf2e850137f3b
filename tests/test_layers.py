"""Imports point inwards: cli and apps know operators, operators know imaging, imaging knows neither SDK nor torch."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("monai", "holoscan", "torch")
MAY_NOT_IMPORT = {
    "imaging": {"operators", "apps", "cli", "pacs", *HEAVY},
    "operators": {"operators", "apps", "cli", "pacs"},  # operators meet only in compose()
    "apps": {"apps", "pacs"},
}
MAPS_MAY_IMPORT = ("maps", "imaging.deployment", "imaging.model_package", "imaging.outcome", "imaging.suite")
SHARED_BY_OPERATORS = ("operators.step", "operators.networks")
LAYERS = [path for layer in MAY_NOT_IMPORT for path in sorted((ROOT / layer).rglob("*.py"))]
MAPS = sorted((ROOT / "maps").rglob("*.py"))
MODULES = [*LAYERS, *sorted((ROOT / "cli").rglob("*.py")), *MAPS]


def named(path):
    return str(path.relative_to(ROOT))


@functools.cache
def imports(source):
    """Statements of a source that import something, wherever in it; several rules look at them."""
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(source):
    """Names of the modules that a source imports, whatever for."""
    for node in imports(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden(path, source):
    """Imports of a module that its layer may not have; its own application and what operators share are its own."""
    parts = path.relative_to(ROOT).parts
    own = SHARED_BY_OPERATORS if parts[0] == "operators" else (".".join(parts[:2]),)
    return [
        name
        for name in imported(source)
        if name.split(".")[0] in MAY_NOT_IMPORT[parts[0]] and not any(f"{name}.".startswith(f"{one}.") for one in own)
    ]


def found_in(paths, rule):
    """What a rule finds wrong, by module."""
    assert paths
    found = {named(path): rule(path) for path in paths}
    return {module: wrong for module, wrong in found.items() if wrong}


def test_imports_point_inwards():
    assert found_in(LAYERS, lambda path: forbidden(path, path.read_text())) == {}


def test_no_module_hides_the_standard_library():
    assert found_in(MODULES, lambda path: path.stem in sys.stdlib_module_names) == {}


def test_imports_are_absolute():
    def relative(path):
        return [node.lineno for node in imports(path.read_text()) if isinstance(node, ast.ImportFrom) and node.level]

    assert found_in(MODULES, relative) == {}


def marked(path):
    """Whether all tests of a module are system tests."""
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    marks = [node.value for node in assigned if ast.unparse(node.targets[0]) == "pytestmark"]
    return "pytest.mark.system" in [ast.unparse(part) for mark in marks for part in ast.walk(mark)]


def test_what_lies_with_the_system_tests_is_marked_as_one():
    """`make test` does not look there, and `make system-test` takes what is marked."""
    assert found_in(sorted((ROOT / "tests" / "system").rglob("test_*.py")), lambda path: not marked(path)) == {}


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("imaging/x.py", "def f():\n    import torch.nn", ["torch.nn"]),
        ("imaging/x.py", "from monai.deploy.core import Operator", ["monai.deploy.core.Operator"]),
        ("imaging/x.py", "import numpy, imaging.study", []),
        ("operators/x.py", "from operators.segment import Segment", ["operators.segment.Segment"]),
        ("operators/x.py", "from operators import segment", ["operators.segment"]),
        ("operators/x.py", "from operators.step import Step", []),
        ("operators/x.py", "from operators.steps import Step", ["operators.steps.Step"]),
        ("apps/one/app.py", "from apps.two.app import CARD", ["apps.two.app.CARD"]),
        ("apps/one/app.py", "from apps.one.app import CARD", []),
    ],
)
def test_the_rule_finds_what_it_forbids_and_only_that(module, source, found):
    assert forbidden(ROOT / module, source) == found


def test_every_imaging_module_can_be_imported_without_sdk_and_torch():
    modules = [f"imaging.{path.stem}" for path in sorted((ROOT / "imaging").glob("*.py")) if path.stem != "__init__"]
    script = f"import importlib, sys\nsys.modules.update(dict.fromkeys({HEAVY}))\n" + "\n".join(
        f"importlib.import_module({name!r})" for name in modules
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert modules
    assert done.returncode == 0, done.stderr


def test_images_are_built_with_the_standard_library_alone():
    def foreign(path):
        return [
            name
            for name in imported(path.read_text())
            if name.split(".")[0] not in sys.stdlib_module_names
            and not any(f"{name}.".startswith(f"{one}.") for one in MAPS_MAY_IMPORT)
        ]

    assert found_in(MAPS, foreign) == {}


def test_every_module_that_builds_images_can_be_imported_without_any_installed_package():
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MAPS]
    script = f"import importlib, sys\nsys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(
        f"importlib.import_module({name!r})" for name in modules
    )

    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
