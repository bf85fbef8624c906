"""Our network against the training code's own numbers: what leaves no tensor cannot hide then.

Normalisation, pooling, sampling, alignment, activation and the order of outputs are in the
numbers of `ropewatch export golden`, if its boxes differ enough.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.classifier_model import ACTIVATIONS, Architecture, RoiClassifier, build_roi_classifier
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import TRAINING, Floats, Golden
from ropewatch.manifest import ParityFact

# Shares of the largest number: float32 on another machine stays far below, another activation,
# as the tests show, does not.
_LOGITS, _PROBABILITIES = 1e-3, 1e-4
_WAY_OUT = "make it again with `ropewatch export golden`"


def verify_architecture(model: RoiClassifier, path: Path, *, weights: Path) -> ParityFact:
    """Compare a network with a training's golden outputs.

    Args:
        model: in evaluation mode, filled from the weights.
        path: what `ropewatch export golden` wrote.
        weights: the checkpoint.

    Raises:
        ModelError: the file is about other weights or labels, tells nothing, or differs; where
            one changed field would agree, it is named.
    """
    golden = Golden.load(path)
    quantity, expected = _expected(model, golden, path, weights)
    apart = _difference(model, golden, expected, quantity)
    share = _LOGITS if quantity == "logits" else _PROBABILITIES
    tolerance = share * max(1.0, float(np.abs(expected).max()))
    if float(np.ptp(expected, axis=0).max()) < 10 * tolerance:
        raise ModelError(
            f"{path}: the {quantity} of all boxes differ by less than {10 * tolerance:.3g}, want "
            f"boxes that differ, or nothing is compared; {_WAY_OUT} with other pictures"
        )
    if not apart <= tolerance:
        raise ModelError(
            f"{path}: {quantity} differ from the training code's by {apart:.3g}, want at most "
            f"{tolerance:.3g}; {_advice(model, golden, expected, quantity, tolerance)}"
        )
    return ParityFact(
        quantity=f"{quantity} of the training code",
        batch=len(golden.pixels),
        max_abs_difference=apart,
        tolerance=tolerance,
    )


def _expected(
    model: RoiClassifier, golden: Golden, path: Path, weights: Path
) -> tuple[str, Floats]:
    """The training's numbers, logits without what softmax ignores, after the file was checked."""
    origin = golden.origin
    if origin["reference"] != TRAINING or set(golden.inputs) != {"rois", "image_index"}:
        raise ModelError(
            f"{path}: outputs of {origin['reference']}, want the training code's; {_WAY_OUT}"
        )
    digest = sha256_of(weights)
    if origin.get("weights_sha256") != digest:
        raise ModelError(
            f"{path}: made from weights {origin.get('weights_sha256', '')[:12]}..., want "
            f"{digest[:12]}... as {weights.name}; {_WAY_OUT}"
        )
    labels = model.architecture.labels
    told = origin.get("labels")
    (quantity, output) = next(iter(golden.outputs.items()))
    if output.shape[1] != len(labels) or (told is not None and told != ",".join(labels)):
        raise ModelError(
            f"{path}: {output.shape[1]} labels, {told or 'not named'}, want {', '.join(labels)}; "
            f"correct the labels of the export"
        )
    height, width = golden.pixels.shape[2:]
    if height % model.patch_px or width % model.patch_px:
        raise ModelError(
            f"{path}: pictures of {width}x{height}, want multiples of the patch, "
            f"{model.patch_px} px; {_WAY_OUT}"
        )
    return quantity, _centred(output) if quantity == "logits" else output


def _centred(logits: Floats) -> Floats:
    centred: Floats = logits - logits.mean(axis=1, keepdims=True)
    return centred


def _difference(model: RoiClassifier, golden: Golden, expected: Floats, quantity: str) -> float:
    joined = np.concatenate(
        [golden.inputs["image_index"][:, None].astype(np.float32), golden.inputs["rois"]], axis=1
    )
    with torch.no_grad():
        logits = model(model.normalise(torch.from_numpy(golden.pixels)), torch.from_numpy(joined))
    ours = _centred(logits.numpy()) if quantity == "logits" else logits.softmax(1).numpy()
    return float(np.abs(ours - expected).max())


def _advice(
    model: RoiClassifier, golden: Golden, expected: Floats, quantity: str, tolerance: float
) -> str:
    for change in _changes(model.architecture):
        other = build_roi_classifier(dataclasses.replace(model.architecture, **change)).eval()
        other.load_state_dict(model.state_dict())
        if _difference(other, golden, expected, quantity) <= tolerance:
            told = ", ".join(f"{name} {value}" for name, value in change.items())
            return f"they agree with {told}: give it in --architecture"
    return (
        "no other value of one field agrees either; compare the training's model with "
        "export/classifier_model.py, and see that it ran in float32"
    )


def _changes(architecture: Architecture) -> Iterator[dict[str, Any]]:
    """Each field that leaves no tensor, changed alone."""
    yield {"aligned": not architecture.aligned}
    yield from (
        {"sampling_ratio": ratio} for ratio in range(5) if ratio != architecture.sampling_ratio
    )
    yield from ({"activation": name} for name in ACTIVATIONS if name != architecture.activation)
    half, none, one = (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    yield from ({"mean": half, "std": half}, {"mean": none, "std": one})
    if architecture.reduce == "mean":
        yield from ({"roi_out": (side, side)} for side in (1, 3, 5, 7, 14))
