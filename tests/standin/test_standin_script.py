"""`standin run`: a script that knows nothing of the stand-ins, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gst

ROOT = Path(__file__).parents[2]

# What a script of NVIDIA's does: helpers beside it, the machine's kind, elements, a probe, pyds.
SCRIPT = """
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst
from cuda import cuda, cudart

import helper
import pyds

assert cuda.cuInit(0) == (cuda.CUresult.CUDA_SUCCESS,)
assert cuda.cuDeviceGetCount() == (cuda.CUresult.CUDA_SUCCESS, 1)
result, properties = cudart.cudaGetDeviceProperties(0)
assert result == cuda.CUresult.CUDA_SUCCESS and properties.integrated

frames = []

def probe(pad, info, data):
    batch = pyds.gst_buffer_get_nvds_batch_meta(hash(info.get_buffer()))
    frames.append(pyds.NvDsFrameMeta.cast(batch.frame_meta_list.data).frame_num)
    return Gst.PadProbeReturn.OK

def main(args):
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "nvstreammux name=m batch-size=1 width=64 height=48 ! fakesink name=s "
        f"nvurisrcbin uri=file://{args[1]} ! m.sink_0"
    )
    pipeline.get_by_name("s").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, probe, 0)
    pipeline.set_state(Gst.State.PLAYING)
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, kinds)
    pipeline.set_state(Gst.State.NULL)
    print(message.type == Gst.MessageType.EOS, helper.NAME, len(frames), frames[-1], args[2:])
    return 5

if __name__ == "__main__":
    sys.exit(main(sys.argv))
"""


def standin_run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = folder / "app.py"
    script.write_text(text)
    (folder / "helper.py").write_text("NAME = 'beside'\n")
    return subprocess.run(
        [sys.executable, "-m", "ropewatch.cli", "standin", "run", str(script), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_script_runs_unmodified_with_its_arguments_and_exit_code(
    tmp_path: Path, clips: Path
) -> None:
    done = standin_run(tmp_path, SCRIPT, str(clips / "a.mp4"), "--count", "2", "-i")

    assert done.stdout == "True beside 30 29 ['--count', '2', '-i']\n", done.stderr
    assert done.returncode == 5


def test_an_element_without_a_stand_in_gives_its_name_and_what_it_would_take(
    tmp_path: Path,
) -> None:
    text = (
        "from gi.repository import Gst\n"
        "print(Gst.ElementFactory.make('nosuchelement', 'a'), flush=True)\n"
        "Gst.ElementFactory.make('nvof', 'flow')\n"
        "print('not reached')\n"
    )

    done = standin_run(tmp_path, text)

    assert (done.returncode, done.stdout) == (1, "None\n")
    assert "error: nvof: no CPU stand-in, it would take: optical flow" in done.stderr


def test_a_launch_line_without_a_stand_in_is_explained_and_others_fail_as_ever(
    tmp_path: Path,
) -> None:
    text = (
        "from gi.repository import GLib, Gst\n"
        "try:\n"
        "    Gst.parse_launch('nosuchelement ! fakesink')\n"
        "except GLib.Error as error:\n"
        "    print(error.message, flush=True)\n"
        "Gst.parse_launch('videotestsrc ! nvof ! fakesink')\n"
        "print('not reached')\n"
    )

    done = standin_run(tmp_path, text)

    assert (done.returncode, done.stdout) == (1, 'no element "nosuchelement"\n')
    assert "error: nvof: no CPU stand-in, it would take: optical flow" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_text_given_to_exit_is_printed_and_an_exception_is_shown(tmp_path: Path) -> None:
    told = standin_run(tmp_path, "import sys\nsys.exit('no camera')\n")
    failed = standin_run(tmp_path, "raise ValueError('their mistake')\n")

    assert (told.returncode, "no camera" in told.stderr) == (1, True)
    assert (failed.returncode, "ValueError: their mistake" in failed.stderr) == (1, True)


def test_cuda_without_a_stand_in_says_what_it_needs(tmp_path: Path) -> None:
    done = standin_run(tmp_path, "from cuda import cuda\ncuda.cuMemAlloc(1)\n")

    assert "cuda.cuda.cuMemAlloc has no stand-in on the CPU; it needs a CUDA device" in done.stderr


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ropewatch.cli", "standin", "run", str(tmp_path / "none.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "none.py: no such file, want a Python script" in done.stderr
