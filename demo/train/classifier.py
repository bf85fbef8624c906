"""Training of the rope classifier."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from demo.train.dataset import Samples
from demo.train.recipe import ARCHITECTURE
from export.classifier_model import RoiClassifier, build_roi_classifier


@dataclass(frozen=True)
class ClassifierRecipe:
    """How long and how fast."""

    epochs: int
    batch: int = 64
    peak_rate: float = 1.5e-3
    weight_decay: float = 0.05
    rope_weight: float = 1.0
    """Weight of the auxiliary task: which tokens hold the person's own rope."""


class RopeWhere(nn.Module):  # type: ignore[misc] # torch is skipped by mypy, see pyproject
    """Auxiliary head of training, thrown away after: a logit per token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to logits (B, h, w)."""
        logits: torch.Tensor = self.score(features)[:, 0]
        return logits


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first 5 %, then a cosine to 1 % of the peak."""
    warm = max(1, steps // 20)
    if step < warm:
        return peak * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def augment(rng: np.random.Generator, images: torch.Tensor) -> torch.Tensor:
    """Random gain, offset and tint of uint8 images (B, 3, H, W); float32 0 to 255."""
    count = len(images)
    gain = torch.from_numpy(rng.uniform(0.75, 1.25, (count, 1, 1, 1)).astype(np.float32))
    tint = torch.from_numpy(rng.uniform(0.92, 1.08, (count, 3, 1, 1)).astype(np.float32))
    offset = torch.from_numpy(rng.uniform(-18, 18, (count, 1, 1, 1)).astype(np.float32))
    return (images.float() * gain * tint + offset).clamp(0, 255)


def train_classifier(
    data: Samples,
    recipe: ClassifierRecipe,
    *,
    seed: int,
    report: Callable[[str], None],
    keep: Callable[[RoiClassifier], None],
) -> RoiClassifier:
    """Train from nothing; the weights returned are an exponential average."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_roi_classifier(ARCHITECTURE)
    where = RopeWhere(model.backbone.num_features)
    parameters = [*model.parameters(), *where.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.peak_rate, weight_decay=recipe.weight_decay
    )
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    steps = recipe.epochs * (len(data.crops) // recipe.batch)
    step = 0
    for epoch in range(recipe.epochs):
        order = rng.permutation(len(data.crops))
        losses = []
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, steps, recipe.peak_rate)
            chosen = order[start : start + recipe.batch]
            loss = _loss(model, where, data, chosen, rng=rng, rope_weight=recipe.rope_weight)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            average.update_parameters(model)
            losses.append(float(loss.detach()))
            step += 1
            if step % 50 == 0:
                report(f"classifier step {step}/{steps} loss {np.mean(losses[-50:]):.3f}")
        report(f"classifier epoch {epoch + 1}/{recipe.epochs} loss {np.mean(losses):.4f}")
        keep(average.module)
    trained: RoiClassifier = average.module.eval()
    return trained


def _loss(
    model: RoiClassifier,
    where: RopeWhere,
    data: Samples,
    chosen: npt.NDArray[np.int64],
    *,
    rng: np.random.Generator,
    rope_weight: float,
) -> torch.Tensor:
    images = torch.from_numpy(data.crops[chosen]).permute(0, 3, 1, 2)
    tokens = torch.from_numpy(data.rope_tokens[chosen]).float()
    flip = torch.from_numpy(rng.random(len(chosen)) < 0.5)
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    tokens = torch.where(flip[:, None, None], tokens.flip(2), tokens)
    features = model.feature_map(model.normalise(augment(rng, images)))
    pooled = model.pool_rows @ features @ model.pool_columns.T
    logits = model.head(pooled.flatten(1))
    labels = torch.from_numpy(data.unroped[chosen])
    judged = nn.functional.cross_entropy(logits, labels, label_smoothing=0.02)
    found = nn.functional.binary_cross_entropy_with_logits(
        where(features), tokens, pos_weight=torch.tensor(6.0)
    )
    return judged + rope_weight * found
