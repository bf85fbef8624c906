"""Reading and writing checkpoints of the rope classifier; nothing is ever loaded in part.

A checkpoint of ours is {"architecture": JSON form, "state_dict": tensors}. Others are read as
well: a bare state dict, or one in a wrapping of any name, with any prefix, in half precision.
"""

import json
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export.classifier_model import (
    Architecture,
    RoiClassifier,
    build_roi_classifier,
    create_backbone,
)
from export.package import require_file
from export.state_dicts import Found, Tensors, find, head_complaints, state_dicts
from ropewatch.errors import ModelError

SUMMARY = "summary.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file holds, not yet fitted to a network.

    Attributes:
        path: of the file.
        state_dicts: every mapping with tensors in it, by its path in the file.
        architecture: fields of Architecture that the file carries; None when it has none.
        summary: fields of Architecture in a summary.json beside the file; may be empty.
    """

    path: Path
    state_dicts: Mapping[str, Tensors]
    architecture: Mapping[str, Any] | None
    summary: Mapping[str, Any]


def save_checkpoint(model: RoiClassifier, path: Path) -> None:
    """Write architecture and weights, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    torch.save(
        {"architecture": model.architecture.to_json(), "state_dict": model.state_dict()}, temporary
    )
    temporary.replace(path)


def read_checkpoint(path: Path) -> Checkpoint:
    """What a checkpoint holds, read without running anything in it.

    Raises:
        ModelError: no such file, not readable as plain tensors, or of another form.
    """
    require_file(path, wanted="a checkpoint of the rope classifier")
    try:
        # weights_only: a pickle that names anything but tensors and plain values is refused.
        with warnings.catch_warnings():
            # Of another pickle protocol than its own; what cannot be read is an error below.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path}: {_why_unread(error)}; want a whole file of tensors alone, as "
            f"torch.save(model.state_dict()) writes; copy it again, or save it in that form"
        ) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: {type(content).__name__}, want a state dict; save one")
    found = state_dicts(content)
    if not found:
        raise ModelError(
            f"{path}: {list(content)[:5] or 'nothing'} in it, want tensors by name, in a wrapping "
            f"or not; save model.state_dict()"
        )
    own = content.get("architecture")
    if own is not None and not isinstance(own, Mapping):
        raise ModelError(f"{path}: architecture: {type(own).__name__}, want fields by name")
    return Checkpoint(
        path=path, state_dicts=found, architecture=own, summary=_summary(path.with_name(SUMMARY))
    )


def find_model(
    checkpoint: Checkpoint,
    *,
    backbone: str,
    backbone_kwargs: Mapping[str, Any],
    state_dict: str | None = None,
) -> Found:
    """The one state dict of a checkpoint that holds this backbone and a head.

    Args:
        checkpoint: read from a file.
        backbone: its name in timm.
        backbone_kwargs: overrides for timm.
        state_dict: path of the mapping to take, where several fit, such as model and ema.

    Returns:
        The one that fits, or, with complaints, the one that fits best.

    Raises:
        ModelError: timm does not know the backbone, or several fit and differ.
    """
    origin, candidates = checkpoint.path, checkpoint.state_dicts
    if state_dict is not None:
        if state_dict not in candidates:
            raise ModelError(f"{origin}: no {state_dict!r} in it, want one of {list(candidates)}")
        candidates = {state_dict: candidates[state_dict]}
    try:
        # On meta: shapes alone, nothing is allocated or initialised.
        with torch.device("meta"):
            skeleton = create_backbone(backbone, backbone_kwargs)
    except Exception as error:
        # timm raises what it likes for a name or keyword that it does not know.
        raise ModelError(f"{origin}: architecture: {error}; fix the architecture") from error
    shapes = {name: tuple(value.shape) for name, value in skeleton.state_dict().items()}
    found = {path: find(tensors, shapes) for path, tensors in candidates.items()}
    fitting = [path for path, each in found.items() if each.layers and not each.complaints]
    for path in fitting[1:]:
        if not _equal(candidates[fitting[0]], candidates[path]):
            raise ModelError(
                f"{origin}: weights in {' and in '.join(fitting)} that differ, want one; name it "
                f"with --state-dict"
            )
    if fitting:
        return found[fitting[0]]
    # The longest path of the best: what a wrapping holds besides would only lengthen the list.
    best = min(
        found, key=lambda path: (not found[path].layers, len(found[path].complaints), -len(path))
    )
    return found[best]


def load_weights(architecture: Architecture, found: Found, *, origin: Path) -> RoiClassifier:
    """Build the network and fill it, float32, in evaluation mode.

    Raises:
        ModelError: any tensor is missing, unexpected, of another shape, or not finite; all of
            them are listed with the nearest names.
    """
    try:
        model = build_roi_classifier(architecture)
    except Exception as error:
        raise ModelError(f"{origin}: architecture: {error}; fix the architecture") from error
    linear = {
        name: layer for name, layer in model.head.named_children() if isinstance(layer, nn.Linear)
    }
    wanted = [(layer.in_features, layer.out_features) for layer in linear.values()]
    complaints = [*found.complaints, *head_complaints(found, wanted)]
    if complaints:
        listed = list(dict.fromkeys(complaints))
        raise ModelError(
            f"{origin}: misfits between checkpoint and architecture: {len(listed)}, want none; "
            f"give the architecture that it was trained with, or a whole checkpoint:\n  "
            + "\n  ".join(listed)
        )
    weights = {f"backbone.{name}": value.float() for name, value in found.backbone.items()}
    for name, layer in zip(linear, found.layers, strict=True):
        for part in ("weight", "bias"):
            weights[f"head.{name}.{part}"] = found.rest[f"{layer.stem}.{part}"].float()
    model.load_state_dict(weights)
    model.eval()
    return model


def _why_unread(error: Exception) -> str:
    """A damaged file raises nearly anything; torch's words on pickles advise to read them."""
    if isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = named[1] if named else "more than tensors"
        return f"a pickle with {what} in it, which reading it might run"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0].partition('. ')[0]}"


def _equal(one: Tensors, other: Tensors) -> bool:
    return list(one) == list(other) and all(
        torch.equal(value, other[name]) for name, value in one.items()
    )


def _summary(path: Path) -> dict[str, Any]:
    """The fields of Architecture that a training's summary tells; the rest is its own affair."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}; want JSON, or no such file") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: {type(content).__name__}, want a JSON object")
    nested = content.get("architecture")
    content = {**content, **(nested if isinstance(nested, dict) else {})}
    return {key: content[key] for key in Architecture.__dataclass_fields__ if key in content}
