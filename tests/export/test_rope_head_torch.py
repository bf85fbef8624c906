"""The numpy head against torchvision and PyTorch."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch.rope_head import ACTIVATIONS, RoiPooling, roi_align

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
torchvision_roi_align = pytest.importorskip("torchvision.ops").roi_align

pytestmark = pytest.mark.export

ROWS, COLUMNS = 9, 14


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Anywhere: inside, over the edges, outside, of no size, turned inside out, any number."""
    place = st.floats(-30, 45, width=32, allow_subnormal=False)
    drawn = draw(st.lists(st.tuples(place, place, place, place), max_size=6))
    return np.array(drawn, np.float32).reshape(-1, 4)


@settings(max_examples=200)
@given(
    boxes=boxes(),
    sampling_ratio=st.integers(0, 3),
    aligned=st.booleans(),
    roi_out=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_roi_align_is_torchvisions(
    boxes: Any, sampling_ratio: int, aligned: Any, roi_out: tuple[int, int]
) -> None:
    if sampling_ratio == 0:
        # Adaptive sampling of a box turned inside out ends torchvision 0.27 with an exception.
        boxes = np.concatenate(
            [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])],
            axis=1,
        )
    features = np.random.default_rng(3).standard_normal((3, ROWS, COLUMNS), np.float32)

    pooled = roi_align(features, boxes, RoiPooling(16, roi_out, sampling_ratio, aligned, "mean"))

    expected = torchvision_roi_align(
        torch.from_numpy(features)[None],
        [torch.from_numpy(boxes)],
        roi_out,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    ).numpy()
    assert pooled.shape == expected.shape == (len(boxes), 3, *roi_out)
    np.testing.assert_allclose(pooled, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["gelu", "relu", "silu"])
def test_activations_are_pytorchs(name: Literal["gelu", "relu", "silu"]) -> None:
    x = np.linspace(-40, 40, 20_001, dtype=np.float32)

    actual = ACTIVATIONS[name](x)

    expected = getattr(torch.nn.functional, name)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=4e-6)
