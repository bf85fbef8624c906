"""Labels, verdicts, memory of objects and clustering order."""

from pathlib import Path

import numpy as np
import pytest

from plugins.standin.nvinfer.classify import Attribute, Verdict, classify
from plugins.standin.nvinfer.config import InferConfig, load_config
from plugins.standin.nvinfer.history import UNTRACKED, Choice, Histories, Sighting
from plugins.standin.nvinfer.labels import check_classifier_labels, read_labels
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.postprocess import Candidates, cluster, suppress
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError
from tests.standin.nvinfer.tiny import ini

PLUGIN = Path(__file__).parents[3] / "plugins" / "nvdsinfer_ropewatch"
NETWORK = NetworkInput("images", 640, 384, 3)
SCORES = OutputLayer("scores", (2,), "float32", 1)


def detector(tmp_path: Path, text: str = "", **keys: int | str) -> InferConfig:
    values = {"gie_unique_id": 1, "num_detected_classes": 2, "cluster_mode": 2, **keys}
    return load_config(ini(tmp_path / "pgie.txt", text, **values))


def secondary(tmp_path: Path, **keys: int) -> InferConfig:
    values = {"gie_unique_id": 2, "process_mode": 2, "network_type": 1, **keys}
    return load_config(ini(tmp_path / "sgie.txt", **values))


def candidates(*rows: tuple[int, list[float], float]) -> Candidates:
    return Candidates(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[2] for row in rows], np.float32),
    )


def test_cluster_orders_by_class_then_confidence_and_keeps_ties_in_order(tmp_path: Path) -> None:
    found = cluster(
        candidates(
            (1, [0, 0, 8, 8], 0.5),
            (0, [100, 0, 8, 8], 0.6),
            (0, [200, 0, 8, 8], 0.9),
            (0, [300, 0, 8, 8], 0.6),
        ),
        detector(tmp_path),
    )

    assert found.class_ids.tolist() == [0, 0, 0, 1]
    assert found.boxes_ltwh[:, 0].tolist() == [200, 100, 300, 0]


def test_cluster_suppresses_within_a_class_only(tmp_path: Path) -> None:
    same = [0.0, 0.0, 8.0, 8.0]

    found = cluster(candidates((0, same, 0.9), (1, same, 0.8), (0, same, 0.7)), detector(tmp_path))

    assert found.class_ids.tolist() == [0, 1]


def test_suppression_equals_the_loop_over_pairs_on_random_boxes() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        boxes = rng.uniform(0, 60, (80, 4)).astype(np.float32)
        kept: list[int] = []
        for index, box in enumerate(boxes):
            if all(overlap(box, boxes[other]) <= np.float32(0.4) for other in kept):
                kept.append(index)

        assert suppress(boxes, 0.4).tolist() == kept


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """IoU of two boxes, one 32-bit operation after the other."""
    sides = []
    for axis in (0, 1):
        near = max(first[axis], second[axis])
        far = min(first[axis] + first[axis + 2], second[axis] + second[axis + 2])
        sides.append(far - near if far >= near else np.float32(0))
    both = sides[0] * sides[1]
    return float(both / (first[2] * first[3] + second[2] * second[3] - both))


def test_post_threshold_is_strict_and_topk_is_per_class(tmp_path: Path) -> None:
    text = "[class-attrs-all]\npost-cluster-threshold=0.5\ntopk=1\n"
    rows = [(0, [20.0 * n, 0, 8, 8], score) for n, score in enumerate([0.5, 0.6, 0.9])]

    found = cluster(candidates(*rows, (1, [0, 0, 8, 8], 0.75)), detector(tmp_path, text))

    assert found.confidences.tolist() == [pytest.approx(0.9), 0.75]


def test_without_clustering_the_parsers_order_stays_unless_topk_sorts(tmp_path: Path) -> None:
    rows = candidates((0, [0, 0, 8, 8], 0.3), (0, [0, 0, 8, 8], 0.9), (0, [1, 0, 8, 8], 0.5))
    strict = "[class-attrs-all]\npost-cluster-threshold=0.8\n"

    unsorted = cluster(rows, detector(tmp_path, strict, cluster_mode=4))
    best = cluster(rows, detector(tmp_path, "[class-attrs-all]\ntopk=2\n", cluster_mode=4))

    assert unsorted.confidences.tolist() == pytest.approx([0.3, 0.9, 0.5])
    assert best.confidences.tolist() == pytest.approx([0.9, 0.5])


