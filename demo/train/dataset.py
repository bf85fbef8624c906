"""Rendered frames as the two networks will see them on the graph."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from demo.render.cast import SCENE_S
from demo.render.layout import FRAME_WH_PX
from demo.render.paint import Image, Points
from demo.render.scene import make_scene
from demo.train.recipe import CROP_WH_PX, DETECTOR_WH_PX, EXPANSION, TOKEN_PX
from demo.truth import PersonTruth
from ropewatch.boxes import crop_boxes

MIN_VISIBLE_DETECTOR = 0.3
"""A person of whom less can be seen is no target for the detector."""
MIN_VISIBLE_CLASSIFIER = 0.35
"""Nor is the rope of such a person judged."""

MAX_SHARED = 0.35
"""Share of a box that another person's box may cover before it is unclear who is judged."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """What a number of scenes give for training or measuring."""

    frames: npt.NDArray[np.uint8]
    """(F, H, W, 3) RGB, letterboxed to the detector's input."""
    boxes_xyxy_px: list[Floats]
    """For each frame (N, 4) in network pixels."""
    crops: npt.NDArray[np.uint8]
    """(C, h, w, 3) RGB, expanded crops stretched to the classifier's input."""
    unroped: npt.NDArray[np.int64]
    """(C,), 1 where nothing holds the person."""
    rope_tokens: npt.NDArray[np.uint8]
    """(C, h / token, w / token), 1 where the central person's own rope passes."""


def degrade(rng: np.random.Generator, image: Image) -> Image:
    """What a smaller camera and an H.264 encoder leave of a picture."""
    if rng.random() < 0.4:
        small = cv2.resize(image, (960, 540), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, FRAME_WH_PX, interpolation=cv2.INTER_LINEAR)
    quality = int(rng.integers(35, 92))
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def letterbox(image: Image) -> Image:
    """Scale to the detector's width, zeros above and below: nvinfer's symmetric padding."""
    width, height = DETECTOR_WH_PX
    rows = int(width * FRAME_WH_PX[1] / FRAME_WH_PX[0])
    padded = np.zeros((height, width, 3), np.uint8)
    top = padding_rows()
    padded[top : top + rows] = cv2.resize(image, (width, rows), interpolation=cv2.INTER_LINEAR)
    return padded


def padding_rows() -> int:
    """Zero rows above the picture in the detector's input."""
    width, height = DETECTOR_WH_PX
    return (height - int(width * FRAME_WH_PX[1] / FRAME_WH_PX[0])) // 2


def jittered(rng: np.random.Generator, box_ltwh_px: Sequence[float], *, strength: float) -> Floats:
    """A box as a detector and a tracker would give it, (1, 4) ltwh, inside the frame."""
    left, top, width, height = box_ltwh_px
    near = np.array([left, top]) + rng.normal(0, strength, 2) * [width, height]
    far = np.array([left + width, top + height]) + rng.normal(0, strength, 2) * [width, height]
    near, far = np.clip(near, 0, FRAME_WH_PX), np.clip(far, 0, FRAME_WH_PX)
    return np.array([[*near, *np.maximum(far - near, 8)]], np.float32)


def crop(image: Image, box_ltwh_px: Floats) -> tuple[Image, tuple[int, int, int, int]]:
    """Expanded crop (BGR, stretched) of one box, and its ltwh rectangle in the frame."""
    rectangle = crop_boxes(
        box_ltwh_px, expansion=EXPANSION, frame_wh_px=FRAME_WH_PX, network_wh_px=CROP_WH_PX
    )[0]
    left, top, width, height = (int(value) for value in rectangle)
    cut = image[top : top + height, left : left + width]
    return cv2.resize(cut, CROP_WH_PX, interpolation=cv2.INTER_LINEAR), (left, top, width, height)


