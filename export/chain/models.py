"""The detector and the classifier of a site as functions of frames, whoever computes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from export.chain.answers import Box
from export.chain.frames import Frame
from export.detections import Detections, PostProcessing, detections
from export.pictures import Picture, fit
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import Floats, as_nvinfer
from ropewatch.lint.config import Config
from ropewatch.lint.source import read_config
from ropewatch.manifest import Manifest, Preprocessing, load_verified
from ropewatch.nvinfer_keys import CLASS_KEYS

# (B, 3, H, W) uint8 as the network's channels are ordered, to the model's output.
Answer = Callable[[npt.NDArray[np.uint8]], Floats]
Feeds = Mapping[str, npt.NDArray[Any]]
_CLASS_KEYS: Final = ("pre-cluster-threshold", "nms-iou-threshold", "topk")


@dataclass(frozen=True, slots=True)
class Model:
    """One nvinfer configuration of a site with the model that it leads to."""

    path: Path
    config: Config
    onnx: Path
    manifest: Manifest

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the ONNX always takes; None when it takes any."""
        batch = self.manifest.inputs[0].shape[0]
        return batch if isinstance(batch, int) else None

    def post_processing(self, class_id: int) -> PostProcessing:
        """What the configuration does with a class's candidates."""
        given = {
            **self.config.classes.get("all", {}),
            **self.config.classes.get(str(class_id), {}),
        }
        threshold, iou, topk = (
            float(str(given.get(key, CLASS_KEYS[key].default))) for key in _CLASS_KEYS
        )
        # A negative topk is no limit.
        return PostProcessing(threshold, iou, int(topk) if topk >= 0 else 1 << 30)

    def by(self, run: Callable[[Feeds], Mapping[str, Floats]], how: Preprocessing) -> Answer:
        """The model computed by something that takes feeds, after a preprocessing."""
        name, batch = self.manifest.inputs[0].name, self.fixed_batch or 1
        output = self.manifest.outputs[0].name

        def answer(pixels: npt.NDArray[np.uint8]) -> Floats:
            images = as_nvinfer(pixels, how)
            rows = [
                run({name: np.repeat(each[None], batch, axis=0)})[output][0] for each in images
            ]
            return np.stack(rows).astype(np.float32)

        return answer


def read_model(path: Path, *, kind: str) -> Model:
    """Read a configuration and the manifest of its model.

    Raises:
        ModelError: it leads to no ONNX of ours, or to one of another kind or mode.
    """
    config = Config.of(read_config(path))
    onnx = config.onnx()
    if onnx is None:
        raise ModelError(
            f"{path}: no ONNX, want model-engine-file or onnx-file that leads to one with its "
            f"manifest; export the model, and copy both beside the engine"
        )
    manifest = load_verified(onnx)
    if manifest.kind != kind or manifest.mode not in (None, "crop"):
        raise ModelError(
            f"{path}: its model is a {manifest.kind} ({manifest.mode or 'frames'}), want a {kind} "
            f"of a site in crop mode; name the right file in the site"
        )
    return Model(path, config, onnx, manifest)


def find_persons(
    model: Model,
    answer: Answer,
    frame: Frame,
    *,
    how: Preprocessing,
    class_id: int,
) -> Detections:
    """The detector's persons in a frame."""
    pixels, placed = fit(frame.rgb, how, size_wh=model.manifest.network_wh_px)
    height, width = frame.rgb.shape[:2]
    return detections(
        answer(pixels[None])[0],
        placed,
        class_id=class_id,
        picture_wh=(width, height),
        how=model.post_processing(class_id),
    )


def judge_crops(
    model: Model,
    answer: Answer,
    frame: Frame,
    crops_ltwh_px: Sequence[Box],
    *,
    how: Preprocessing,
    label: str,
) -> list[float]:
    """The classifier's probability of a label for each crop of a frame; there may be none."""
    if not crops_ltwh_px:
        return []
    size_wh = model.manifest.network_wh_px
    pixels = np.stack(
        [fit(_cut(frame.rgb, crop), how, size_wh=size_wh)[0] for crop in crops_ltwh_px]
    )
    index = model.manifest.labels.index(label)
    return [float(row[index]) for row in answer(pixels)]


def _cut(picture: Picture, crop_ltwh_px: Box) -> Picture:
    left, top, width, height = (int(value) for value in crop_ltwh_px)
    return picture[top : top + height, left : left + width]


def weights_for(model: Model, files: Sequence[Path]) -> Path | None:
    """Which of the checkpoints the model was exported from, by its digest."""
    wanted = model.manifest.weights.sha256
    return next((file for file in files if sha256_of(file) == wanted), None)


def require_use(files: Sequence[Path], models: Sequence[Model]) -> None:
    """Raise a ModelError for a checkpoint that none of the models was exported from."""
    for file in files:
        if not file.is_file():
            raise ModelError(f"{file}: no such file, want a checkpoint; fix --weights")
        found = sha256_of(file)
        if all(found != model.manifest.weights.sha256 for model in models):
            wanted = "; ".join(
                f"{model.manifest.weights.file} {model.manifest.weights.sha256[:12]}... of "
                f"{model.onnx.name}"
                for model in models
            )
            raise ModelError(
                f"{file}: sha256 {found[:12]}..., want {wanted}: the site's models were exported "
                f"from those; export these weights, or name the right ones"
            )
