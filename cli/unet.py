"""MONAI's 3D U-Net, built anew from the names and shapes of its tensors.

The names are those of ``monai.networks.nets.UNet`` (Kerfoot et al., 2018). Shapes tell channels, levels, residual units
and kernels; they do not tell strides, nor layers without tensors.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from imaging.outcome import ModelError, UsageError

Triple = tuple[int, int, int]
Tensors = Mapping[str, Tensor]
Layers = Mapping[str, Mapping[str, Any]]

FIRST = re.compile(r"((?:.+\.)?)model\.0\.(?:conv|adn|residual)\b")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leakyrelu": nn.LeakyReLU,
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
}
"""Those without tensors, by MONAI's names."""
CONTAINERS = ("ADN", "Convolution", "ResidualUnit", "Sequential", "SkipConnection", "UNet")
WITHOUT_EFFECT = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Identity")
"""Layers that return what they get, once training is over."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What shapes do not tell."""

    strides: tuple[Triple, ...] = ()  # of each level from the top, or one for all; () when nothing is known
    activation: str | None = None  # where the activation has no tensors
    norm: str | None = None  # where the tensors of a norm may be of either: "instance", or "group:N"


class Skip(nn.Module):  # type: ignore[misc] # mypy does not see torch
    """A level of the U-Net beside its input."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, channel, ...): the input, then what the level makes of it."""
        return torch.cat([image, self.submodule(image)], 1)


class Residual(nn.Module):  # type: ignore[misc] # mypy does not see torch
    """Convolutions, and their input added to the output."""

    def __init__(self, conv: nn.Module, residual: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.residual = residual

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, channel, ...) of the last convolution."""
        return self.conv(image) + self.residual(image)


class Unet(nn.Module):  # type: ignore[misc] # mypy does not see torch
    """A network with the names of MONAI's."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, channel, ...) of an image (batch, channel, ...)."""
        return self.model(image)


