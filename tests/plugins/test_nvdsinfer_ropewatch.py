"""The parser library through its real C++ entry point; the network is 640 x 384 throughout."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PLUGIN = Path(__file__).parents[2] / "plugins" / "nvdsinfer_ropewatch"
DRIVER = Path(__file__).with_name("parser_driver.cpp")
FLOAT, HALF, INT32 = 0, 1, 3
NAN, INF = float("nan"), float("inf")

Rows = list[list[float]]


@dataclass(frozen=True)
class Toolchain:
    """What builds library and driver, and what runs the driver."""

    compiler: str
    flags: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()


NATIVE = Toolchain("g++")
SANITIZED = Toolchain(
    "g++", flags=("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
)
JETSON = Toolchain(
    "aarch64-linux-gnu-g++", runner=("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
)


@dataclass(frozen=True)
class Parse:
    """The library of one toolchain in one layout, called through the driver."""

    folder: Path
    toolchain: Toolchain
    detection_bytes: int

    def build(self) -> "Parse":
        tools = self.toolchain
        flags = " ".join(tools.flags)
        subprocess.run(
            ["make", "-s", "-C", str(PLUGIN), f"OUT_DIR={self.folder}", f"CXX={tools.compiler}",
             f"CXXFLAGS=-O2 {flags}", f"DETECTION_BYTES={self.detection_bytes}"],
            check=True,
        )  # fmt: skip
        self._compile("-I", PLUGIN / "abi", DRIVER, "-o", self.folder / "driver", "-ldl")
        return self

    def _compile(self, *arguments: str | Path) -> None:
        tools = self.toolchain
        layout = f"-DROPEWATCH_DETECTION_BYTES={self.detection_bytes}"
        command = [tools.compiler, "-std=c++17", "-Wall", "-Wextra", *tools.flags, layout]
        subprocess.run([*command, *map(str, arguments)], check=True)

    def sdk(self, major: int, minor: int) -> Path:
        """A library that says what DeepStream of that version says."""
        library = self.folder / f"libsdk{major}{minor}.so"
        source = library.with_suffix(".cpp")
        source.write_text(
            'extern "C" void nvds_version(unsigned* major, unsigned* minor) '
            f"{{ *major = {major}; *minor = {minor}; }}\n"
        )
        self._compile("-shared", "-fPIC", source, "-o", library)
        return library

    def __call__(
        self,
        tensor: np.ndarray,
        *,
        dtype: int = FLOAT,
        dims: Sequence[int] | None = None,
        elements: int | None = None,
        thresholds: str = "0.35,0.5",
        classes: int = 2,
        warning: str = "",
        environment: dict[str, str] | None = None,
    ) -> Rows:
        done = subprocess.run(
            [*self.toolchain.runner, str(self.folder / "driver"),
             str(self.folder / "libnvdsinfer_ropewatch.so"), "640", "384", str(dtype),
             ",".join(map(str, tensor.shape if dims is None else dims)),
             str(tensor.size if elements is None else elements), thresholds, str(classes)],
            input=tensor.tobytes(), capture_output=True, timeout=60, check=False,
            env={"PATH": os.environ["PATH"], **(environment or {})},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert warning in done.stderr.decode()
        assert bool(warning) == bool(done.stderr)
        return [[float(value) for value in line.split()] for line in done.stdout.splitlines()]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((NATIVE, 24), id="24-bytes"),
        pytest.param((NATIVE, 28), id="28-bytes"),
        pytest.param((SANITIZED, 28), id="28-bytes-sanitized"),
        pytest.param((JETSON, 24), id="24-bytes-aarch64"),
        pytest.param((JETSON, 28), id="28-bytes-aarch64"),
    ],
)
def parse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """Library and driver of one toolchain in one layout; call it to parse a tensor."""
    toolchain, detection_bytes = request.param
    for tool in (toolchain.compiler, *toolchain.runner[:1]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is absent; see plugins/nvdsinfer_ropewatch/README.md")
    folder = tmp_path_factory.mktemp(f"layout{detection_bytes}")
    return Parse(folder, toolchain, detection_bytes).build()


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
    parse: Parse, layout: dict[str, Any]
) -> None:
    rows = floats([0, 0, 8, 8, 0.9, 0], [0, 0, 8, 8, 0.9, 0])

    assert parse(rows, warning="no output of shape [N, 6]", **layout) == []


@pytest.mark.parametrize(
    ("letterbox", "box"),
    [
        # 640 x 360 of content in 640 x 384: 24 rows of padding.
        pytest.param("1280x720:symmetric", [0, 12, 640, 360], id="rows-on-both-sides"),
        pytest.param("1280x720:top-left", [0, 0, 640, 360], id="rows-below"),
        # 384 * 4 / 3 = 512 columns of content, 128 of padding.
        pytest.param("1440x1080:symmetric", [64, 0, 512, 384], id="columns-on-both-sides"),
        pytest.param("640x384:symmetric", [0, 0, 640, 384], id="no-padding"),
        # 640 * 721 / 1281 is 360.2; nvinfer reads 1280 x 720 of it, an even source.
        pytest.param("1281x721:symmetric", [0, 12, 640, 360], id="odd-frame"),
        # 640 * 718 / 1280 = 359.0; the odd row of padding is below.
        pytest.param("1280x718:symmetric", [0, 12, 640, 359], id="odd-padding"),
    ],
)
def test_parser_clamps_a_box_to_the_letterboxed_frame(
    parse: Parse, letterbox: str, box: list[float]
) -> None:
    rows = floats([-99, -99, 999, 999, 0.75, 0])

    found = parse(rows, environment={"ROPEWATCH_LETTERBOX": letterbox})

    assert found == [[0, *box, 0.75, 0]]


def test_parser_drops_a_box_that_is_all_padding(parse: Parse) -> None:
    rows = floats([10, 0, 90, 12, 0.75, 0], [10, 372, 90, 384, 0.75, 0])

    assert parse(rows, environment={"ROPEWATCH_LETTERBOX": "1280x720:symmetric"}) == []


@pytest.mark.parametrize(
    "text",
    ["", "1280x720", "1280x720:centre", "1280x720:symmetric ", "0x720:symmetric",
     "-9x720:symmetric", "1280x99999:top-left"],
)  # fmt: skip
def test_parser_names_a_letterbox_that_it_cannot_read(parse: Parse, text: str) -> None:
    found = parse(
        floats([-9, -9, 999, 999, 0.75, 0]),
        environment={"ROPEWATCH_LETTERBOX": text},
        warning=f"ROPEWATCH_LETTERBOX: '{text}', want WIDTHxHEIGHT:symmetric or",
    )

    assert found == [[0, 0, 0, 640, 384, 0.75, 0]]


@pytest.mark.parametrize(
    ("major", "minor", "sdk_bytes"), [(7, 1, 24), (8, 0, 24), (9, 0, 28), (9, 1, 28)]
)
def test_parser_refuses_a_deepstream_of_the_other_layout(
    parse: Parse, major: int, minor: int, sdk_bytes: int
) -> None:
    fits = sdk_bytes == parse.detection_bytes
    said = f"detections of {parse.detection_bytes} bytes, DeepStream {major}.{minor} reads "

    found = parse(
        floats([0, 0, 8, 8, 0.75, 0]),
        environment={"DRIVER_SDK": str(parse.sdk(major, minor))},
        warning="" if fits else f"{said}{sdk_bytes}, so no frame has a box",
    )

    assert found == ([[0, 0, 0, 8, 8, 0.75, 0]] if fits else [])


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang++ is absent; see README.md")
@pytest.mark.parametrize("detection_bytes", [24, 28])
def test_fuzzing_finds_nothing(tmp_path: Path, detection_bytes: int) -> None:
    done = subprocess.run(
        ["make", "-s", "-C", str(PLUGIN), "fuzz", f"OUT_DIR={tmp_path}", "FUZZ_RUNS=4000",
         f"DETECTION_BYTES={detection_bytes}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("stat::number_of_executed_units: 2000") == 2


def test_make_names_the_headers_that_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-C", str(PLUGIN), f"OUT_DIR={tmp_path}", "DEEPSTREAM_DIR=/nonexistent"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "set DEEPSTREAM_DIR to the folder that holds sources/includes" in done.stderr
    assert not (tmp_path / "libnvdsinfer_ropewatch.so").exists()
