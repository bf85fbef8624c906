"""The whole course: render, train, export, measure."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from demo import golden, seeds
from demo.train.accuracy import (
    best_threshold,
    classifier_accuracy,
    detector_accuracy,
    unroped_scores,
)
from demo.train.classifier import ClassifierRecipe, train_classifier
from demo.train.dataset import Samples, render_samples
from demo.train.detector import DetectorRecipe, save_detector, train_detector
from demo.train.figures import write_figures
from demo.train.recipe import (
    CLASSIFIER_EPOCHS,
    DETECTOR_EPOCHS,
    DETECTOR_WH_PX,
    FRAMES_PER_SCENE,
    SCENES,
)
from export.checkpoints import save_checkpoint
from export.classifier import export_classifier
from export.detector import export_detector
from export.trust import Trust

MEASURE_JITTER = 0.03
"""How far boxes of the measured crops are off, as a share of their sides."""


def run(args: argparse.Namespace) -> None:
    """Train what is asked for, export it, then measure both on scenes never seen.

    Raises:
        RopewatchError: an exported model differs from the trained one, or cannot be written.
    """
    torch.set_num_threads(args.threads)
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", flush=True)

    if args.what != "measure":
        args.work.mkdir(parents=True, exist_ok=True)
        data = _render("train", args.scenes or SCENES, FRAMES_PER_SCENE, 0.05, report)
        if args.what in {"detector", "both"}:
            _detector(data, args, report)
        if args.what in {"classifier", "both"}:
            _classifier(data, args, report)
    _measure(args.output, args.measured_scenes, report)
    report("done")


def _render(
    split: str, scenes: int, frames_each: int, jitter: float, report: Callable[[str], None]
) -> Samples:
    chosen = seeds.SPLITS[split][:scenes]
    data = render_samples(chosen, frames_each=frames_each, jitter=jitter)
    report(f"{split}: {len(chosen)} scenes, {len(data.frames)} frames, {len(data.crops)} crops")
    return data


def _detector(data: Samples, args: argparse.Namespace, report: Callable[[str], None]) -> None:
    checkpoint = args.work / "person.pt"
    recipe = DetectorRecipe(epochs=DETECTOR_EPOCHS, bfloat16=args.bfloat16)

    def keep(model: Any) -> None:
        save_detector(model, checkpoint)

    train_detector(data, recipe, seed=0, report=report, keep=keep)
    export_detector(
        checkpoint,
        size_wh=DETECTOR_WH_PX,
        output_dir=args.output,
        trust=Trust(every_pickle=True),
        name="person",
        images=golden.frames(args.work / "golden-frames"),
    )
    report(f"exported {args.output / 'person.onnx'}")


def _classifier(data: Samples, args: argparse.Namespace, report: Callable[[str], None]) -> None:
    checkpoint = args.work / "rope.pt"
    recipe = ClassifierRecipe(epochs=CLASSIFIER_EPOCHS)
    train_classifier(
        data, recipe, seed=0, report=report, keep=lambda model: save_checkpoint(model, checkpoint)
    )
    export_classifier(
        checkpoint,
        output_dir=args.output,
        name="rope",
        images=golden.crops(args.work / "golden-crops"),
    )
    report(f"exported {args.output / 'rope.onnx'}")


def _measure(models: Path, scenes: int, report: Callable[[str], None]) -> None:
    """Choose the threshold on its own scenes, then measure on held-out scenes."""
    chosen_on = _render("threshold", scenes, FRAMES_PER_SCENE, MEASURE_JITTER, report)
    threshold = best_threshold(
        unroped_scores(models / "rope.onnx", chosen_on.crops), chosen_on.unroped
    )
    held_out = _render("held-out", scenes, FRAMES_PER_SCENE, MEASURE_JITTER, report)
    scores = unroped_scores(models / "rope.onnx", held_out.crops)
    rope = classifier_accuracy(scores, held_out.unroped, threshold=threshold)
    person = detector_accuracy(models / "person.onnx", held_out)
    write_figures(models / "accuracy.json", person, rope)
    report(
        f"person: AP50 {person.ap50:.4f} precision {person.precision:.4f} "
        f"recall {person.recall:.4f}"
    )
    report(
        f"rope: threshold {threshold:g} precision {rope.precision:.4f} "
        f"recall {rope.recall:.4f} F1 {rope.f1:.4f}"
    )