def rope_tokens(
    curve_px: Points | None, ltwh_px: tuple[int, int, int, int]
) -> npt.NDArray[np.uint8]:
    """Which patches of a crop the rope passes through, (rows, columns)."""
    columns, rows = CROP_WH_PX[0] // TOKEN_PX, CROP_WH_PX[1] // TOKEN_PX
    tokens = np.zeros((rows, columns), np.uint8)
    if curve_px is not None:
        scale = np.array([columns / ltwh_px[2], rows / ltwh_px[3]])
        inside = ((curve_px - ltwh_px[:2]) * scale * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(tokens, [inside - 8], False, 1, 1, cv2.LINE_8, 4)
    return tokens


def scene_samples(seed: int, frames_each: int, jitter: float) -> Samples:
    """A few random moments of one scene."""
    rng = np.random.default_rng([seed, 77])
    scene = make_scene(seed)
    frames, boxes, crops, labels, tokens = [], [], [], [], []
    for t_s in rng.uniform(0, SCENE_S - 0.1, frames_each):
        frame = scene.render(float(t_s))
        image = degrade(rng, frame.image)
        frames.append(cv2.cvtColor(letterbox(image), cv2.COLOR_BGR2RGB))
        boxes.append(network_boxes(frame.people))
        for person in frame.people:
            if not is_judged(person, frame.people):
                continue
            cut, ltwh = crop(image, jittered(rng, person.box_ltwh_px, strength=jitter))
            crops.append(cv2.cvtColor(cut, cv2.COLOR_BGR2RGB))
            labels.append(int(not person.roped))
            tokens.append(rope_tokens(frame.ropes_px.get(person.person), ltwh))
    return _stack(frames, boxes, crops, labels, tokens)


def is_judged(person: PersonTruth, everyone: Sequence[PersonTruth]) -> bool:
    """Whether enough can be seen, and it is clear who of two people is meant."""
    left, top, width, height = person.box_ltwh_px
    if person.visible < MIN_VISIBLE_CLASSIFIER or min(width, height) < 20:
        return False
    for other in everyone:
        if other.person == person.person:
            continue
        x, y, wide, high = other.box_ltwh_px
        across = min(left + width, x + wide) - max(left, x)
        down = min(top + height, y + high) - max(top, y)
        if max(0.0, across) * max(0.0, down) > MAX_SHARED * width * height:
            return False
    return True


def network_boxes(people: Sequence[PersonTruth]) -> Floats:
    """Boxes of the people that can be seen, (N, 4) xyxy in the detector's pixels."""
    rows = [p.box_ltwh_px for p in people if p.visible >= MIN_VISIBLE_DETECTOR]
    ltwh = np.array(rows, np.float32).reshape(-1, 4)
    scale = np.float32(DETECTOR_WH_PX[0] / FRAME_WH_PX[0])
    xyxy: Floats = np.hstack([ltwh[:, :2], ltwh[:, :2] + ltwh[:, 2:]]) * scale
    xyxy[:, [1, 3]] += padding_rows()
    return xyxy


def _stack(
    frames: list[Image],
    boxes: list[Floats],
    crops: list[Image],
    labels: list[int],
    tokens: list[npt.NDArray[np.uint8]],
) -> Samples:
    width, height = CROP_WH_PX
    grid = (height // TOKEN_PX, width // TOKEN_PX)
    return Samples(
        np.stack(frames),
        boxes,
        np.stack(crops) if crops else np.zeros((0, height, width, 3), np.uint8),
        np.array(labels, np.int64),
        np.stack(tokens) if tokens else np.zeros((0, *grid), np.uint8),
    )


def _job(arguments: tuple[int, int, float]) -> Samples:
    cv2.setNumThreads(1)
    return scene_samples(*arguments)


def render_samples(
    seeds: Sequence[int], *, frames_each: int, jitter: float, workers: int = 2
) -> Samples:
    """All scenes of some seeds, rendered in parallel, in order of the seeds."""
    jobs = [(seed, frames_each, jitter) for seed in seeds]
    with ProcessPoolExecutor(workers) as pool:
        parts: Iterator[Samples] = pool.map(_job, jobs, chunksize=8)
        done = list(parts)
    return Samples(
        np.concatenate([part.frames for part in done]),
        [boxes for part in done for boxes in part.boxes_xyxy_px],
        np.concatenate([part.crops for part in done]),
        np.concatenate([part.unroped for part in done]),
        np.concatenate([part.rope_tokens for part in done]),
    )
