"""The measured figures as a file beside the models; the model card quotes them."""

import json
from dataclasses import asdict
from pathlib import Path

from demo import seeds
from demo.train.accuracy import ClassifierAccuracy, DetectorAccuracy


def write_figures(path: Path, person: DetectorAccuracy, rope: ClassifierAccuracy) -> None:
    """Write accuracy.json: both models, and the seeds that they were measured on."""
    rounded = {key: round(value, 4) for key, value in asdict(person).items()}
    figures = {
        "held_out_seeds": [seeds.HELD_OUT.start, seeds.HELD_OUT.stop - 1],
        "threshold_seeds": [seeds.THRESHOLD.start, seeds.THRESHOLD.stop - 1],
        "person": rounded,
        "rope": {
            **asdict(rope),
            "average_precision": round(rope.average_precision, 4),
            "precision": round(rope.precision, 4),
            "recall": round(rope.recall, 4),
            "f1": round(rope.f1, 4),
        },
    }
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
