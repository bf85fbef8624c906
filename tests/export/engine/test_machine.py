"""What is said of a machine, and on one that lacks something."""

import sys
import types
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from export.engine.machine import this_machine
from export.engine.resources import GIB, Memory, read_memory, require
from ropewatch.errors import BackendError
from tests.export.engine.tensorrt_double.double import RELEASES, make_tensorrt
from tests.export.engine.tensorrt_double.running import Memory as GpuMemory
from tests.export.engine.tensorrt_double.running import make_pycuda

L4T = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"


def install(monkeypatch: pytest.MonkeyPatch, release: str, *, gpus: int = 1) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(release, {}))
    monkeypatch.setitem(sys.modules, "pycuda", types.ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", make_pycuda(GpuMemory(), gpus=gpus))


@pytest.mark.parametrize("release", RELEASES)
def test_machine_is_described(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: str
) -> None:
    install(monkeypatch, release)
    (tmp_path / "release").write_text(L4T)

    found = this_machine(l4t_file=tmp_path / "release")

    assert found.model_dump() == {
        "tensorrt": RELEASES[release],
        "cuda": "12.6",
        "gpu": "Orin",
        "compute_capability": "8.7",
        "l4t": "36.4.3",
    }
    assert found.tensorrt_release == tuple(map(int, release.split(".")))


def test_machine_that_is_no_jetson_has_no_l4t(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3")

    assert this_machine(l4t_file=tmp_path / "none").l4t is None


def test_missing_tensorrt_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(BackendError, match=r"^tensorrt: .*, want NVIDIA's Python package.*$"):
        this_machine()


def test_missing_pycuda_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "10.3")
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)

    with pytest.raises(BackendError, match=r"^pycuda\.driver: .*, want pycuda, which asks.*$"):
        this_machine()


def test_missing_gpu_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "10.3", gpus=0)

    with pytest.raises(BackendError, match=r"^cuda: cuDeviceGet failed: invalid dev.*nvidia.*$"):
        this_machine()


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "12.0.0", "unknown"])
def test_other_releases_are_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    install(monkeypatch, "10.3")
    monkeypatch.setattr(sys.modules["tensorrt"], "__version__", version)

    with pytest.raises(BackendError, match=rf"tensorrt: {version}, want 10\.3 to 11\.x"):
        this_machine()


def test_memory_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(
        "MemTotal:        7802068 kB\nMemAvailable:    2097152 kB\nSwapFree:        1048576 kB\n"
    )

    assert read_memory(tmp_path / "meminfo") == Memory(2 * GIB, GIB)


@pytest.mark.parametrize(
    ("available", "swap", "message"),
    [
        (0.5, 8, r"memory: 0\.5 GiB available, want 1\.0 GiB for the workspace alone, which can"),
        (1.5, 0.2, r"1\.5 GiB available and 0\.2 GiB of swap, want 2\.4 GiB together"),
    ],
)
def test_short_memory_is_told_in_numbers(
    tmp_path: Path, available: float, swap: float, message: str
) -> None:
    memory = Memory(int(available * GIB), int(swap * GIB))

    with pytest.raises(BackendError, match=message):
        require(tmp_path, onnx_bytes=100 << 20, workspace_bytes=GIB, memory=memory)


def test_swap_makes_up_for_memory_beyond_the_workspace(tmp_path: Path) -> None:
    memory = Memory(int(1.5 * GIB), GIB)

    said = require(tmp_path, onnx_bytes=100 << 20, workspace_bytes=GIB, memory=memory)

    assert "1.5 GiB memory, 1.0 GiB swap; want about 0.4 GiB disk and 2.4 GiB memory" in said


def test_full_disk_is_told_in_numbers(tmp_path: Path) -> None:
    with pytest.raises(
        BackendError, match=r"free, want \d+\.\d GiB for engine and cache; make ro"
    ):
        require(tmp_path, onnx_bytes=1 << 50, workspace_bytes=GIB, memory=Memory(1 << 60, 0))
