"""The core and every --help run where no heavy dependency is installed."""

import pkgutil
import subprocess
import sys

import pytest

import export.engine
import ropewatch
from tests.house.tree import ROOT, modules, name_of

HEAVY = ("gi", "pyds", "torch", "torchvision", "timm", "ultralytics", "onnx", "onnxruntime", "cv2")
# Run in a fresh interpreter: a finder at the front of the line that knows nothing of HEAVY.
BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name)
sys.meta_path.insert(0, Blocker())
"""
CORE = sorted(m.name for m in pkgutil.walk_packages(ropewatch.__path__, "ropewatch."))
# What a box runs without onnx; the runner itself imports NVIDIA's modules when it is made.
ENGINE = sorted(m.name for m in pkgutil.walk_packages(export.engine.__path__, "export.engine."))
PROGRAMS = sorted(
    name_of(file.parent).replace("/", ".") for file in modules() if file.name == "__main__.py"
)


def _python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + code],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _help(module: str, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [module, *words, "--help"]
    return _python(
        f"import runpy; sys.argv = {argv!r}; runpy.run_module({module!r}, run_name='__main__')"
    )


def test_core_imports_without_heavy_dependencies() -> None:
    done = _python("".join(f"import {name}\n" for name in CORE))

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", ["", "run", "graph", "listen", "export", "engine", "engine build"]
)
def test_help_of_ropewatch_needs_no_heavy_dependency(command: str) -> None:
    done = _help("ropewatch.cli", *command.split())

    assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr


def test_engines_are_built_without_heavy_dependencies() -> None:
    done = _python("".join(f"import {name}\n" for name in ENGINE))

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_of_program_needs_no_heavy_dependency(program: str) -> None:
    done = _help(program)

    assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr
