"""Runs while an application's image is built, on the runtime: list what is inside, compile it, settle its files.

Writes into /build/tree, which becomes the image's top layer, the software bill of materials (CycloneDX 1.6) of all that
the image holds and a list of licences.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import py_compile
import re
import sys
import uuid
from pathlib import Path
from typing import Any

BUILD = Path("/build")
TREE = BUILD / "tree"
DOCS = TREE / "opt/holoscan/docs"
SITE = Path("/opt/venv/lib/python3.11/site-packages")
PYCACHE = "/opt/pycache"
SCRIPT = re.compile(r"^(?:-{20,}\n)?(@?[a-z][\w./-]*) (\d[\w.]*) ([A-Z][\w.-]*)(?: \(http.*\))?$", re.M)
"""Name, version and licence of a package above the text of its licence."""


def main() -> None:
    """Finish the tree."""
    facts = json.loads((BUILD / "facts.json").read_text())
    found = [*python_packages(), *debian_packages(), *page_scripts()]
    packages = sorted(found, key=lambda item: (item["purl"], item["bom-ref"]))
    (DOCS / "sbom.cdx.json").write_text(json.dumps(bill(facts, packages), indent=1) + "\n")
    (DOCS / "licences.txt").write_text(licence_list(facts, packages))
    compile_tree()
    settle(TREE)
    settle(BUILD / "own")


def python_packages() -> list[dict[str, Any]]:
    """Return a component for each installed distribution."""
    found = []
    for one in importlib.metadata.distributions(path=[str(SITE)]):
        name, version = one.metadata["Name"], one.version
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        found.append(component(name, version, purl, python_licence(one.metadata)))
    return found


def python_licence(metadata: Any) -> str:
    """Return the licence a distribution states: an SPDX expression, else its own words, else its classifiers."""
    classified = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or [] if "License ::" in line]
    words = (metadata["License"] or "").strip().splitlines()[:1]
    return metadata["License-Expression"] or "; ".join(classified) or (words[0] if words else "") or "see its files"


def debian_packages() -> list[dict[str, Any]]:
    """Return a component for each Debian package of the base."""
    status = Path("/var/lib/dpkg/status")
    found = []
    for paragraph in status.read_text().split("\n\n") if status.exists() else []:
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}"
            found.append(component(name, version, purl, f"see /usr/share/doc/{name}/copyright"))
    return found


def page_scripts() -> list[dict[str, Any]]:
    """Return a component for each package of JavaScript in the pages of results, by the licence texts beside it."""
    found = []
    for texts in sorted(TREE.glob("opt/holoscan/app/*/vendor/*.licences.txt")):
        for name, version, licence in SCRIPT.findall(texts.read_text()):
            found.append(component(name, version, f"pkg:npm/{name.replace('@', '%40')}@{version}", licence))
    return found


def component(name: str, version: str, purl: str, licence: str) -> dict[str, Any]:
    """Return a CycloneDX component of a package."""
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"name": licence}}],
    }


def models() -> list[dict[str, Any]]:
    """Return a component for each file of weights: TorchScript by the SDK's name, OpenVINO's by its path."""
    named = {path: path.parent.name for path in (TREE / "opt/holoscan/models").rglob("*.ts")}
    packages = TREE / "opt/holoscan/model_packages"
    named |= {path: str(path.relative_to(packages)) for kind in ("xml", "bin") for path in packages.rglob(f"*.{kind}")}
    found = []
    for path, name in sorted(named.items()):
        hashes = [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]
        found.append({"type": "machine-learning-model", "bom-ref": f"model:{name}", "name": name, "hashes": hashes})
    return found


def bill(facts: dict[str, str], packages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the bill of materials; without a time, and with a number that follows from its content."""
    content = [*packages, *models()]
    number = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([facts, content], sort_keys=True))
    subject = {"type": "container", "bom-ref": facts["name"], "name": facts["name"], "version": facts["version"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": {**subject, "licenses": [{"license": {"id": facts["licence"]}}]}},
        "components": content,
    }


def licence_list(facts: dict[str, str], packages: list[dict[str, Any]]) -> str:
    """Return a table of everything inside and its licence; the texts lie beside the packages."""
    rows = [f"{facts['name']} {facts['version']}: {facts['licence']} (this application; its weights: model_card.md)"]
    rows += [f"{one['name']} {one['version']}: {one['licenses'][0]['license']['name']}" for one in packages]
    places = ("/opt/venv/lib/python3.11/site-packages/*.dist-info", "/usr/share/doc/*/copyright",
              "/opt/holoscan/app/imaging/vendor/*.licences.txt")  # fmt: skip
    return "\n".join(rows) + f"\n\nTexts: {', '.join(places)}\n"


def compile_tree() -> None:
    """Compile the application to where the container's Python looks."""
    sys.pycache_prefix = PYCACHE
    for path in sorted((TREE / "opt/holoscan/app").rglob("*.py")):
        inside = "/" + str(path.relative_to(TREE))
        target = TREE / importlib.util.cache_from_source(inside).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(path), str(target), inside, doraise=True, invalidation_mode=mode)


def settle(folder: Path) -> None:
    """Give everything one time and modes that let anybody read and nobody but the owner write."""
    time = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (time, time), follow_symlinks=False)


if __name__ == "__main__":
    main()
