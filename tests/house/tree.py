"""What the checkout holds, for tests about the tree itself."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ropewatch", "deepstream", "export", "plugins", "calibration", "demo", "benchmarks")
_NOT_OURS = {".git", ".venv", "out", "build", "runs", "__pycache__"}


def committed_files() -> list[Path]:
    """All files that git tracks or would; without git, all that do not look made or fetched."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listing = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        files = [ROOT / name for name in listing.split("\0") if name]
        return [file for file in files if file.is_file()]
    return sorted(_walk(ROOT))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in _NOT_OURS or entry.name.endswith(("_cache", ".egg-info", ".so")):
            continue
        if entry.name in {".hypothesis", ".nvdsinfer_ropewatch.flags"}:
            continue
        if entry.is_dir():
            yield from _walk(entry)
        else:
            yield entry


def modules() -> list[Path]:
    """All Python files of the product: no tests, no stubs."""
    return [
        file
        for file in committed_files()
        if file.suffix == ".py" and file.relative_to(ROOT).parts[0] in PACKAGES
    ]


def files_of_tests() -> list[Path]:
    """All Python files of the tests."""
    return [
        file
        for file in committed_files()
        if file.suffix == ".py" and file.relative_to(ROOT).parts[0] == "tests"
    ]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()
