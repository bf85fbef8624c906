"""Runs `ropewatch run` as an installer would, and gives back what it left."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ropewatch.settings import SiteSettings


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run: exit code, what it printed, and its recording."""

    code: int
    output: str
    frames: list[dict[str, Any]]
    incidents: list[dict[str, Any]]

    def of(self, source_id: str) -> list[dict[str, Any]]:
        """Return the recorded frames of one camera."""
        return [frame for frame in self.frames if frame["source_id"] == source_id]


def command(site: SiteSettings, folder: Path) -> list[str]:
    """Return how to run a site; its recording goes to `folder`."""
    file = folder / "site.yaml"
    document = site.model_dump(mode="json", exclude_none=True)
    document["recording"] = str(folder / "recording.jsonl")
    document["state_dir"] = str(folder / "state")
    file.write_text(yaml.safe_dump(document))
    return [sys.executable, "-m", "ropewatch.cli", "run", "--site", str(file)]


def start(site: SiteSettings, folder: Path) -> "subprocess.Popen[str]":
    """Start `ropewatch run` for a site, as `command` says."""
    program = command(site, folder)
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]", folder: Path, timeout_s: float = 60) -> Ran:
    """Wait for a run and read its recording."""
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"run did not end in {timeout_s} s:\n{output}") from None
    recording = folder / "recording.jsonl"
    lines = recording.read_text().splitlines() if recording.exists() else []
    rows = [json.loads(line) for line in lines]
    return Ran(
        process.returncode,
        output,
        [row for row in rows if row["type"] == "frame"],
        [row for row in rows if row["type"] == "incident"],
    )


def run(site: SiteSettings, folder: Path) -> Ran:
    """Run a site to its end."""
    return finish(start(site, folder), folder)
