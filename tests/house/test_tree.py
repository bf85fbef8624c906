import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, committed_files, name_of

# Spelt so that this file does not hold them.
UNFINISHED = re.compile(rb"\b(?:TO" rb"DO|FIX" rb"ME)\b")
CODE = {".py", ".cpp", ".h", ".hpp", ".yaml", ".yml", ".toml", ".txt", ".jetson", ".service", ""}
FOLDERS_OF_EVERYBODY = {Path(p) for p in ("/", "/tmp", "/home", "/root", "/srv", "/opt", "/usr")}
FRAME_BYTES_MAX = 300_000
DEMO_BYTES_MAX = 20_000_000


def test_no_file_names_a_place_outside_the_checkout() -> None:
    # Exported models and reports like to remember where they were made.
    places = [str(ROOT).encode()]
    if ROOT.parent not in FOLDERS_OF_EVERYBODY:
        places.append(str(ROOT.parent).encode() + b"/")

    found = [
        (name_of(file), place)
        for file in committed_files()
        for place in places
        if place in file.read_bytes()
    ]

    assert found == []


def test_nothing_is_left_for_later() -> None:
    found = [
        name_of(file)
        for file in committed_files()
        if file.suffix in CODE and UNFINISHED.search(file.read_bytes())
    ]

    assert found == []


def test_constraints_pin_every_direct_dependency() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.scripts]")[0]
    text = text.partition("dependencies = [")[2]
    wanted = {n.lower() for n in re.findall(r'"([A-Za-z0-9_.-]+)(?:[<>=~!][^"]*)?"', text)}
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if not line.startswith("#")}

    assert wanted == pinned


def test_detector_with_its_own_licence_stays_out_of_wheel_and_image() -> None:
    ignored = (ROOT / "Dockerfile.jetson.dockerignore").read_text("utf-8").splitlines()
    project = (ROOT / "pyproject.toml").read_text("utf-8")

    assert ignored[0] == "*"
    assert not any(line.startswith("!demo") for line in ignored)
    assert (
        "demo" not in project.partition("[tool.setuptools.packages.find]")[2].partition("\n[")[0]
    )


def test_demo_assets_stay_small() -> None:
    sizes = [f.stat().st_size for f in committed_files() if name_of(f).startswith("demo/")]

    assert sum(sizes) < DEMO_BYTES_MAX


def test_picture_of_the_readme_stays_small() -> None:
    picture = ROOT / "docs" / "images" / "frame.jpg"
    if not picture.exists():
        pytest.fail(f"{name_of(picture)}: no such file, want the annotated frame of README.md")

    assert picture.stat().st_size < FRAME_BYTES_MAX
