"""app.json and pkg.json of an image, in both generations of the MAP specification, and its app.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from maps.describe_app import AppDescription

APP, MODELS, DOCS, WORK = "/opt/holoscan/app", "/opt/holoscan/models", "/opt/holoscan/docs", "/var/holoscan"
SDK_VERSION = "4.0.0"
FORMATS = ["file"]  # the one format of the SDK's documents; the specification names none
ENVIRONMENT = {
    "HOLOSCAN_APPLICATION": APP,
    "HOLOSCAN_INPUT_PATH": f"{WORK}/input",
    "HOLOSCAN_OUTPUT_PATH": f"{WORK}/output",
    "HOLOSCAN_WORKDIR": WORK,
    "HOLOSCAN_MODEL_PATH": MODELS,
    "HOLOSCAN_CONFIG_PATH": f"{WORK}/app.yaml",
    "HOLOSCAN_APP_MANIFEST_PATH": "/etc/holoscan/app.json",
    "HOLOSCAN_PKG_MANIFEST_PATH": "/etc/holoscan/pkg.json",
    "HOLOSCAN_DOCS_PATH": DOCS,
    "HOLOSCAN_LOGS_PATH": f"{WORK}/logs",
}
"""What a host that goes by the manifest sets: absolute paths, because relative ones depend on who resolves them."""


def app_json(app: AppDescription) -> dict[str, Any]:
    """Return the application manifest of specification 1.0; ``command`` is a list in a string, as hosts read it."""
    return {
        "apiVersion": "1.0.0",
        "type": "application",
        "command": json.dumps(["python3", "-u", APP]),
        "environment": ENVIRONMENT,
        "input": {"path": "input/", "formats": FORMATS},
        "output": {"path": "output/", "format": {"type": "file"}, "formats": FORMATS},
        "readiness": None,
        "liveness": None,
        "sdk": "monai-deploy",
        "sdkVersion": SDK_VERSION,
        "timeout": app.deployment.timeout_s,
        "version": app.version,
        "workingDirectory": WORK,
    }


def pkg_json(app: AppDescription, weights: Mapping[str, tuple[str, str]], platform: str) -> dict[str, Any]:
    """Return the package manifest; ``weights`` has name and SHA-256 of the one file in each folder of models."""
    return {
        "apiVersion": "1.0.0",
        "applicationRoot": APP,
        "modelRoot": MODELS,
        "models": {name: f"{MODELS}/{name}" for name in weights},
        "modelFiles": {name: {"file": file, "sha256": digest} for name, (file, digest) in weights.items()},
        "resources": resources(app),
        "version": app.version,
        "platformConfig": platform,
    }


def resources(app: AppDescription) -> dict[str, Any]:
    """Return what a run needs, as specification 1.0 writes it."""
    needs = app.deployment
    return {
        "cpu": needs.cpu,
        "gpu": needs.gpu,
        "memory": f"{needs.memory_mib}Mi",
        "sharedMemory": f"{needs.shared_memory_mib}Mi",
    }


def old_app_json(app: AppDescription) -> dict[str, Any]:
    """Return the application manifest of MAP specification 0.1: other keys, and a command that is split at blanks."""
    return {
        "api-version": "0.1.0",
        "command": f"python3 -u {APP}",
        "environment": ENVIRONMENT,
        "input": {"path": f"{WORK}/input", "formats": []},
        "output": {"path": f"{WORK}/output", "format": {}},
        "sdk-version": SDK_VERSION,
        "timeout": app.deployment.timeout_s,
        "version": app.version,
        "working-directory": WORK,
    }


def old_pkg_json(app: AppDescription, weights: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the package manifest of MAP specification 0.1."""
    needs = app.deployment
    return {
        "api-version": "0.1.0",
        "application-root": APP,
        "models": [{"name": name, "path": f"{MODELS}/{name}/{file}"} for name, (file, _) in weights.items()],
        "resource": {"cpu": needs.cpu, "gpu": needs.gpu, "memory": f"{needs.memory_mib}Mi"},
        "version": app.version,
    }


def app_yaml(app: AppDescription) -> str:
    """Return the file that Holoscan looks for, and that its packager makes the manifests from; JSON is YAML."""
    application = {"title": app.title, "version": app.version, "input-formats": FORMATS, "output-formats": FORMATS}
    return json.dumps({"application": application, "resources": resources(app)}, indent=2) + "\n"
