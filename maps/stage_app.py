"""The files of one application's image, laid out on disk as they will lie in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maps import manifests
from maps.describe_app import AppDescription, describe_app
from maps.failures import BuildError
from maps.stage_models import stage_models

PACKAGES = ("cli", "imaging", "operators")
CODE = frozenset(
    {".py", ".json", ".html", ".css", ".js", ".svg", ".png", ".ttf", ".woff2", ".txt", ".md", ".toml", ".gz"}
)
WEIGHTS = frozenset({".ts", ".xml", ".bin", ".json", ".md"})
DOCUMENTS = ("README.md", "LICENSE", "CHANGELOG.md", "docs/outcomes.md")


def stage_app(root: Path, name: str, tree: Path, platform: str, models: Path | None = None) -> AppDescription:
    """Write the tree of an application's image, from a checkout and a folder of models (the checkout's by default)."""
    app = describe_app(name, root)
    _stage_code(root, name, tree / "opt/holoscan/app")
    weights = stage_models(models or root / "models", app.model, tree)
    _stage_documents(root, app, tree / "opt/holoscan/docs")
    _write(tree / "etc/holoscan/app.json", manifests.app_json(app))
    _write(tree / "etc/holoscan/pkg.json", manifests.pkg_json(app, weights, platform))
    _write(tree / "etc/monai/app.json", manifests.old_app_json(app))
    _write(tree / "etc/monai/pkg.json", manifests.old_pkg_json(app, weights))
    work = tree / "var/holoscan"
    (work / "input").mkdir(parents=True)
    (work / "app.yaml").write_text(manifests.app_yaml(app))
    shutil.copyfile(root / "maps/image/tools", tree / "opt/holoscan/tools")
    (tree / "opt/holoscan/tools").chmod(0o755)
    (work / "tools").symlink_to("/opt/holoscan/tools")
    refuse_strangers(tree)
    return app


def _stage_code(root: Path, name: str, target: Path) -> None:
    target.mkdir(parents=True)
    for file in ("app.py", "__main__.py"):
        shutil.copyfile(root / "apps" / name / file, target / file)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
        shutil.copytree(root / package, target / package, ignore=ignored)


def _stage_documents(root: Path, app: AppDescription, target: Path) -> None:
    target.mkdir(parents=True)
    for name in DOCUMENTS:
        shutil.copyfile(root / name, target / Path(name).name)
    shutil.copyfile(root / "models" / app.model / "card.md", target / "model_card.md")


def refuse_strangers(tree: Path) -> None:
    """Raise BuildError for a file that no image should hold: images of anybody, keys, what was left lying about."""
    for folder, kinds in (("opt/holoscan/app", CODE), ("opt/holoscan/model_packages", WEIGHTS)):
        strangers = [path for path in (tree / folder).rglob("*") if path.is_file() and not _expected(path, kinds)]
        if strangers:
            names = ", ".join(sorted(str(path.relative_to(tree / folder)) for path in strangers)[:5])
            raise BuildError(
                f"Files of a kind that no image holds were found among code or models: {names}. Remove them, or "
                "add the kind to maps/stage_app.py."
            )


def _expected(path: Path, kinds: frozenset[str]) -> bool:
    return path.suffix in kinds and not path.name.endswith((".nii.gz", ".tar.gz"))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
