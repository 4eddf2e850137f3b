"""``monai-deploy import-weights``: published weights of a MONAI UNet as a model that an application can run.

FILE is a state dict (.pt, .pth, .safetensors) or a network that was pickled whole, such as a learner that fastMONAI
exported. Several files become an ensemble. See docs/import_weights.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging.outcome import ExitCode, UsageError

if TYPE_CHECKING:
    from cli.describe_import import Stated
    from cli.unet import Hints

APPS = ("cervical_tumor", "skull_strip", "spine")
TRUST_WARNING = (
    "warning: a pickle is a program. --trust-pickle runs it, with the rights of your account, in a process of its own "
    "that is no sandbox. Do this only with a file of people you trust.\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("files", type=Path, nargs="+", metavar="FILE", help="weights to import; several become an ensemble")
    add("--app", required=True, choices=APPS, help="application that will run them")
    add("-o", "--output", type=Path, required=True, metavar="MODELS",
        help="folder of models to write APP into; give it to the application with -m")  # fmt: skip
    add("--like", type=Path, metavar="FOLDER", help="model whose input, strides and threshold these weights share")
    add("--vars", type=Path, metavar="FILE", help="vars.pkl (or JSON) that fastMONAI stored: size, reorder, spacing")
    grid = parser.add_argument_group("input of the network, each triple in the order of its axes")
    add = grid.add_argument
    add("--spacing", type=_numbers(float), metavar="MM,MM,MM", help="voxel size")
    add("--orientation", type=_orientation, metavar="XYZ",
        help="patient directions in which the axes rise: RAH for RAS+, LFP, HPL")  # fmt: skip
    add("--size", type=_numbers(int), metavar="N,N,N", help="size of the grid in voxels")
    add("--fit", action="store_true", help="the grid is as large as the image needs, up to --size")
    add("--intensity", choices=("unit_range", "z_score"), help="scale of the grey values")
    add("--sequences", type=_names, metavar="NAME,...", help="what the input channels are, in order: T2w,DWI,ADC")
    add("--may-be-absent", type=_names, metavar="NAME,...", help="sequences the network was trained to do without")
    network = parser.add_argument_group("network, where a state dict does not tell")
    add = network.add_argument
    add("--strides", type=_strides, metavar="N,...", help="of each level from the top: 2, or 2,2,2,1x2x2")
    add("--activation", metavar="NAME", help="when it is not PReLU: relu, leakyrelu, ...")
    add("--norm", metavar="NAME", help="when it has tensors and is no batch norm: instance, or group:N")
    add("--softmax", action="store_true", help="the two outputs are background and object of a softmax")
    result = parser.add_argument_group("result")
    add = result.add_argument
    add("--name", help="name of the model (default: APP)")
    add("--version", default="0.0.0", help="version of the model (default: %(default)s)")
    add("--threshold", type=_fraction, help="probability from which a voxel counts (default: that of --like, else 0.5)")
    add("--openvino", action="store_true", help="also write a copy for OpenVINO, faster on a CPU")
    pickled = parser.add_argument_group("pickled networks")
    add = pickled.add_argument
    add("--trust-pickle", action="store_true",
        help="unpickle and run the source network to compare with; this RUNS CODE from the file. Not needed: without "
        "it, the tensors and layers are read and nothing of the file is run")  # fmt: skip
    add("--python", default=sys.executable, metavar="PATH", help="Python that unpickles, such as one with fastMONAI")
    add("--time-limit", type=float, default=300.0, metavar="S", help="seconds it may take (default: %(default)g)")


def run(options: argparse.Namespace) -> int:
    """Import the weights and say where they are; return 0."""
    from cli.describe_import import TARGETS, describe_input, describe_model, provenance, read_like
    from cli.read_weights import Reader, Variables, read_variables, read_weights
    from cli.unet import describe, multiples, strides_of
    from cli.write_import import adapt, build, write_model

    if options.trust_pickle:
        sys.stderr.write(TRUST_WARNING)
    target, like = TARGETS[options.app], read_like(options.like)
    reader = Reader(trust=options.trust_pickle, python=options.python, time_limit_s=options.time_limit)
    variables = read_variables(options.vars, reader) if options.vars is not None else Variables()
    sources = [read_weights(path, reader) for path in options.files]
    networks = [build(source, _hints(options, like)) for source in sources]
    architectures = [describe(network) for network in networks]
    if any(one != architectures[0] for one in architectures):
        raise UsageError("The networks of an ensemble must be built alike; these are not. Import them one by one.")
    adapted = [adapt(one, len(target.channels), softmax=options.softmax, may_repeat=target.repeat) for one in networks]
    wanted = describe_input(
        _stated(options),
        variables,
        like.get("input", {}),
        sources[0],
        in_channels=architectures[0]["in_channels"],
        multiple=multiples(strides_of(networks[0])),
        target=target,
    )

    def record(members: list[dict[str, Any]], differences: list[float]) -> dict[str, Any]:
        return describe_model(
            name=options.name or options.app,
            version=options.version,
            members=members,
            wanted=wanted,
            target=target,
            threshold=like.get("threshold", 0.5) if options.threshold is None else options.threshold,
            network=architectures[0],
            imported=[provenance(*pair) for pair in zip(sources, differences, strict=True)],
            repeated=adapted[0].repeat > 1,
        )

    parts = list(zip(sources, networks, adapted, strict=True))
    folder = options.output / options.app
    written = write_model(folder, parts, record, app=options.app, openvino=options.openvino)
    _say(options.app, folder, written)
    return int(ExitCode.DONE)


def _say(app: str, folder: Path, record: dict[str, Any]) -> None:
    for one in record["imported"]:
        sys.stdout.write(
            f"{one['file']}: {one['kind']}; TorchScript differs from {one['compared_with']} by at most "
            f"{one['largest_difference']:.1e}\n"
        )
    sys.stdout.write(
        f"network {record['network']}\ninput {record['input']}\n"
        f"{record['calibration']} Complete {folder / 'card.md'}.\n"
        f"To run: monai-deploy exec {app} -i STUDY -o OUT -m {folder.parent}\n"
    )


def _hints(options: argparse.Namespace, like: dict[str, Any]) -> Hints:
    from cli.unet import Hints

    strides = options.strides
    if strides is None:
        recorded = dict(like.get("network", {})).get("strides", [])
        strides = tuple(tuple(one) if isinstance(one, list) else (one,) * 3 for one in recorded)
    return Hints(strides=strides, activation=options.activation, norm=options.norm)


def _stated(options: argparse.Namespace) -> Stated:
    from cli.describe_import import Stated

    return Stated(
        spacing_mm=options.spacing,
        orientation=options.orientation,
        size=options.size,
        fit=options.fit,
        intensity=options.intensity,
        sequences=options.sequences,
        may_be_absent=options.may_be_absent,
    )


def _numbers(kind: type[float] | type[int]) -> Callable[[str], list[float]]:
    """Return the reader of three positive numbers with commas between, or of one for all."""

    def read(text: str) -> list[float]:
        values = [kind(part) for part in text.split(",")]
        values = values * 3 if len(values) == 1 else values
        if len(values) != 3 or not all(0 < value < float("inf") for value in values):
            raise argparse.ArgumentTypeError(f"three positive numbers are needed, such as 1,2,2; got {text!r}")
        return values

    return read


def _strides(text: str) -> tuple[tuple[int, ...], ...]:
    """Return strides of levels.

    >>> _strides("2,1x2x2")
    ((2, 2, 2), (1, 2, 2))
    """
    levels = [[int(part) for part in level.split("x")] for level in text.split(",")]
    triples = tuple(tuple(level * 3 if len(level) == 1 else level) for level in levels)
    if any(len(triple) != 3 or min(triple) < 1 for triple in triples):
        raise argparse.ArgumentTypeError(f"strides such as 2 or 2,2,1x2x2 are needed, got {text!r}")
    return triples


def _orientation(text: str) -> str:
    letters = text.upper().replace("S", "H").replace("I", "F")
    if len(letters) != 3 or any(len(set(letters) & set(pair)) != 1 for pair in ("LR", "AP", "HF")):
        raise argparse.ArgumentTypeError(f"one letter of each of L/R, A/P, H/F is needed, such as RAH; got {text!r}")
    return letters


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"a probability between 0 and 1 is needed, got {text}")
    return value
