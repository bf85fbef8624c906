"""The container image cannot be built here; what it copies can be laid out and asked for help."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

# COPY SOURCES... /build/ropewatch/TARGET: what the image's wheel is made from.
COPIES = re.findall(
    r"^COPY (.+) /build/ropewatch/(\S*)$", (ROOT / "Dockerfile.jetson").read_text(), re.MULTILINE
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Lay out the Python packages of the image, and nothing else of the checkout."""
    for sources, target in COPIES:
        for source in sources.split():
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(
                    path, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__")
                )
            elif target:
                goal = tmp_path / target / path.name if target.endswith("/") else tmp_path / target
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, goal)
    return tmp_path


def ropewatch(image: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # -S: no .pth file leads from the installed packages back to this checkout.
    packages = [path for path in sys.path if path.endswith("-packages")]
    return subprocess.run(
        [sys.executable, "-S", "-m", "ropewatch.cli", *arguments],
        cwd=image,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(packages)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", ["run", "graph", "listen", "check", "explain", "engine"])
def test_commands_start_with_what_the_image_holds(image: Path, command: str) -> None:
    done = ropewatch(image, command, "--help")

    assert done.returncode == 0, done.stderr
    assert not (image / "plugins" / "standin").exists()


@pytest.mark.gst
def test_a_box_has_no_stand_ins_to_fall_back_to(image: Path) -> None:
    site = str(ROOT / "configs" / "dev-cpu.yaml")

    done = ropewatch(image, "run", "--site", site, "--backend", "cpu")

    assert done.returncode == 1, done.stderr
    assert "backend cpu: No module named 'plugins.standin'" in done.stderr
    assert "Traceback" not in done.stderr