class Builder:
    """Makes the modules of one state dict."""

    def __init__(self, state: Tensors, hints: Hints) -> None:
        self.state = state
        self.hints = hints
        self.levels = 0
        while self.has(f"{level_name(self.levels)}.2."):
            self.levels += 1
        self.residual = self.has("model.0.conv.unit0.")

    def has(self, start: str) -> bool:
        """Return whether a tensor's name starts so."""
        return any(name.startswith(start) for name in self.state)

    def tensor(self, name: str) -> Tensor:
        """Return a tensor; ModelError when it is missing."""
        if name not in self.state:
            raise ModelError(
                f"A state dict of MONAI's UNet is needed; it lacks {name}. Give the weights of the network."
            )
        return self.state[name]

    def network(self) -> Unet:
        """Return the network with its weights, for evaluation."""
        if not self.levels:
            raise ModelError("A UNet of at least two levels is needed; found one. Give the weights of a MONAI UNet.")
        network = Unet(self.level(0, self.strides()))
        try:
            network.load_state_dict(dict(self.state), strict=True)
        except RuntimeError as error:
            found = " ".join(str(error).split())[:300]
            raise ModelError(
                f"The tensors are not those of a MONAI UNet: {found}. Import that network only."
            ) from error
        network.float().eval().requires_grad_(False)
        return network

    def strides(self) -> tuple[Triple, ...]:
        """Return the stride of every level, as the hints have it; UsageError when they do not fit."""
        given = self.hints.strides
        strides = given * self.levels if len(given) == 1 else given
        if not given:
            raise UsageError(
                f"The strides of {self.levels} levels are needed, and a state dict does not tell them. Give --strides "
                "2 when all are 2, else one for each level from the top, such as --strides 2,2,2,1x2x2."
            )
        if len(strides) != self.levels:
            raise UsageError(
                f"One stride for each of {self.levels} levels is needed, {len(strides)} are given. Correct --strides."
            )
        for number, stride in enumerate(strides):
            self.refuse_stride(f"{level_name(number)}.0", stride)
        return strides

    def refuse_stride(self, name: str, stride: Triple) -> None:
        """Raise UsageError when the shortcut of a residual unit contradicts a stride: MONAI gives it a kernel of 1 only
        where nothing is skipped."""
        if not self.residual:
            return
        short = self.state.get(f"{name}.residual.weight")
        skips = short is not None and tuple(short.shape[2:]) != (1, 1, 1)
        if skips != (stride != (1, 1, 1)):
            raise UsageError(
                f"The shapes of {name}.residual tell that the stride of this level is {'not ' if skips else ''}1; "
                f"{'x'.join(map(str, stride))} is given. Correct --strides."
            )

    def level(self, number: int, strides: tuple[Triple, ...]) -> nn.Module:
        """Return a level with all below it."""
        name, stride = level_name(number), strides[number]
        deeper = f"{name}.1.submodule"
        below = self.level(number + 1, strides) if number + 1 < self.levels else self.down(deeper, (1, 1, 1))
        return nn.Sequential(
            self.down(f"{name}.0", stride), Skip(below), self.up(f"{name}.2", stride, is_top=number == 0)
        )

    def down(self, name: str, stride: Triple) -> nn.Module:
        """Return the way down of a level, or the bottom."""
        return self.unit(name, stride) if self.residual else self.convolution(name, stride)

    def up(self, name: str, stride: Triple, *, is_top: bool) -> nn.Module:
        """Return the way up of a level; the last convolution of the network stands alone."""
        if not self.residual:
            return self.convolution(name, stride, transposed=True, alone=is_top)
        return nn.Sequential(
            self.convolution(f"{name}.0", stride, transposed=True), self.unit(f"{name}.1", (1, 1, 1), alone=is_top)
        )

    def unit(self, name: str, stride: Triple, *, alone: bool = False) -> Residual:
        """Return a residual unit; with ``alone`` its last convolution has neither norm nor activation."""
        count = 0
        while self.has(f"{name}.conv.unit{count}."):
            count += 1
        if not count:
            self.tensor(f"{name}.conv.unit0.conv.weight")
        parts = OrderedDict(
            (
                f"unit{at}",
                self.convolution(f"{name}.conv.unit{at}", (1, 1, 1) if at else stride, alone=alone and at == count - 1),
            )
            for at in range(count)
        )
        short = f"{name}.residual"
        return Residual(nn.Sequential(parts), self.plain(short, stride) if self.has(f"{short}.") else nn.Identity())

    def convolution(self, name: str, stride: Triple, *, transposed: bool = False, alone: bool = False) -> nn.Module:
        """Return a convolution, with norm and activation unless it stands alone."""
        conv = self.plain(f"{name}.conv", stride, transposed=transposed)
        parts = [("conv", conv)] if alone else [("conv", conv), ("adn", self.adn(f"{name}.adn", conv.out_channels))]
        return nn.Sequential(OrderedDict(parts))

    def plain(self, name: str, stride: Triple, *, transposed: bool = False) -> nn.Module:
        """Return a convolution of the shape of its weights, padded so that only the stride changes the size."""
        weight = self.tensor(f"{name}.weight")
        if weight.ndim != 5:
            raise ModelError(
                f"A 3D network is needed; {name}.weight has the shape {tuple(weight.shape)}. Give weights of a 3D UNet."
            )
        after, before, *kernel = weight.shape
        if any(size % 2 == 0 for size in kernel):
            raise ModelError(f"Odd kernels are needed; {name} has {kernel}. Give weights of a MONAI UNet.")
        common = {
            "kernel_size": tuple(kernel),
            "stride": stride,
            "padding": tuple((size - 1) // 2 for size in kernel),
            "bias": f"{name}.bias" in self.state,
        }
        if transposed:
            return nn.ConvTranspose3d(after, before, output_padding=tuple(step - 1 for step in stride), **common)
        return nn.Conv3d(before, after, **common)

    def adn(self, name: str, channels: int) -> nn.Module:
        """Return norm and activation, in MONAI's order; dropout does nothing here."""
        slope = self.state.get(f"{name}.A.weight")
        activation = self.activation() if slope is None else nn.PReLU(len(slope))
        return nn.Sequential(OrderedDict([("N", self.norm(f"{name}.N", channels)), ("A", activation)]))

    def norm(self, name: str, channels: int) -> nn.Module:
        """Return the norm that has these tensors; MONAI's usual one has none."""
        if f"{name}.running_mean" in self.state:
            return nn.BatchNorm3d(channels, affine=f"{name}.weight" in self.state)
        if f"{name}.weight" not in self.state:
            return nn.InstanceNorm3d(channels)
        kind, _, groups = (self.hints.norm or "").partition(":")
        if kind == "instance":
            return nn.InstanceNorm3d(channels, affine=True)
        if kind == "group" and groups.isdigit() and int(groups) and channels % int(groups) == 0:
            return nn.GroupNorm(int(groups), channels)
        raise UsageError(
            f"{name} may be an instance or a group normalisation of {channels} channels, its tensors do not tell; "
            f"given is {self.hints.norm}. Give --norm instance, or --norm group:N with N groups."
        )

    def activation(self) -> nn.Module:
        """Return the activation of the hints; UsageError without one."""
        if self.hints.activation not in ACTIVATIONS:
            raise UsageError(
                "The activation has no tensors, so it is not the usual PReLU, and a state dict does not tell which. "
                f"Give --activation with one of {', '.join(ACTIVATIONS)}."
            )
        return ACTIVATIONS[self.hints.activation]()


def level_name(number: int) -> str:
    """Return how the names of a level begin, 0 at the top.

    >>> level_name(2)
    'model.1.submodule.1.submodule'
    """
    return "model" + ".1.submodule" * number


def root_of(state: Tensors) -> str:
    """Return what the names of a UNet begin with, such as "module."; ModelError when it is no UNet of MONAI."""
    found = next((match[1] for name in state if (match := FIRST.fullmatch(name) or FIRST.match(name))), None)
    others = [name for name in state if found is None or not name.startswith(f"{found}model.")]
    if found is None or others:
        raise ModelError(
            "A state dict of MONAI's UNet is needed, with names such as model.0.conv.unit0.conv.weight; found "
            f"{', '.join(others[:3])}{' and others' if len(others) > 3 else ''}. Other networks cannot be built anew: "
            "trace them with torch.jit.trace where they were made; the model cards say how to put them into a folder."
        )
    return found


def below_root(names: Mapping[str, Any], root: str) -> dict[str, Any]:
    """Return what lies below a root, by the rest of its name."""
    return {name[len(root) :]: value for name, value in names.items() if name.startswith(root)}


def hints_of(layers: Layers) -> Hints:
    """Return what the layers of a network tell beyond the shapes of their tensors."""
    strides, number = [], 0
    while f"{level_name(number)}.2" in layers:
        start = f"{level_name(number)}.0"
        unit = layers.get(f"{start}.conv.unit0.conv") or layers.get(f"{start}.conv") or {}
        strides.append(_triple(unit.get("stride")))
        number += 1
    last = [facts for name, facts in layers.items() if name.endswith(".adn.A")]
    norms = [facts for name, facts in layers.items() if name.endswith(".adn.N")]
    return Hints(
        strides=tuple(strides),
        activation=_class(last[0]).lower() if last else None,
        norm=_norm_hint(norms[0]) if norms else None,
    )


def _norm_hint(facts: Mapping[str, Any]) -> str | None:
    names = {"InstanceNorm3d": "instance", "GroupNorm": f"group:{facts.get('num_groups')}"}
    return names.get(_class(facts))


def _triple(value: Any) -> Triple:
    try:
        slices, rows, columns = value if isinstance(value, list) else [value] * 3
        return int(slices), int(rows), int(columns)
    except (TypeError, ValueError) as error:
        raise ModelError(f"A stride for three axes is needed, the network has {value!r}. Give a MONAI UNet.") from error


def refuse_other_layers(source: Layers, built: Layers) -> None:
    """Raise ModelError unless both networks have the same layers in the same order, with the same attributes."""
    strange = sorted({facts["class"] for facts in source.values() if not _known(facts)})
    if strange:
        raise ModelError(
            f"A MONAI UNet is needed; the network has {', '.join(strange[:3])}. Trace it with torch.jit.trace where it "
            "was made; the model cards say how to put it into a folder."
        )
    wanted, found = _working(source), _working(built)
    if list(wanted) != list(found):
        differ = sorted(set(wanted) ^ set(found)) or ["their order"]
        raise ModelError(
            f"The network is not MONAI's UNet as built here: {', '.join(differ[:3])} differ. Trace it instead."
        )
    for name, facts in wanted.items():
        other = found[name]
        differ = [key for key in facts.keys() & other.keys() if facts[key] != other[key]]
        if differ:
            raise ModelError(
                f"{name} has {differ[0]} {facts[differ[0]]}, built anew it has {other[differ[0]]}. Leave out the "
                "options that say otherwise, or trace the network where it was made."
            )


def _class(facts: Mapping[str, Any]) -> str:
    return str(facts["class"]).rpartition(".")[2]


def _known(facts: Mapping[str, Any]) -> bool:
    if _class(facts) == "SkipConnection":
        return bool(facts.get("mode", "cat") == "cat" and facts.get("dim", 1) == 1)
    return str(facts["class"]).startswith("torch.nn.") or _class(facts) in CONTAINERS


def _working(layers: Layers) -> dict[str, dict[str, Any]]:
    """Return the layers that do something."""
    idle = (*CONTAINERS, *WITHOUT_EFFECT, "Skip", "Residual", "Unet")
    return {name: {**facts, "class": _class(facts)} for name, facts in layers.items() if _class(facts) not in idle}


def describe(network: Unet) -> dict[str, Any]:
    """Return the architecture in words of MONAI: what a recipe would need to build it."""
    convolutions = [one for one in network.modules() if isinstance(one, nn.Conv3d)]
    strides = strides_of(network)
    channels, level = [], network.model
    for _ in strides:
        channels.append(next(_convolutions(level[0])).out_channels)
        level = level[1].submodule
    channels.append(next(_convolutions(level)).out_channels)
    first = network.model[0]
    return {
        "in_channels": convolutions[0].in_channels,
        "out_channels": out_channels(network),
        "channels": channels,
        "strides": [list(stride) for stride in strides],
        "residual_units": len(first.conv) if isinstance(first, Residual) else 0,
        "norm": _name_of(network, "N"),
        "activation": _name_of(network, "A"),
    }


def _convolutions(module: nn.Module) -> Any:
    return (one for one in module.modules() if isinstance(one, nn.Conv3d | nn.ConvTranspose3d))


def _name_of(network: Unet, letter: str) -> str:
    found = (type(one).__name__ for name, one in network.named_modules() if name.endswith(f".adn.{letter}"))
    return next(found, "none")


def strides_of(network: Unet) -> list[Triple]:
    """Return the stride of every level from the top."""
    strides, level = [], network.model
    while isinstance(level, nn.Sequential) and len(level) == 3 and isinstance(level[1], Skip):
        strides.append(tuple(next(_convolutions(level[2])).stride))
        level = level[1].submodule
    return strides


def out_channels(network: Unet) -> int:
    """Return how many channels the output has."""
    return int([*_convolutions(network.model[2])][-1].out_channels)


def multiples(strides: Sequence[Triple]) -> Triple:
    """Return what the size of an image must be a multiple of, along each axis.

    >>> multiples([(2, 2, 2), (1, 2, 2)])
    (2, 4, 4)
    """
    total = [1, 1, 1]
    for stride in strides:
        total = [have * step for have, step in zip(total, stride, strict=True)]
    return total[0], total[1], total[2]
