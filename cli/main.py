"""The command ``monai-deploy``: run, list and explain applications, evaluate their results."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from cli import execute
from cli.leave import leave
from imaging.outcome import SuiteError
from imaging.suite import RESEARCH_USE

EXAMPLES = """\
examples:
  monai-deploy list
  monai-deploy explain skull_strip -i STUDY
  monai-deploy exec skull_strip -i STUDY -o OUT
  monai-deploy exec apps/skull_strip -i STUDY -o OUT -m models --nifti
  monai-deploy package skull_strip --offline --wheelhouse WHEELS --base base.tar
  monai-deploy run map-suite/skull_strip:0.1.0 -i STUDY -o OUT
  monai-deploy selftest skull_strip
  monai-deploy evaluate REFERENCES PREDICTIONS -o SCORES
"""

VERBS = {
    "list": ("cli.list_apps", "list the applications"),
    "explain": ("cli.explain", "say which series would be taken, and why each other one not; no inference"),
    "sample": ("cli.sample", "write a synthetic head study to try the suite on"),
    "package": ("cli.package", "build the container images of applications"),
    "run": ("cli.run_image", "run the image of an application on this machine"),
    "selftest": ("cli.selftest", "run an application, or its image, on its sample and compare with what is known"),
    "evaluate": ("cli.evaluate", "compare segmentations with references"),
    "deploy-files": (
        "maps.write_deploy",
        "write what hosts need to run the applications: gateways, schedulers, Orthanc",
    ),
    "check-workflow": ("maps.check_workflow", "check definitions for the MONAI Deploy Workflow Manager"),
    "cohort": ("cli.cohort", "one page on a folder of runs: distributions, what stands out, what failed and why"),
    "import-weights": ("cli.import_weights", "make a model of published weights: a MONAI UNet or a fastMONAI learner"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["exec"]:  # its options are the application's: they are not parsed here
        return execute.run(arguments[1:])
    passed_on: list[str] = []
    if arguments[:1] == ["run"] and "--" in arguments:  # argparse has no rest after a positional and options
        cut = arguments.index("--")
        arguments, passed_on = arguments[:cut], arguments[cut + 1 :]
    options = build_parser(arguments).parse_args(arguments, argparse.Namespace(passed_on=passed_on))
    try:
        return int(options.run(options))
    except SuiteError as error:
        sys.stderr.write(f"monai-deploy: {error}\n")
        return int(error.exit_code)


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of all verbs; only the module of the verb that is asked for is imported."""
    parser = argparse.ArgumentParser(
        prog="monai-deploy",
        description=f"Applications for medical images. {RESEARCH_USE}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("exec", help="run an application", add_help=False)
    for name, (module_name, text) in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        if arguments[:1] == [name]:
            module = importlib.import_module(module_name)
            module.add_arguments(verb)
            verb.set_defaults(run=module.run)
    return parser


def entry() -> None:
    """Run as the console script."""
    leave(main())


if __name__ == "__main__":
    entry()
