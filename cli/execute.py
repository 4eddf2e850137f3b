"""``monai-deploy exec APP``: run an application, ours or any App SDK application, in this process."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence

from cli.arguments import add_paths
from cli.environment import adopt_old_names, preload_cuda_runtime
from cli.find_app import find_app
from imaging.outcome import ExitCode, SuiteError

EXAMPLES = """\
examples:
  monai-deploy exec skull_strip -i STUDY -o OUT
  monai-deploy exec apps/skull_strip -i STUDY -o OUT -m models -l INFO
Options that are not listed here go to the application: monai-deploy exec skull_strip --help
"""


def run(arguments: Sequence[str]) -> int:
    """Run the application that the arguments name; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="monai-deploy exec", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    parser.add_argument("app", metavar="APP", help="name, folder or .py file of an application")
    add_paths(parser)
    known, _ = parser.parse_known_args(arguments) if wants_app(arguments) else (None, None)
    if known is None:
        parser.add_argument("-h", "--help", action="help")
        parser.parse_args(arguments)
        return int(ExitCode.USAGE)
    try:
        path = find_app(known.app)
    except SuiteError as error:
        sys.stderr.write(f"monai-deploy exec: {error}\n")
        return int(error.exit_code)
    rest = list(arguments)
    rest.remove(known.app)
    return _run_as_main(str(path), rest)


def wants_app(arguments: Sequence[str]) -> bool:
    """Return whether an application is named before a call for help."""
    return bool(arguments) and arguments[0] not in ("-h", "--help")


def _run_as_main(path: str, arguments: list[str]) -> int:
    adopt_old_names()
    preload_cuda_runtime()
    sys.argv = [path, *arguments]
    if path.endswith(".py"):
        sys.path.insert(0, path.rpartition("/")[0] or ".")
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return int(end.code or 0)
        sys.stderr.write(f"{end.code}\n")
        return int(ExitCode.INTERNAL)
    return int(ExitCode.DONE)
