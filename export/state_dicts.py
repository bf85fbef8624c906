"""Finding the backbone and the head in a state dict, whatever the training code called them.

The backbone is where timm's names end, under whatever prefix; the head is the linear layers that
are left, in their order. Nothing is guessed: a tensor that has no place is a complaint.
"""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

Tensors = Mapping[str, torch.Tensor]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear layer of a head as a file has it.

    Attributes:
        stem: its name without .weight and .bias.
        inputs, outputs: its widths.
    """

    stem: str
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a state dict holds of a rope classifier.

    Attributes:
        prefix: of the backbone's names.
        backbone: timm's name to the tensor; those that are there with the wanted shape.
        layers: the head's linear layers, in order.
        rest: every tensor outside the backbone, the layers' included.
        complaints: what is missing, unexpected, of another shape or not finite; not the head's
            shapes, which are the architecture's business.
    """

    prefix: str
    backbone: Tensors
    layers: Sequence[Layer]
    rest: Tensors
    complaints: Sequence[str]


def state_dicts(content: Mapping[Any, Any]) -> dict[str, dict[str, torch.Tensor]]:
    """Every mapping of a checkpoint that holds tensors, by its path, names joined by dots.

    {"model": {"a.b": tensor}, "epoch": 3} gives "model" and the file as a whole, "". What is not
    a tensor carries no weight and is left out; so are mappings by number, as optimisers have.
    """
    within: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping):
            for path, tensors in state_dicts(value).items():
                within[f"{key}.{path}" if path else key] = tensors
    whole = _joined(content)
    # A mapping that adds nothing to the one inside it is the same state dict once more.
    if whole and all(len(tensors) < len(whole) for tensors in within.values()):
        within[""] = whole
    return within


def find(tensors: Tensors, backbone: Shapes) -> Found:
    """Split a state dict into backbone and the rest.

    Args:
        tensors: one state dict.
        backbone: the wanted names, as timm has them, and shapes.
    """
    prefix = _prefix(tensors, backbone)
    have = {name: tensors[prefix + name] for name in backbone if prefix + name in tensors}
    rest = {
        name: value
        for name, value in tensors.items()
        if not (name.startswith(prefix) and name[len(prefix) :] in have)
    }
    # What stands among the backbone's modules is no part of a head.
    tops = {name.split(".")[0] for name in backbone}
    strays = [
        name
        for name in rest
        if name.startswith(prefix) and name[len(prefix) :].split(".")[0] in tops
    ]
    layers, doubts = _linear_layers({name: rest[name] for name in rest if name not in strays})
    used = {f"{layer.stem}.{part}" for layer in layers for part in ("weight", "bias")}
    unexpected = sorted(name for name in rest if name not in used)
    missing = sorted(set(backbone) - set(have))
    complaints = [
        f"missing {prefix}{name}{nearest(prefix + name, unexpected)}" for name in missing
    ]
    complaints += [
        f"{prefix}{name} is {tuple(have[name].shape)}, want {backbone[name]}"
        for name in sorted(have)
        if tuple(have[name].shape) != backbone[name]
    ]
    complaints += [f"unexpected {name} {tuple(rest[name].shape)}" for name in unexpected]
    complaints += [
        f"{name} holds NaN or infinity"
        for name, value in tensors.items()
        if not torch.isfinite(value).all()
    ]
    complaints += doubts
    return Found(prefix=prefix, backbone=have, layers=layers, rest=rest, complaints=complaints)


def head_complaints(found: Found, wanted: Sequence[tuple[int, int]]) -> list[str]:
    """Where the layers that were found differ from the wanted (inputs, outputs), in order."""
    complaints = []
    free = sorted(set(found.rest) - {f"{layer.stem}.weight" for layer in found.layers})
    for layer, (inputs, outputs) in zip(found.layers, wanted, strict=False):
        if (layer.inputs, layer.outputs) != (inputs, outputs):
            have, want = (layer.outputs, layer.inputs), (outputs, inputs)
            complaints.append(f"{layer.stem}.weight is {have}, want {want}")
        bias = f"{layer.stem}.bias"
        if bias not in found.rest:
            complaints.append(f"missing {bias}{nearest(bias, free)}")
        elif tuple(found.rest[bias].shape) != (outputs,):
            complaints.append(f"{bias} is {tuple(found.rest[bias].shape)}, want {(outputs,)}")
    for inputs, outputs in wanted[len(found.layers) :]:
        complaints.append(
            f"missing a linear layer of the head with weight {(outputs, inputs)}; two-dimensional "
            f"weights outside the backbone: {[layer.stem for layer in found.layers] or 'none'}"
        )
    complaints += [
        f"unexpected {layer.stem}, a linear layer {(layer.outputs, layer.inputs)}"
        for layer in found.layers[len(wanted) :]
    ]
    return complaints


def nearest(name: str, candidates: Sequence[str]) -> str:
    """The most similar candidate, in brackets, or nothing."""
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.8)
    return f" (nearest: {near[0]})" if near else ""


def _linear_layers(tensors: Tensors) -> tuple[tuple[Layer, ...], list[str]]:
    """The linear layers among some tensors in order, and a complaint where that is open.

    A file has its tensors in the order of construction, mostly; names count, mostly. An order
    in which each layer takes what the last one gives is right; two such are one too many.
    """
    layers = [
        Layer(stem=name.removesuffix(".weight"), inputs=value.shape[1], outputs=value.shape[0])
        for name, value in tensors.items()
        if name.endswith(".weight") and value.ndim == 2
    ]
    counted = sorted(layers, key=lambda layer: _counting(layer.stem))
    fitting = [
        order
        for order in (layers, counted)
        if all(one.outputs == two.inputs for one, two in pairwise(order))
    ]
    if len(fitting) == 2 and layers != counted:
        stems = [layer.stem for layer in layers]
        return tuple(layers), [f"the order of {stems} cannot be told: file and names differ"]
    return tuple(fitting[0] if fitting else layers), []


def _joined(content: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    tensors = {}
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, torch.Tensor):
            tensors[key] = value
        elif isinstance(key, str) and isinstance(value, Mapping):
            tensors.update({f"{key}.{name}": inner for name, inner in _joined(value).items()})
    return tensors


def _prefix(tensors: Tensors, backbone: Shapes) -> str:
    """What stands before most of the backbone's names; a fitting shape counts double."""
    votes: Counter[str] = Counter()
    for name, value in tensors.items():
        parts = name.split(".")
        for cut in range(len(parts)):
            shape = backbone.get(".".join(parts[cut:]))
            if shape is not None:
                votes[".".join([*parts[:cut], ""])] += 1 + (tuple(value.shape) == shape)
    # Of equals the shortest, then the first in the alphabet: the same every time.
    return min(votes, key=lambda prefix: (-votes[prefix], len(prefix), prefix), default="")


def _counting(name: str) -> list[tuple[int, str]]:
    """A key that sorts layer.10 behind layer.9."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]
