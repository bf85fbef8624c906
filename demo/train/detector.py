"""Training of the person detector: ultralytics' YOLO11n and loss, our frames, our loop.

The loop is ours because the letterbox must be nvinfer's (zeros below, no mosaic) and because
nothing may be fetched or written outside the output folder.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from demo.train.classifier import augment, learning_rate
from demo.train.dataset import Samples
from demo.train.recipe import DETECTOR_WH_PX


@dataclass(frozen=True)
class DetectorRecipe:
    """How long and how fast."""

    epochs: int
    batch: int = 16
    peak_rate: float = 2e-3
    weight_decay: float = 5e-4
    bfloat16: bool = False
    """Faster on processors with AMX, slower on others."""


def build_detector() -> Any:
    """YOLO11n with one class and random weights, ultralytics' own DetectionModel."""
    # ultralytics writes a settings file on import; it goes where nobody keeps anything.
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="ropewatch-yolo-"))
    from ultralytics.cfg import get_cfg  # noqa: PLC0415 - after YOLO_CONFIG_DIR
    from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415

    model = DetectionModel("yolo11n.yaml", nc=1, verbose=False)
    model.args = get_cfg()
    model.names = {0: "person"}
    return model


def train_detector(
    data: Samples,
    recipe: DetectorRecipe,
    *,
    seed: int,
    report: Callable[[str], None],
    keep: Callable[[Any], None],
) -> Any:
    """Train from nothing; the weights returned are an exponential average."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_detector().train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay
    )
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    )
    steps = recipe.epochs * (len(data.frames) // recipe.batch)
    step = 0
    for epoch in range(recipe.epochs):
        order = rng.permutation(len(data.frames))
        losses = []
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, steps, recipe.peak_rate)
            batch = _batch(data, order[start : start + recipe.batch], rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                loss, _ = model(batch)
            optimiser.zero_grad()
            loss.sum().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            average.update_parameters(model)
            losses.append(float(loss.detach().sum()) / recipe.batch)
            step += 1
            if step % 50 == 0:
                report(f"detector step {step}/{steps} loss {np.mean(losses[-50:]):.3f}")
        report(f"detector epoch {epoch + 1}/{recipe.epochs} loss {np.mean(losses):.3f}")
        settle_norms(average.module, data, rng)
        keep(average.module)
    return average.module.eval()


def settle_norms(
    model: Any, data: Samples, rng: np.random.Generator, *, batches: int = 24
) -> None:
    """Measure the batch norms' statistics anew, for the weights as they are now; in place.

    Averaged statistics belong to older weights: in a short training they are so far off that
    nothing at all is found in evaluation mode.
    """
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches that follow
    model.train()
    with torch.no_grad():
        for _ in range(batches):
            chosen = rng.choice(len(data.frames), min(16, len(data.frames)), replace=False)
            model(torch.from_numpy(data.frames[chosen]).permute(0, 3, 1, 2).float() / 255)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    model.eval()


def _batch(
    data: Samples, chosen: npt.NDArray[np.int64], rng: np.random.Generator
) -> dict[str, torch.Tensor]:
    """A batch as ultralytics' loss wants it: centre and size as shares of the input."""
    width, height = DETECTOR_WH_PX
    images = augment(rng, torch.from_numpy(data.frames[chosen]).permute(0, 3, 1, 2)) / 255
    rows, owners = [], []
    for place, index in enumerate(chosen):
        boxes = data.boxes_xyxy_px[index].copy()
        if rng.random() < 0.5:
            images[place] = images[place].flip(2)
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        rows.append(boxes)
        owners.append(np.full(len(boxes), place))
    xyxy = torch.from_numpy(np.concatenate(rows))
    size = torch.tensor([width, height])
    centres = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / size
    sides = (xyxy[:, 2:] - xyxy[:, :2]) / size
    return {
        "img": images,
        "batch_idx": torch.from_numpy(np.concatenate(owners)).float(),
        "cls": torch.zeros(len(xyxy), 1),
        "bboxes": torch.cat([centres, sides], 1).float(),
    }


def save_detector(model: Any, path: Path) -> None:
    """A checkpoint of the form that ultralytics and `export/` load."""
    torch.save({"model": model, "train_args": {}, "epoch": -1}, path)
