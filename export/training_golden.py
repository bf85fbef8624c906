"""Golden outputs of a training code's own model: what `ropewatch export golden` writes.

Runs beside a training environment and needs no more of it than torch, numpy and one of OpenCV and
Pillow. The training's side is a function of its author, FACTORY: called with the path of the
weights, it returns something that is called with

    pixels: (B, 3, H, W) uint8 torch tensor, RGB as in the picture files, not normalised
    rois:   (R, 5) float32 torch tensor, index of the picture, x1, y1, x2, y2 in its pixels

and gives one row of logits or probabilities for each box, (R, labels). Its attribute `labels`,
if it has one, names them in that order.
"""

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ropewatch.errors import BackendError, ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import TRAINING, Floats, Golden

Gives = Literal["logits", "probabilities"]
# Of the same call twice: dropout differs by far more, a GPU's sums by less.
_REPEATABLE = 1e-4


def make_training_golden(
    factory: str, weights: Path, *, pictures: Path, boxes: Path, gives: Gives
) -> Golden:
    """Ask a training's model for its outputs.

    Args:
        factory: PACKAGE.MODULE:FACTORY, importable from the working directory.
        weights: handed to the factory.
        pictures: folder with the pictures, all of one size.
        boxes: JSON, file name to a list of x1, y1, x2, y2 in px: the expanded boxes.
        gives: what the model gives.

    Raises:
        ModelError: a file, the factory or its outputs are not as wanted.
    """
    if not weights.is_file():
        raise ModelError(f"{weights}: no such file, want the weights; fix --weights")
    named = _read_boxes(boxes)
    pixels = _read_pictures([pictures / name for name in named])
    rows = [[place, *box] for place, each in enumerate(named.values()) for box in each]
    rois = np.array(rows, np.float32).reshape(-1, 5)
    predict = _load(factory)(str(weights))
    output, again = (_ask(predict, pixels, rois, gives, factory) for _ in range(2))
    apart = float(np.abs(output - again).max())
    if not apart <= _REPEATABLE:
        raise ModelError(
            f"--model {factory}: two calls differ by {apart:.3g}, want the same; switch dropout "
            f"off with model.eval()"
        )
    labels = getattr(predict, "labels", None)
    return Golden(
        pixels,
        {"rois": rois[:, 1:], "image_index": rois[:, 0].astype(np.int64)},
        {gives: output},
        {
            "reference": TRAINING,
            "factory": factory,
            "weights_sha256": sha256_of(weights),
            "torch": str(importlib.import_module("torch").__version__),
            **({} if labels is None else {"labels": ",".join(map(str, labels))}),
        },
    )


def _read_boxes(path: Path) -> dict[str, list[list[float]]]:
    wanted = 'want {"picture.jpg": [[x1, y1, x2, y2], ...], ...} in px'
    try:
        named = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}, {wanted}; fix --boxes") from error
    fits = isinstance(named, dict) and all(
        isinstance(each, list)
        and all(
            isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) for box in each
        )
        for each in named.values()
    )
    if not fits or not any(named.values()):
        raise ModelError(f"{path}: other content or no box, {wanted}; fix --boxes")
    bad = [box for each in named.values() for box in each if box[2] <= box[0] or box[3] <= box[1]]
    if bad:
        raise ModelError(f"{path}: {bad[0]}, want x1 < x2 and y1 < y2; fix the box")
    return {str(name): each for name, each in named.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _read_pictures(files: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """(B, 3, H, W) RGB; another decoder may differ by a step, but these very pixels are kept."""
    read = _reader()
    pictures = []
    for file in files:
        picture = read(file) if file.is_file() else None
        if picture is None:
            raise ModelError(f"{file}: no picture, want the one that --boxes names; fix --images")
        pictures.append(picture)
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        sizes = ", ".join(f"{shape[1]}x{shape[0]}" for shape in sorted(shapes))
        raise ModelError(
            f"{files[0].parent}: pictures of {sizes}, want one size; scale them first"
        )
    return np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))


def _reader() -> Callable[[Path], npt.NDArray[np.uint8] | None]:
    """OpenCV or Pillow, whichever the training environment has."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        pass
    else:

        def by_opencv(file: Path) -> npt.NDArray[np.uint8] | None:
            picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
            return None if picture is None else picture[..., ::-1]

        return by_opencv
    try:
        pillow: Any = importlib.import_module("PIL.Image")
    except ImportError as error:
        raise BackendError(
            f"export golden: {error}, want OpenCV or Pillow to read pictures; pip install pillow"
        ) from error

    def by_pillow(file: Path) -> npt.NDArray[np.uint8] | None:
        try:
            return np.asarray(pillow.open(file).convert("RGB"), np.uint8)
        except OSError:
            return None

    return by_pillow


def _load(factory: str) -> Callable[[str], Any]:
    module, colon, name = factory.partition(":")
    if not colon or not module or not name:
        raise ModelError(f"--model {factory}: want PACKAGE.MODULE:FACTORY; correct it")
    # As `python -m` does: training code is run in its checkout, not installed.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"--model {factory}: {error}, want a function that can be imported from "
            f"{Path.cwd()}; start in the training's checkout, or correct the name"
        ) from error
    if not callable(found):
        raise ModelError(f"--model {factory}: {type(found).__name__}, want a function")
    return found  # type: ignore[no-any-return] # callable, as was just seen


def _ask(
    predict: Any, pixels: npt.NDArray[np.uint8], rois: Floats, gives: Gives, factory: str
) -> Floats:
    torch = importlib.import_module("torch")
    with torch.no_grad():
        answer = predict(torch.from_numpy(pixels), torch.from_numpy(rois))
    output: Floats = answer.detach().float().cpu().numpy()
    if output.ndim != 2 or len(output) != len(rois) or output.shape[1] < 2:
        raise ModelError(
            f"--model {factory}: gives {output.shape}, want ({len(rois)}, labels), a row for each "
            f"box"
        )
    if not np.isfinite(output).all():
        raise ModelError(f"--model {factory}: gives NaN or infinity, want numbers; check weights")
    is_share = output.min() >= 0 and bool((np.abs(output.sum(axis=1) - 1) < 1e-3).all())
    if is_share != (gives == "probabilities"):
        seen = "probabilities" if is_share else "no probabilities"
        raise ModelError(f"--model {factory}: gives {seen}, want {gives}; correct --gives")
    return output
