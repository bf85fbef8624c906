"""Reading and writing checkpoints of the rope classifier; nothing is ever loaded in part.

A checkpoint of ours is {"architecture": JSON form, "state_dict": tensors}. A bare state dict of
the same names is read as well; its architecture must then be given.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from export.classifier_model import Architecture, RoiClassifier, build_roi_classifier
from export.package import require_file
from ropewatch.errors import ModelError


def save_checkpoint(model: RoiClassifier, path: Path) -> None:
    """Write architecture and weights, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    torch.save(
        {"architecture": model.architecture.to_json(), "state_dict": model.state_dict()}, temporary
    )
    temporary.replace(path)


def read_checkpoint(path: Path) -> tuple[Architecture | None, dict[str, torch.Tensor]]:
    """What a checkpoint holds, read without running anything in it.

    Raises:
        ModelError: no such file, not readable as plain tensors, or of another form.
    """
    require_file(path, wanted="a checkpoint of the rope classifier")
    try:
        # weights_only: a pickle that names anything but tensors and plain values is refused.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged file raises nearly anything; the first line says what, the rest is advice
        # to switch the protection off.
        reason = str(error).strip().splitlines() or [""]
        raise ModelError(
            f"{path}: {type(error).__name__}: {reason[0]}; want a whole file of tensors alone, "
            f"as torch.save(model.state_dict()) writes; copy it again, or save it in that form"
        ) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: {type(content).__name__}, want a state dict; save one")
    architecture = _architecture(content.get("architecture"), path)
    tensors = content.get("state_dict", content)
    strangers = (
        [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]
        if isinstance(tensors, Mapping)
        else ["state_dict"]
    )
    if strangers or not tensors:
        raise ModelError(
            f"{path}: {strangers[:5] or 'nothing'} in it, want tensors by name, or "
            f"architecture and state_dict; save it in one of these forms"
        )
    return architecture, dict(tensors)


def load_weights(
    architecture: Architecture, tensors: Mapping[str, torch.Tensor], *, origin: Path
) -> RoiClassifier:
    """Build the network and fill it, float32, in evaluation mode.

    Raises:
        ModelError: any tensor is missing, unexpected, of another shape, or not finite; all of
            them are listed with the nearest names.
    """
    try:
        model = build_roi_classifier(architecture)
    except Exception as error:
        # timm raises what it likes for a name or keyword that it does not know.
        raise ModelError(f"{origin}: architecture: {error}; fix the architecture") from error
    wanted = model.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    unexpected = sorted(set(tensors) - set(wanted))
    complaints = [f"missing {name}{_nearest(name, unexpected)}" for name in missing]
    complaints += [f"unexpected {name} {tuple(tensors[name].shape)}" for name in unexpected]
    for name in sorted(set(wanted) & set(tensors)):
        have, want = tuple(tensors[name].shape), tuple(wanted[name].shape)
        if have != want:
            complaints.append(f"{name} is {have}, want {want}")
        elif not torch.isfinite(tensors[name]).all():
            complaints.append(f"{name} holds NaN or infinity")
    if complaints:
        listed = "\n  ".join(complaints)
        raise ModelError(
            f"{origin}: {len(complaints)} tensors do not fit the architecture; give the "
            f"architecture that the checkpoint was trained with:\n  {listed}"
        )
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    model.eval()
    return model


def load_checkpoint(path: Path) -> RoiClassifier:
    """A checkpoint that `save_checkpoint` wrote, ready to use."""
    architecture, tensors = read_checkpoint(path)
    if architecture is None:
        raise ModelError(f"{path}: no architecture in it, want one; give --architecture")
    return load_weights(architecture, tensors, origin=path)


def _architecture(values: Any, path: Path) -> Architecture | None:
    if values is None:
        return None
    try:
        return Architecture.from_json(values)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: architecture: {error}; write the checkpoint again") from error


def _nearest(name: str, candidates: list[str]) -> str:
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.8)
    return f" (nearest: {near[0]})" if near else ""
