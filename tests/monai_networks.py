"""MONAI's UNet written again after its documentation, with its names of classes, modules and tensors.

The suite's environment has no MONAI core. These classes are built from the arguments of ``monai.networks.nets.UNet``,
not from tensors; ``pose_as_monai`` and ``pose_as_fastmonai`` put them where a pickle looks for the real ones.
"""

import sys
import types

import torch
from torch import nn


def convolution(before, after, stride, *, transposed=False, alone=False, norm, act, kernel=3):
    padding = (kernel - 1) // 2
    if transposed:
        conv = nn.ConvTranspose3d(before, after, kernel, stride, padding, tuple(s - 1 for s in stride))
    else:
        conv = nn.Conv3d(before, after, kernel, stride, padding)
    result = Convolution()
    result.add_module("conv", conv)
    if not alone:
        adn = ADN()
        for letter, layer in (("N", norm(after)), ("D", nn.Dropout(0.0)), ("A", act())):
            adn.add_module(letter, layer)
        result.add_module("adn", adn)
    return result


class Convolution(nn.Sequential):
    pass


class ADN(nn.Sequential):
    pass


class ResidualUnit(nn.Module):
    def __init__(self, before, after, stride, units, *, last_alone=False, norm, act):
        super().__init__()
        self.conv = nn.Sequential()
        for number in range(units):
            step = (1, 1, 1) if number else stride
            alone = last_alone and number == units - 1
            part = convolution(after if number else before, after, step, alone=alone, norm=norm, act=act)
            self.conv.add_module(f"unit{number}", part)
        self.residual = nn.Identity()
        if stride != (1, 1, 1):
            self.residual = nn.Conv3d(before, after, 3, stride, 1)
        elif before != after:
            self.residual = nn.Conv3d(before, after, 1)

    def forward(self, image):
        return self.conv(image) + self.residual(image)


class SkipConnection(nn.Module):
    def __init__(self, submodule):
        super().__init__()
        self.submodule = submodule
        self.dim = 1
        self.mode = "cat"

    def forward(self, image):
        return torch.cat([image, self.submodule(image)], dim=self.dim)


class UNet(nn.Module):
    def __init__(self, before, after, channels, strides, units, *, norm=nn.InstanceNorm3d, act=nn.PReLU):
        super().__init__()
        self.units, self.options = units, {"norm": norm, "act": act}
        self.model = self.level(before, after, channels, strides, is_top=True)
        del self.options  # functions of a test cannot be pickled

    def level(self, before, after, channels, strides, *, is_top):
        own, stride = channels[0], strides[0]
        if len(channels) > 2:
            below, from_below = self.level(own, own, channels[1:], strides[1:], is_top=False), own
        else:
            below, from_below = self.down(own, channels[1], (1, 1, 1)), channels[1]
        down = self.down(before, own, stride)
        return nn.Sequential(down, SkipConnection(below), self.up(own + from_below, after, stride, is_top=is_top))

    def down(self, before, after, stride):
        if self.units:
            return ResidualUnit(before, after, stride, self.units, **self.options)
        return convolution(before, after, stride, **self.options)

    def up(self, before, after, stride, *, is_top):
        alone = is_top and not self.units
        conv = convolution(before, after, stride, transposed=True, alone=alone, **self.options)
        if not self.units:
            return conv
        return nn.Sequential(conv, ResidualUnit(after, after, (1, 1, 1), 1, last_alone=is_top, **self.options))

    def forward(self, image):
        return self.model(image)


class ZNormalization:
    def __init__(self, masking_method=None):
        self._masking_method_arg = masking_method
        self.channel_wise = True


class Pipeline:
    def __init__(self, transforms):
        self.fs = transforms


class DataLoaders:
    def __init__(self, transforms):
        self.loaders = [Pipeline(transforms)]


class Learner:
    def __init__(self, model, transforms):
        self.model = model
        self.dls = DataLoaders(transforms)


MONAI = {
    "monai.networks.nets.unet": (UNet,),
    "monai.networks.layers.simplelayers": (SkipConnection,),
    "monai.networks.blocks.convolutions": (Convolution, ResidualUnit),
    "monai.networks.blocks.acti_norm": (ADN,),
}
FASTMONAI = {
    "fastai.learner": (Learner,),
    "fastai.data.core": (DataLoaders,),
    "fastcore.transform": (Pipeline,),
    "fastMONAI.vision_augmentation": (ZNormalization,),
}


def pose(places, *, replace=None):
    """Put classes into modules of other names, with all packages above them."""
    for place, classes in places.items():
        parts = place.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if depth == len(parts) or name not in sys.modules:
                module = types.ModuleType(name)
                module.__path__ = []
                if replace is None:
                    sys.modules[name] = module
                else:
                    replace.setitem(sys.modules, name, module)
        for one in classes:
            one.__module__ = place
            setattr(sys.modules[place], one.__name__, one)


def random_network(before=1, after=1, channels=(4, 6, 8), strides=((2, 2, 2), (1, 2, 2)), units=2, *, seed=0, **layers):
    """A network for evaluation whose every tensor is random: nothing stays at a value that hides a mistake."""
    torch.manual_seed(seed)
    network = UNet(before, after, channels, strides, units, **layers)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                spread = 0.5 / value[0].numel() ** 0.5 if value.ndim > 1 else 0.3
                value.normal_(0.0, spread)
                if name.endswith(("running_var", "N.weight")):
                    value.abs_().add_(0.5)
    return network.eval()
