"""What the host's part of the classifier in frame mode costs: RoIAlign, MLP and softmax in numpy.

The map is that of a ViT-S at 1280x720, 384 x 45 x 80; weights and values are random.
"""

import time

import numpy as np

from ropewatch.rope_head import Floats, RoiPooling, RopeHead

CHANNELS, ROWS, COLUMNS, PATCH_PX, HIDDEN = 384, 45, 80, 16, 256
REPEATS = 30


def head(*, reduce: str) -> RopeHead:
    """Build a head of 7 x 7 bins and one hidden layer, either way of reducing them."""
    random = np.random.default_rng(0)
    inputs = CHANNELS * (49 if reduce == "flatten" else 1)
    shapes = ((HIDDEN, inputs), (2, HIDDEN))
    return RopeHead(
        labels=("rope_ok", "rope_not_ok"),
        pooling=RoiPooling(
            patch_px=PATCH_PX,
            roi_out=(7, 7),
            sampling_ratio=2,
            aligned=True,
            reduce="flatten" if reduce == "flatten" else "mean",
        ),
        activation="gelu",
        weights=tuple(
            random.standard_normal(shape, np.float32) * np.float32(0.05) for shape in shapes
        ),
        biases=tuple(np.zeros(shape[0], np.float32) for shape in shapes),
    )


def boxes(count: int) -> Floats:
    """Boxes as large as expanded persons, in px of the frame; (N, 4)."""
    random = np.random.default_rng(count)
    corners = random.uniform((0, 0), (980, 300), (count, 2))
    return np.concatenate([corners, corners + np.array([300, 420])], axis=1).astype(np.float32)


def main() -> None:
    """Print the least and the median milliseconds for each number of boxes."""
    features = np.random.default_rng(1).standard_normal((CHANNELS, ROWS, COLUMNS), np.float32)
    print(f"{'reduce':8} {'boxes':>5} {'least_ms':>9} {'median_ms':>9} {'median_ms_per_box':>18}")
    for reduce in ("mean", "flatten"):
        judge = head(reduce=reduce)
        for count in (0, 1, 5, 20):
            taken_ms = []
            for _ in range(REPEATS):
                begin = time.perf_counter()
                judge(features, boxes(count))
                taken_ms.append(1e3 * (time.perf_counter() - begin))
            median = float(np.median(taken_ms))
            print(
                f"{reduce:8} {count:5} {min(taken_ms):9.2f} {median:9.2f} "
                f"{median / max(count, 1):18.2f}"
            )


if __name__ == "__main__":
    main()