def test_topk_0_keeps_nothing_and_an_empty_frame_is_empty(tmp_path: Path) -> None:
    none = detector(tmp_path, "[class-attrs-all]\ntopk=0\n")

    assert len(cluster(candidates((0, [0, 0, 8, 8], 0.9)), none)) == 0
    assert len(cluster(candidates(), detector(tmp_path))) == 0


def test_labels_are_lines_of_classes_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("a;b\n\nc;;d")

    assert read_labels(path, config=path) == (("a", "b"), ("c", "", "d"))


def test_labels_keep_what_stands_around_them_as_in_c(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfa; b\r\nc\r\n")

    assert read_labels(path, config=path) == (("\ufeffa", " b\r"), ("c\r",))


def test_a_missing_labels_file_names_config_and_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"sgie\.txt: labelfile-path: .*none\.txt"):
        read_labels(tmp_path / "none.txt", config=Path("sgie.txt"))


@pytest.mark.parametrize(
    "labels", [pytest.param((("ok",), ("bad",)), id="a-class-a-line"), pytest.param((), id="none")]
)
def test_classifier_labels_of_the_wrong_shape_are_refused(
    labels: tuple[tuple[str, ...], ...],
) -> None:
    with pytest.raises(ModelError, match=r"divided by ;"):
        check_classifier_labels(labels, (SCORES,), config=Path("c"), path=Path("l"))


@pytest.mark.parametrize(
    ("scores", "threshold", "value"),
    [
        pytest.param([0.3, 0.7], 0.0, 1, id="largest"),
        pytest.param([0.5, 0.5], 0.0, 0, id="first-wins-a-tie"),
        pytest.param([0.5, 0.4], 0.5, None, id="threshold-is-strict"),
        pytest.param([-1.0, -2.0], 0.0, None, id="negative-logits-never-pass"),
        pytest.param([0.0, 0.0], 0.0, None, id="zero-is-not-above-zero"),
    ],
)
def test_classify_takes_the_first_largest_above_threshold(
    scores: list[float], threshold: float, value: int | None
) -> None:
    verdict = classify((np.array(scores, np.float32),), (("ok", "bad"),), threshold=threshold)

    assert [attribute.value for attribute in verdict.attributes] == (
        [] if value is None else [value]
    )


def test_classify_joins_labels_of_all_outputs_with_a_space_after_each() -> None:
    arrays = (np.array([0.1, 0.9], np.float32), np.array([0.6, 0.4], np.float32))

    verdict = classify(arrays, (("a", "b"), ("c", "d")), threshold=0)

    assert verdict.text == "b c "
    assert verdict.attributes[1] == Attribute(1, 0, float(np.float32(0.6)), "c")


def test_classify_counts_an_empty_label_as_found_and_a_missing_one_not() -> None:
    array = np.array([0.1, 0.9], np.float32)

    assert classify((array,), (("a", ""),), threshold=0).text == " "
    assert classify((array,), (("a",),), threshold=0).text == ""


def seen(object_id: int = 7, *, width: float = 100, height: float = 200) -> Sighting:
    return Sighting(object_id, 1, 0, width, height)


def test_a_tracked_object_is_classified_again_only_when_it_grew_by_a_fifth(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path))

    choices = [
        memory.choose(0, frame, seen(width=width))[0]
        for frame, width in enumerate([100, 100, 120, 120.01, 130])
    ]

    assert choices == [Choice.INFER, Choice.REUSE, Choice.REUSE, Choice.INFER, Choice.REUSE]


def test_interval_0_classifies_on_every_frame_and_n_after_more_than_n(tmp_path: Path) -> None:
    every = Histories(secondary(tmp_path, secondary_reinfer_interval=0))
    third = Histories(secondary(tmp_path, secondary_reinfer_interval=2))

    assert [every.choose(0, frame, seen())[0] for frame in range(3)] == [Choice.INFER] * 3
    assert [third.choose(0, frame, seen())[0] for frame in range(5)] == [
        Choice.INFER, Choice.REUSE, Choice.REUSE, Choice.INFER, Choice.REUSE,
    ]  # fmt: skip


