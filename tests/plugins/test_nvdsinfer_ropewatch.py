"""The parser library through its real C++ entry point; the network is 640 x 384 throughout."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

PLUGIN = Path(__file__).parents[2] / "plugins" / "nvdsinfer_ropewatch"
DRIVER = Path(__file__).with_name("parser_driver.cpp")
FLOAT, HALF, INT32 = 0, 1, 3
NAN, INF = float("nan"), float("inf")

Rows = list[list[float]]
Parse = Callable[..., Rows]


@pytest.fixture(scope="module", params=[24, 28], ids=lambda size: f"{size}-bytes")
def parse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """Build library and driver in one layout; give a function that parses a tensor."""
    folder = tmp_path_factory.mktemp(f"layout{request.param}")
    make = ["make", "-s", "-C", str(PLUGIN), f"OUT_DIR={folder}"]
    subprocess.run([*make, f"DETECTION_BYTES={request.param}"], check=True)
    driver = folder / "driver"
    subprocess.run(
        ["g++", "-std=c++17", "-Wall", "-Wextra", f"-DROPEWATCH_DETECTION_BYTES={request.param}",
         f"-I{PLUGIN / 'abi'}", str(DRIVER), "-o", str(driver), "-ldl"],
        check=True,
    )  # fmt: skip

    def call(
        tensor: np.ndarray,
        *,
        dtype: int = FLOAT,
        dims: Sequence[int] | None = None,
        elements: int | None = None,
        thresholds: str = "0.35,0.5",
        classes: int = 2,
        warning: str = "",
    ) -> Rows:
        done = subprocess.run(
            [str(driver), str(folder / "libnvdsinfer_ropewatch.so"), "640", "384", str(dtype),
             ",".join(map(str, tensor.shape if dims is None else dims)),
             str(tensor.size if elements is None else elements), thresholds, str(classes)],
            input=tensor.tobytes(), capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        assert warning in done.stderr.decode()
        assert bool(warning) == bool(done.stderr)
        return [[float(value) for value in line.split()] for line in done.stdout.splitlines()]

    return call


def floats(*rows: Sequence[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 6)


def test_parser_turns_corners_into_left_top_width_height(parse: Parse) -> None:
    found = parse(floats([10, 20, 110, 220, 0.75, 0], [0, 0, 8, 4, 0.5, 1]))

    assert found == [[0, 10, 20, 100, 200, 0.75, 0], [1, 0, 0, 8, 4, 0.5, 0]]


@pytest.mark.parametrize(
    ("row", "box"),
    [
        pytest.param([-5, -7, 10, 20], [0, 0, 10, 20], id="left-top"),
        pytest.param([600, 300, 700, 400], [600, 300, 40, 84], id="right-bottom"),
        pytest.param([-1e9, -1e9, 1e9, 1e9], [0, 0, 640, 384], id="far-outside-on-all-sides"),
    ],
)
def test_parser_clamps_a_box_to_the_network(
    parse: Parse, row: list[float], box: list[float]
) -> None:
    assert parse(floats([*row, 0.9, 0])) == [[0, *box, pytest.approx(0.9), 0]]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param([10, 10, 10, 20, 0.9, 0], id="no-width"),
        pytest.param([10, 20, 20, 10, 0.9, 0], id="negative-height"),
        pytest.param([700, 10, 800, 20, 0.9, 0], id="outside-the-network"),
        *(
            pytest.param(
                [*values[:column], bad, *values[column + 1 :]], id=f"{bad}-in-column-{column}"
            )
            for values in [[10.0, 10.0, 20.0, 20.0, 0.9, 0.0]]
            for column in range(6)
            for bad in (NAN, INF, -INF)
        ),
        pytest.param([10, 10, 20, 20, 0.9, 2], id="class-beyond-those-configured"),
        pytest.param([10, 10, 20, 20, 0.9, -1], id="negative-class"),
        pytest.param([10, 10, 20, 20, 0.9, 1e30], id="huge-class"),
    ],
)
def test_parser_drops_the_row_and_keeps_its_neighbours(parse: Parse, row: list[float]) -> None:
    good = [0, 0, 8, 8, 0.75, 0]

    found = parse(floats(good, row, good))

    assert found == [[0, 0, 0, 8, 8, 0.75, 0]] * 2


def test_parser_keeps_a_score_equal_to_its_class_threshold(parse: Parse) -> None:
    below = float(np.nextafter(np.float32(0.5), np.float32(0)))

    found = parse(floats([0, 0, 8, 8, 0.5, 1], [0, 0, 8, 8, below, 1], [0, 0, 8, 8, below, 0]))

    assert [row[0] for row in found] == [1, 0]


def test_parser_drops_classes_without_a_threshold(parse: Parse) -> None:
    assert parse(floats([0, 0, 8, 8, 0.9, 1]), thresholds="0.1", classes=2) == []


def test_parser_drops_everything_when_no_class_is_configured(parse: Parse) -> None:
    assert parse(floats([0, 0, 8, 8, 0.9, 0]), classes=0) == []


def test_parser_reads_half_precision_exactly(parse: Parse) -> None:
    # 2**-24 is the smallest subnormal; 0.375 and the rest are exact in half precision.
    rows = np.array(
        [[2.0**-24, 0.375, 300.25, 200.5, 0.75, 1], [INF, 0, 9, 9, 0.9, 0]], np.float16
    )

    found = parse(rows, dtype=HALF)

    width = float(np.float32(300.25) - np.float32(2.0**-24))
    assert found == [[1, pytest.approx(2.0**-24), 0.375, width, 200.125, 0.75, 0]]


def test_parser_reads_every_half_as_numpy_does(parse: Parse) -> None:
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    rows = np.zeros((values.size, 6), np.float16)
    rows[:, 2:4], rows[:, 4] = 1, values

    found = parse(rows, dtype=HALF, thresholds="-70000", classes=1)

    expected = values[np.isfinite(values)].astype(np.float32)
    np.testing.assert_array_equal(np.array([row[5] for row in found], np.float32), expected)


def test_parser_takes_leading_dimensions_of_one(parse: Parse) -> None:
    assert len(parse(floats([0, 0, 8, 8, 0.9, 0]), dims=(1, 1, 6))) == 1


def test_parser_takes_an_empty_tensor(parse: Parse) -> None:
    assert parse(floats()) == []


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({"dims": (6,)}, id="one-dimension"),
        pytest.param({"dims": (2, 7)}, id="seven-columns"),
        pytest.param({"dims": (2, 1, 6)}, id="leading-two"),
        pytest.param({"dims": (3, 6)}, id="more-rows-than-elements"),
        pytest.param({"dims": (2**32 - 1, 6)}, id="minus-one-rows"),
        pytest.param({"dims": (2, 6), "dtype": INT32}, id="integers"),
    ],
)
def test_parser_answers_a_tensor_of_another_form_with_no_boxes_and_says_so(
    parse: Parse, layout: dict[str, object]
) -> None:
    rows = floats([0, 0, 8, 8, 0.9, 0], [0, 0, 8, 8, 0.9, 0])

    assert parse(rows, warning="no output of shape [N, 6]", **layout) == []


def test_make_names_the_headers_that_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-C", str(PLUGIN), f"OUT_DIR={tmp_path}", "DEEPSTREAM_DIR=/nonexistent"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "set DEEPSTREAM_DIR to the folder that holds sources/includes" in done.stderr
    assert not (tmp_path / "libnvdsinfer_ropewatch.so").exists()
