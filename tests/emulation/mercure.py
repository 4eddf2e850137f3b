"""mercure's processor: a module's image as its docker runtime runs it (app/process/process_series.py, July 2026)."""

import json
import shlex

from tests.emulation import engine

IN, OUT = "/tmp/data", "/tmp/output"  # noqa: S108  in the container
ARGUMENTS = {"mem_limit": "Memory", "memswap_limit": "MemorySwap", "nano_cpus": "NanoCpus", "pids_limit": "PidsLimit"}


class RootModuleError(Exception):
    """The module wants root, and the configuration does not allow it."""


def run_module(module, folder, *, support_root_modules):
    """Run a module on ``folder/in``; return exit code and log. Results are in ``folder/out``."""
    manifest = read_manifest(module["docker_tag"])
    is_map = manifest is not None
    if (module["requires_root"] or is_map) and not support_root_modules:
        raise RootModuleError("support_root_modules is not set")
    open_to_all(folder)
    body = {
        "Image": module["docker_tag"],
        "Env": [f"{name}={value}" for name, value in environment(module).items()],
        "HostConfig": {
            "Mounts": [
                {"Type": "bind", "Source": str(folder / name), "Target": target}
                for name, target in (("in", IN), ("out", OUT))
            ],
            "NetworkMode": "default" if module["network_enabled"] else "none",
            "CapDrop": ["ALL"],
            **limits(json.loads(module["docker_arguments"] or "{}")),
        },
    }
    if is_map:
        body |= {"Entrypoint": [], "Cmd": shlex.split(manifest["command"])}
    return engine.run(body)


def read_manifest(image):
    """Manifest by which mercure knows a MAP; None if it is none."""
    code, text = engine.run({"Image": image, "Entrypoint": [], "Cmd": ["cat", "/etc/monai/app.json"], "Tty": True})
    return json.loads(text) if code == 0 else None


def environment(module):
    """Variables of a module: its own, and where mercure puts files."""
    own = json.loads(module["environment"] or "{}")
    names = {"MERCURE": ("IN_DIR", "OUT_DIR"), "MONAI": ("INPUTPATH", "OUTPUTPATH")}
    folders = {
        f"{prefix}_{name}": at for prefix, pair in names.items() for name, at in zip(pair, (IN, OUT), strict=True)
    }
    return {**own, **folders, "HOLOSCAN_INPUT_PATH": IN, "HOLOSCAN_OUTPUT_PATH": OUT}


def limits(arguments):
    """Arguments of docker's Python library as fields of its API."""
    found = {ARGUMENTS[name]: size(value) for name, value in arguments.items() if name in ARGUMENTS}
    return {**found, "ShmSize": size(arguments["shm_size"])} if "shm_size" in arguments else found


def size(value):
    """Bytes of 64m; a number as it is."""
    return int(value[:-1]) * 2**20 if isinstance(value, str) else value


def open_to_all(folder):
    """Modes as mercure sets them, for whatever user runs."""
    (folder / "out").mkdir()
    for name in ("in", "out"):
        (folder / name).chmod(0o777)
    for path in (folder / "in").glob("**/*"):
        path.chmod(0o666)
