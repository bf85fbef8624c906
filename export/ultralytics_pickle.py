"""The only way to ultralytics: its checkpoints are pickles, and its import touches the machine."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from export.package import require_file
from export.trust import Trust
from ropewatch.errors import BackendError, ModelError


def import_ultralytics() -> Any:
    """Import the package without writes to the home folder, look-ups or automatic installs."""
    if "ultralytics" not in sys.modules:
        # Read once, at import: settings file, network check, pip calls, chatter (ultralytics 8.4).
        if "YOLO_CONFIG_DIR" not in os.environ:
            os.environ["YOLO_CONFIG_DIR"] = folder = tempfile.mkdtemp(prefix="ropewatch-yolo-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ.setdefault("YOLO_OFFLINE", "true")
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")
        os.environ.setdefault("YOLO_VERBOSE", "false")
    try:
        import ultralytics  # noqa: PLC0415 (slow, and not everyone has it)
        import ultralytics.nn.tasks  # noqa: PLC0415 (classes that a checkpoint names)
    except ImportError as error:
        raise BackendError(
            f"ultralytics: {error}, want it installed to read its checkpoints; "
            f"run scripts/setup --export"
        ) from error
    return ultralytics


def load_detection_model(weights: Path, *, trust: Trust) -> Any:
    """The DetectionModel in an ultralytics checkpoint, float32, in evaluation mode.

    Raises:
        ModelError: the pickle is not trusted, cannot be read, or holds another kind of model.
    """
    require_file(weights, wanted="an ultralytics checkpoint (.pt)")
    trust.check(weights)
    package = import_ultralytics()
    try:
        checkpoint = torch.load(weights, map_location="cpu", weights_only=False)
    except Exception as error:
        # A damaged pickle raises nearly anything: EOFError, KeyError, AttributeError, ...
        raise ModelError(
            f"{weights}: {type(error).__name__}: {error}; want a whole ultralytics checkpoint; "
            f"copy it again, or train it with a version that this one can read"
        ) from error
    model = None
    if isinstance(checkpoint, dict):
        model = checkpoint.get("ema") or checkpoint.get("model")
    if not isinstance(model, package.nn.tasks.DetectionModel):
        raise ModelError(
            f"{weights}: holds {type(model or checkpoint).__name__}, want an ultralytics "
            f"DetectionModel; export a YOLO11 detection checkpoint"
        )
    return model.float().eval()
