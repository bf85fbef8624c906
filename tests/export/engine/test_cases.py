"""Golden rows in the sizes that an engine takes, and the site's thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from export.engine.cases import cases
from export.engine.operating import operating_point
from ropewatch.errors import SettingsError
from ropewatch.golden import Golden
from ropewatch.manifest import Manifest, manifest_of
from tests.export.engine.models import SIDE, classifier, pixels, publish, weights

ROOT = Path(__file__).parents[3]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest.load(manifest_of(publish(tmp_path, classifier(weights()), name="rope")))


def frames(boxes: int) -> Golden:
    """Three pictures; box i is in picture i modulo 3, and its output is its number."""
    numbers = np.arange(boxes, dtype=np.float32)[:, None]
    return Golden(
        pixels(3),
        {"rois": np.tile(numbers, 4), "image_index": np.arange(boxes) % 3},
        {"probabilities": np.hstack([numbers, numbers])},
        {"reference": "pytorch"},
    )


@pytest.mark.parametrize(("size", "runs"), [(1, 3), (2, 2), (3, 1), (7, 1)])
def test_every_picture_is_in_a_run_of_the_size_that_was_asked_for(
    manifest: Manifest, size: int, runs: int
) -> None:
    golden = Golden(
        pixels(3), {}, {"probabilities": np.eye(3, dtype=np.float32)}, {"reference": "pytorch"}
    )

    found = list(cases(golden, manifest, {"images": (size, 3, SIDE, SIDE)}))

    assert len(found) == runs
    assert {row for case in found for row in case.rows.tolist()} == {0, 1, 2}
    for case in found:
        assert len(case.feeds["images"]) == size
        np.testing.assert_array_equal(
            case.expected["probabilities"], np.eye(3, dtype=np.float32)[case.rows]
        )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_every_box_is_in_a_run_beside_its_own_picture(
    manifest: Manifest, size: int, count: int
) -> None:
    golden = frames(8)
    shapes: dict[str, Any] = {"images": (size, 3, SIDE, SIDE), "rois": (count, 4)}

    found = list(cases(golden, manifest, shapes))

    assert {row for case in found for row in case.rows.tolist()} == set(range(8))
    images = golden.feeds(manifest)["images"]
    for case in found:
        assert (len(case.feeds["images"]), len(case.feeds["rois"])) == (size, count)
        np.testing.assert_array_equal(case.feeds["rois"][:, 0], case.rows)
        np.testing.assert_array_equal(case.expected["probabilities"][:, 0], case.rows)
        shown = case.feeds["images"][case.feeds["image_index"]]
        np.testing.assert_array_equal(shown, images[case.rows % 3])


def test_no_box_is_one_run_without_rows(manifest: Manifest) -> None:
    (case,) = cases(frames(8), manifest, {"images": (3, 3, SIDE, SIDE), "rois": (0, 4)})

    assert case.feeds["rois"].shape == (0, 4)
    assert case.feeds["image_index"].dtype == np.int64
    assert case.expected["probabilities"].shape == (0, 2)


def test_sites_thresholds_are_those_of_its_decision_and_its_detector() -> None:
    site = ROOT / "configs" / "jetson.yaml"

    rope, person = operating_point(site, "classifier"), operating_point(site, "detector")

    assert (rope.thresholds, rope.origin) == ((0.461,), "jetson.yaml")
    assert (person.thresholds, person.nms_iou) == ((0.35,), 0.7)


def test_site_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"site\.yaml"):
        operating_point(tmp_path / "site.yaml", "detector")
