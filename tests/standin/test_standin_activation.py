"""The stand-ins never replace NVIDIA's elements, and a whole run is free of CRITICALs."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gst

ROOT = Path(__file__).parents[2]


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_activation_refuses_beside_an_element_of_nvidias() -> None:
    result = python(
        "from plugins.standin.gst import Gst, init\n"
        "init()\n"
        "class Theirs(Gst.Element):\n"
        "    __gstmetadata__ = ('a', 'b', 'c', 'd')\n"
        "Gst.Element.register(None, 'nvinferserver', 0, Theirs)\n"
        "from plugins.standin.activate import activate, is_active\n"
        "try:\n"
        "    activate()\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error, is_active())\n"
    )

    assert result.stdout.startswith(
        "BackendError stand-ins: this machine has NVIDIA's nvinferserver, want none of them"
    )
    assert result.stdout.strip().endswith("False")


def test_activation_refuses_beside_the_real_pyds() -> None:
    result = python(
        "import sys, types\n"
        "sys.modules['pyds'] = types.ModuleType('pyds')\n"
        "from plugins.standin.activate import activate\n"
        "try:\n"
        "    activate()\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )

    assert "pyds is imported from memory, want it not imported before" in result.stdout


def test_a_second_activation_does_nothing_and_pyds_can_be_imported(stand_ins: Any) -> None:
    from plugins.standin.activate import activate, is_active  # noqa: PLC0415  needs gi

    activate()
    pyds = importlib.import_module("pyds")

    assert is_active()
    assert pyds.__name__ == "plugins.standin.pyds_stand_in"


def test_a_whole_run_has_no_critical(clips: Path) -> None:
    pipeline = (
        "nvstreammux name=m batch-size=2 width=64 height=48 batched-push-timeout=40000 "
        "! nvvideoconvert ! video/x-raw(memory:NVMM),format=RGBA "
        "! nvmultistreamtiler rows=1 columns=2 width=128 height=48 ! nvdsosd "
        "! nvvideoconvert ! nvv4l2h264enc ! h264parse ! fakesink "
        f"filesrc location={clips}/a.mp4 ! qtdemux ! h264parse ! nvv4l2decoder ! m.sink_0 "
        f"nvurisrcbin uri=file://{clips}/b.mkv ! m.sink_1"
    )

    result = python(
        "from plugins.standin.activate import activate\n"
        "activate()\n"
        "from plugins.standin.gst import Gst\n"
        f"pipeline = Gst.parse_launch({pipeline!r})\n"
        "pipeline.set_state(Gst.State.PLAYING)\n"
        "kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR\n"
        "message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, kinds)\n"
        "pipeline.set_state(Gst.State.NULL)\n"
        "print(message.type.value_nicks)\n",
        G_DEBUG="fatal-criticals",
    )

    assert result.returncode == 0, result.stderr
    assert "eos" in result.stdout
    assert "CRITICAL" not in result.stderr


def test_an_element_that_was_made_before_takes_nothing_from_ours() -> None:
    result = python(
        "import gi\n"
        "gi.require_version('Gst', '1.0')\n"
        "from gi.repository import Gst\n"
        "Gst.init(None)\n"
        "kept = Gst.ElementFactory.make('identity', None)\n"
        "from plugins.standin.activate import activate\n"
        "activate()\n"
        "for name in ('nvvideoconvert', 'nvdsosd', 'nvurisrcbin'):\n"
        "    Gst.ElementFactory.make(name, None)\n"
        "print('made')\n"
    )

    assert result.stdout.strip() == "made"
    assert "AttributeError" not in result.stderr
