"""The stand-ins for gst-launch-1.0 and gst-inspect-1.0: what a shell needs to find them.

GStreamer's loader of Python plugins imports every file in the folders `python/` below
GST_PLUGIN_PATH and takes one element from each. Such a folder is written into the user's cache,
with a registry of its own beside it, so that the ordinary one never hears of the stand-ins.
"""

import hashlib
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from plugins.standin.activate import refuse_beside_nvidia, stand_in_names
from plugins.standin.gst import Gst, init
from ropewatch.errors import BackendError

_LOADER = "python"  # the plugin's name, in gstreamer1.0-python3-plugin-loader

_FILE = '''"""Written by `ropewatch standin env`; GStreamer's Python loader reads it."""

import sys

if sys.version_info[:2] != {version}:
    raise ImportError("GStreamer's Python loader is of another Python, want {version}")
path = sys.path  # the loader goes on with this very list; OpenCV's import puts a copy in its place
path += [folder for folder in {folders} if folder not in path]

from plugins.standin.activate import loadable

__gstelementfactory__ = loadable({name!r})
path[:], sys.path = sys.path, path
'''


def shell_lines(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Write the folder and return the lines that a shell evaluates.

    Raises:
        BackendError: NVIDIA's elements are on this machine, or GStreamer's loader is not.
    """
    init()
    refuse_beside_nvidia()
    if Gst.Registry.get().find_plugin(_LOADER) is None:
        raise BackendError(
            "stand-ins: GStreamer has no loader of Python plugins, want one for gst-launch-1.0; "
            "install gstreamer1.0-python3-plugin-loader and libpython3-dev, and remove "
            "~/.cache/gstreamer-1.0, which remembers that it failed"
        )
    folder = _folder(environment)
    _write(folder / "python")
    variables = {"GST_PLUGIN_PATH": str(folder), "GST_REGISTRY": str(folder / "registry.bin")}
    others = environment.get("GST_PLUGIN_PATH", "").split(os.pathsep)
    kept = [path for path in others if path and Path(path) != folder]
    variables["GST_PLUGIN_PATH"] = os.pathsep.join([str(folder), *kept])
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def _folder(environment: Mapping[str, str]) -> Path:
    """Name a folder for this checkout and this Python."""
    base = environment.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    here = f"{Path(__file__).parent}:{sys.executable}"
    return Path(base) / "ropewatch" / f"standin-{hashlib.sha256(here.encode()).hexdigest()[:12]}"


def _write(folder: Path) -> None:
    root = str(Path(__file__).parents[2])
    folders = [root, *(path for path in sys.path if Path(path).is_dir() and path != root)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in stand_in_names():
            text = _FILE.format(version=sys.version_info[:2], folders=folders, name=name)
            file = folder / f"ropewatch_{name}.py"
            if not file.exists() or file.read_text() != text:
                file.write_text(text)
    except OSError as error:
        raise BackendError(
            f"{folder}: {error.strerror}, want a folder that can be written; set XDG_CACHE_HOME"
        ) from None
