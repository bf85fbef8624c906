"""A site's models in PyTorch, from the checkpoints that they were exported from."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.chain.models import Answer, Model
from export.checkpoints import load_weights, read_checkpoint
from export.classifier import as_trained
from export.detector import as_ultralytics_sees_it, class_ids_of
from export.resolve import resolve
from export.trust import Trust
from export.ultralytics_pickle import load_detection_model
from ropewatch.errors import ModelError
from ropewatch.golden import Floats, as_nvinfer


def detector_answer(model: Model, weights: Path, *, trust: Trust) -> Answer:
    """Ultralytics' own model and head, as rows of six.

    Raises:
        ModelError: the checkpoint may not or cannot be read.
    """
    original = load_detection_model(weights, trust=trust)
    manifest = model.manifest
    ids = class_ids_of(original.names, manifest.labels, weights)

    def answer(pixels: npt.NDArray[np.uint8]) -> Floats:
        return as_ultralytics_sees_it(original, as_nvinfer(pixels, manifest.preprocessing), ids)

    return answer


def classifier_answer(model: Model, weights: Path, *, state_dict: str | None) -> Answer:
    """The classifier as in training, its own normalisation included.

    Raises:
        ModelError: the checkpoint does not fit the architecture in the manifest.
    """
    architecture = model.manifest.architecture
    if architecture is None:
        raise ModelError(f"{model.onnx}: no architecture in its manifest; export it again")
    resolved = resolve(read_checkpoint(weights), architecture, state_dict=state_dict)
    original = load_weights(resolved.architecture, resolved.found, origin=weights)

    def answer(pixels: npt.NDArray[np.uint8]) -> Floats:
        return as_trained(original, pixels)

    return answer
