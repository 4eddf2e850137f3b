"""Where an application is: by name, folder or file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from imaging.outcome import UsageError


def apps_folder() -> Path:
    """Return the folder of the suite's applications."""
    spec = importlib.util.find_spec("apps")
    if spec is None or spec.origin is None:
        raise UsageError("The package 'apps' is not installed. Install the suite: pip install -e .")
    return Path(spec.origin).parent


def app_names() -> list[str]:
    """Return the names of the suite's applications, sorted."""
    return sorted(path.parent.name for path in apps_folder().glob("*/app.py"))


def find_app(app: str) -> Path:
    """Return the folder or file to run for APP: a path that exists, or the name of one of ours."""
    path = Path(app)
    if path.is_file() and path.suffix == ".py":
        return path.parent if path.name == "app.py" and (path.parent / "__main__.py").exists() else path
    if path.is_dir() and (path / "__main__.py").exists():
        return path
    if path.is_dir() and (path / "app.py").exists():
        return path / "app.py"
    if app in app_names():
        return apps_folder() / app
    raise UsageError(
        f"APP is a name ({', '.join(app_names())}), a folder with app.py, or a .py file; found {app!r}. "
        "See: monai-deploy list"
    )
