"""`standin env`: gst-launch-1.0 and gst-inspect-1.0 find what no process has registered."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.standin.shell import shell_lines
from ropewatch.errors import BackendError
from tests.pipeline.tiny_site import make_clip, write_models

pytestmark = pytest.mark.gst


def shell(line: str, cache: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line in a shell that has evaluated `standin env`."""
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), **environment}
    ropewatch = f"{shlex.quote(sys.executable)} -m ropewatch.cli standin"
    return subprocess.run(
        [
            "bash",
            "-c",
            f'set -e; eval "$({ropewatch} env)"; {line}'.replace("ROPEWATCH", ropewatch),
        ],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_gst_launch_decodes_batches_infers_and_draws(tmp_path: Path) -> None:
    write_models(tmp_path / "m")
    clip = make_clip(tmp_path / "a.mp4", [("black", 12)])

    ran = shell(
        f"gst-launch-1.0 -v filesrc location={clip} ! decodebin ! m.sink_0 "
        "nvstreammux name=m batch-size=1 width=640 height=360 "
        f"! nvinfer config-file-path={tmp_path}/m/pgie.txt ! nvvideoconvert ! nvdsosd "
        "! fakesink silent=false",
        tmp_path / "cache",
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("chain   *") == 12
    assert "CRITICAL" not in ran.stderr


def test_gst_inspect_lists_a_stand_ins_properties(tmp_path: Path) -> None:
    ran = shell("gst-inspect-1.0 nvtracker", tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert "ll-config-file" in ran.stdout


def test_the_list_that_the_loader_holds_stays_the_path(tmp_path: Path) -> None:
    """It borrows sys.path once for all files; OpenCV's import would free that list under it."""
    look = (
        "import glob, importlib, sys; path = sys.path; "
        "[importlib.import_module(name[:-3]) for name in glob.glob('ropewatch_*.py')]; "
        "print(path is sys.path, 'cv2' in sys.modules, len(path) == len(set(path)))"
    )

    ran = shell(f'cd "$GST_PLUGIN_PATH/python"; {sys.executable} -c "{look}"', tmp_path)

    assert ran.stdout.strip() == "True True True", ran.stderr


def test_a_script_runs_in_such_a_shell_as_in_any_other(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from gi.repository import Gst\n"
        "import pyds\n"
        "Gst.init(None)\n"
        "print(pyds.__name__, Gst.ElementFactory.make('nvinfer', None) is not None)\n"
    )

    ran = shell(f"ROPEWATCH run {tmp_path}/app.py", tmp_path)

    assert ran.stdout.strip() == "plugins.standin.pyds_stand_in True", ran.stderr


def test_the_ordinary_registry_never_hears_of_them(tmp_path: Path) -> None:
    ran = shell("unset GST_PLUGIN_PATH GST_REGISTRY; gst-inspect-1.0 nvinfer", tmp_path)

    assert ran.returncode != 0


@pytest.mark.usefixtures("stand_ins")  # a process that has them is no machine of NVIDIA's
def test_what_the_user_had_in_the_path_stays_in_it(tmp_path: Path) -> None:
    had = {"XDG_CACHE_HOME": str(tmp_path), "GST_PLUGIN_PATH": "/theirs"}

    once = shell_lines(had)
    folder = once[0].removeprefix("export GST_PLUGIN_PATH=").split(":")[0]
    twice = shell_lines({**had, "GST_PLUGIN_PATH": f"{folder}:/theirs"})

    assert once[0].endswith(":/theirs")
    assert twice == once


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ropewatch").write_text("a file")

    with pytest.raises(
        BackendError, match="want a folder that can be written; set XDG_CACHE_HOME"
    ):
        shell_lines({"XDG_CACHE_HOME": str(tmp_path)})


def test_a_machine_without_the_loader_is_told_what_to_install(tmp_path: Path) -> None:
    environment = {"GST_PLUGIN_SYSTEM_PATH": str(tmp_path), "GST_REGISTRY": str(tmp_path / "r")}

    ran = shell("true", tmp_path, **environment)

    assert "install gstreamer1.0-python3-plugin-loader" in ran.stderr
