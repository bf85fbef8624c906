"""One architecture out of what the checkpoint, a summary and the command line say of it.

What leaves a tensor is read off the shapes, what leaves none and is not given is a default; where
each field came from goes into the manifest. Labels have no default: their order decides alarms.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.checkpoints import SUMMARY, Checkpoint, find_model
from export.classifier_model import Architecture
from export.state_dicts import Found
from ropewatch.errors import ModelError

# A person is taller than wide; only crop mode uses it.
DEFAULT_CROP_WH = (192, 384)


@dataclass(frozen=True, slots=True)
class Resolved:
    """An architecture with its weights.

    Attributes:
        architecture: complete.
        origins: for each of its fields where the value came from.
        found: the weights.
    """

    architecture: Architecture
    origins: Mapping[str, str]
    found: Found


def resolve(
    checkpoint: Checkpoint,
    given: Mapping[str, Any],
    *,
    crop_wh: tuple[int, int] | None = None,
    labels: tuple[str, ...] | None = None,
    state_dict: str | None = None,
) -> Resolved:
    """Merge what is known and complete it.

    Args:
        checkpoint: with its own architecture and summary.
        given: fields of an architecture file; may be empty.
        crop_wh: network width and height, px; overrides what the others say.
        labels: in class order; must agree with what the others say.
        state_dict: see `find_model`.

    Raises:
        ModelError: two sources contradict each other, labels are nowhere, or a value cannot be.
    """
    told, origins = _merge(
        checkpoint,
        {
            "checkpoint": checkpoint.architecture or {},
            SUMMARY: checkpoint.summary,
            "architecture file": given,
        },
    )
    origin = checkpoint.path
    _take_arguments(told, origins, crop_wh=crop_wh, labels=labels, origin=origin)
    defaults = Architecture.__dataclass_fields__
    found = find_model(
        checkpoint,
        backbone=told.get("backbone", defaults["backbone"].default),
        backbone_kwargs=told.get("backbone_kwargs", {}),
        state_dict=state_dict,
    )
    for name, value in _from_shapes(found, told).items():
        told[name], origins[name] = value, "shapes"
    told.setdefault("crop_wh", DEFAULT_CROP_WH)
    try:
        architecture = Architecture(**told)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{origin}: architecture: {error}; fix it") from error
    return Resolved(
        architecture=architecture,
        origins={name: origins.get(name, "default") for name in defaults},
        found=found,
    )


def _take_arguments(
    told: dict[str, Any],
    origins: dict[str, str],
    *,
    crop_wh: tuple[int, int] | None,
    labels: tuple[str, ...] | None,
    origin: Path,
) -> None:
    """Put what the command line says into `told`, in place; labels must be there afterwards."""
    if labels is not None:
        if "labels" in told and told["labels"] != labels:
            raise ModelError(
                f"{origin}: labels {list(labels)}, want {list(told['labels'])} as in its "
                f"architecture: their order is the class order; leave --labels out"
            )
        told["labels"], origins["labels"] = labels, "--labels"
    if crop_wh is not None:
        told["crop_wh"], origins["crop_wh"] = crop_wh, "--crop-wh"
    if "labels" not in told:
        raise ModelError(
            f"{origin}: no labels in it, want them in class order, which no tensor tells; give "
            f"--architecture, or --labels"
        )
    if not isinstance(told["labels"], tuple):
        raise ModelError(f"{origin}: labels: {told['labels']!r}, want a list of names; fix it")


def _merge(
    checkpoint: Checkpoint, sources: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    told: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, fields in sources.items():
        unknown = sorted(set(fields) - set(Architecture.__dataclass_fields__))
        if unknown:
            raise ModelError(
                f"{checkpoint.path}: {origin}: unknown keys {unknown}, want fields of "
                f"export.classifier_model.Architecture; fix the architecture"
            )
        for name, raw in fields.items():
            value = tuple(raw) if isinstance(raw, list) else raw
            if name in told and told[name] != value:
                raise ModelError(
                    f"{checkpoint.path}: {origins[name]} carries an architecture that differs "
                    f"from the {origin}: {name} {told[name]} and {value}, want one; correct one "
                    f"or leave it out"
                )
            told[name] = value
            origins.setdefault(name, origin)
    return told, origins


def _from_shapes(found: Found, told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not told and that the head's shapes tell; none where they do not."""
    if not found.layers or "norm.weight" not in found.backbone:
        return {}
    fields: dict[str, Any] = {}
    if "hidden" not in told:
        fields["hidden"] = tuple(layer.outputs for layer in found.layers[:-1])
    channels = len(found.backbone["norm.weight"])
    bins, remainder = divmod(found.layers[0].inputs, channels)
    if remainder or bins < 1:
        return fields
    if "reduce" not in told:
        fields["reduce"] = "mean" if bins == 1 else "flatten"
    side = math.isqrt(bins)
    if "roi_out" not in told and bins > 1 and side * side == bins:
        fields["roi_out"] = (side, side)
    return fields