def test_two_objects_of_one_id_in_a_frame_share_one_memory(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path, secondary_reinfer_interval=0))

    assert [memory.choose(0, 0, seen())[0] for _ in range(2)] == [Choice.INFER, Choice.REUSE]


def test_a_frame_counter_that_starts_again_classifies_at_once(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path))
    memory.choose(0, 500, seen())

    assert memory.choose(0, 3, seen())[0] is Choice.INFER


def test_untracked_objects_are_always_classified_and_never_remembered(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path))

    found = [memory.choose(0, frame, seen(UNTRACKED)) for frame in range(2)]

    assert found == [(Choice.INFER, None)] * 2


def test_a_remembered_object_that_became_too_small_keeps_its_verdict(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path, secondary_reinfer_interval=0))
    _, history = memory.choose(0, 0, seen())
    assert history is not None
    history.verdict = Verdict((Attribute(0, 1, 0.9, "bad"),), "bad ")

    assert memory.choose(0, 1, seen(width=15)) == (Choice.REUSE, history)
    assert memory.choose(0, 1, seen(8, width=15)) == (Choice.SKIP, None)


def test_stream_eos_forgets_the_objects_and_pad_deleted_the_source(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path))
    memory.add_source(1)
    memory.choose(1, 0, seen())

    memory.forget_objects(1)

    assert memory.choose(1, 1, seen())[0] is Choice.INFER
    memory.remove_source(1)
    assert not memory.knows(1)
    assert memory.knows(0)


def test_a_secondary_detector_runs_on_every_frame_by_default(tmp_path: Path) -> None:
    default = Histories(detector(tmp_path, process_mode=2))
    spaced = Histories(detector(tmp_path, process_mode=2, secondary_reinfer_interval=1))

    assert [default.choose(0, frame, seen())[0] for frame in range(3)] == [Choice.INFER] * 3
    assert [spaced.choose(0, frame, seen())[0] for frame in range(3)] == [
        Choice.INFER, Choice.SKIP, Choice.INFER,
    ]  # fmt: skip


def test_only_objects_of_the_named_component_and_classes_are_looked_at(tmp_path: Path) -> None:
    config = secondary(tmp_path, operate_on_gie_id=1, operate_on_class_ids=0)
    memory = Histories(config)

    assert memory.choose(0, 0, Sighting(1, 1, 0, 50, 50))[0] is Choice.INFER
    assert memory.choose(0, 0, Sighting(2, 3, 0, 50, 50))[0] is Choice.SKIP
    assert memory.choose(0, 0, Sighting(3, 1, 1, 50, 50))[0] is Choice.SKIP


def after_1801_batches(memory: Histories, last_frame: int) -> None:
    memory.begin_frame(0, last_frame)
    for _ in range(1801):
        memory.end_batch()


def test_what_was_not_seen_for_150_frames_is_forgotten_after_1800_batches(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path))
    for number, frame in {1: 1849, 2: 1850}.items():
        _, history = memory.choose(0, frame, seen(number))
        assert history is not None
        history.end_inference(frame)

    after_1801_batches(memory, 2000)

    assert [memory.choose(0, 2000, seen(number))[0] for number in (1, 2)] == [
        Choice.INFER, Choice.REUSE,
    ]  # fmt: skip


def test_a_frame_counter_that_starts_again_looks_like_a_long_absence(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path, secondary_reinfer_interval=2**31 - 1))
    _, history = memory.choose(0, 1900, seen())
    assert history is not None
    history.end_inference(1900)

    # 10 - 1900 in C's unsigned long is far above 150, and 10 - 0 is below 1800: not cleaned yet.
    after_1801_batches(memory, 10)
    assert history in memory._sources[0].objects.values()
    memory._sources[0].cleaned_frame = 1900
    after_1801_batches(memory, 10)
    assert not memory._sources[0].objects


def test_what_is_being_inferred_is_not_forgotten(tmp_path: Path) -> None:
    memory = Histories(secondary(tmp_path))
    _, history = memory.choose(0, 0, seen())
    assert history is not None

    history.end_inference(7)
    after_1801_batches(memory, 5000)
    assert memory.choose(0, 5000, seen())[1] is history
    history.end_inference(0)
    after_1801_batches(memory, 9000)

    assert memory.choose(0, 9000, seen())[1] is not history
