"""The site's own graph over the pictures: `ropewatch run` in a process of its own."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from export.chain.answers import Column, Person
from export.chain.frames import Frame, write_y4m
from ropewatch import recording
from ropewatch.boxes import ltwh_to_xyxy
from ropewatch.errors import BackendError
from ropewatch.recording import RecordedFrame
from ropewatch.settings import SiteSettings

# Pictures in one run, each as a camera of its own: a tracker must not join them.
BATCH: Final = 8
# 3: the run had no broker, on purpose.
_GOOD: Final = (0, 3)
_TIMEOUT_S: Final = 600
_CHECKOUT: Final = Path(__file__).parents[2]
_BACKEND = re.compile(r"^backend +(.+)$", re.MULTILINE)
# What would reach the site's broker, its disk or its cameras is taken out or replaced.
_REPLACED: Final = frozenset({"sources", "mqtt", "video", "recording", "state_dir"})


def run_graph(
    site: SiteSettings,
    frames: Sequence[Frame],
    folder: Path,
    *,
    backend: str = "auto",
    batch: int = BATCH,
) -> Column:
    """Play each frame as a camera and read what was recorded.

    Args:
        site: its configurations, tracker, muxer and thresholds are used as they are.
        frames: at the muxer's size.
        folder: for this run alone.
        backend: as for `ropewatch run`.
        batch: frames in one run, what a detector of a fixed batch takes.

    Raises:
        BackendError: the graph does not start, or did not judge each picture once.
    """
    persons: dict[str, tuple[Person, ...]] = {}
    ran = ""
    for first in range(0, len(frames), batch):
        part = folder / f"{first}"
        part.mkdir()
        ran, found = _run(site, frames[first : first + batch], part, backend)
        persons |= found
    return Column("graph", f"graph, {ran}", "ropewatch run with the site's files", persons)


def _run(
    site: SiteSettings, frames: Sequence[Frame], folder: Path, backend: str
) -> tuple[str, dict[str, tuple[Person, ...]]]:
    names = {f"picture-{index}": frame.name for index, frame in enumerate(frames)}
    for source, frame in zip(names, frames, strict=True):
        write_y4m(frame, folder / f"{source}.y4m")
    with socket.socket() as nobody:
        # Bound and never listening: a broker that is certain to refuse.
        nobody.bind(("127.0.0.1", 0))
        document = site_document(site, list(names), folder, port=nobody.getsockname()[1])
        (folder / "site.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        command = [sys.executable, "-m", "ropewatch.cli", "run", "--site", "site.yaml"]
        command += ["--backend", backend]
        # What a run keeps for its next start stays in this folder as well.
        state = {"XDG_STATE_HOME": str(folder), "STATE_DIRECTORY": str(folder)}
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **state, "PYTHONPATH": str(_CHECKOUT)},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    said = (done.stdout + done.stderr).strip()
    rows = [
        row
        for row in (recording.read(folder / "recording.jsonl") if done.returncode in _GOOD else ())
        if isinstance(row, RecordedFrame)
    ]
    if sorted(row.source_id for row in rows) != sorted(names):
        raise BackendError(
            f"ropewatch run: exit code {done.returncode}, {len(rows)} of {len(names)} pictures "
            f"judged once, want each; it said:\n{_last(said)}"
        )
    ran = _BACKEND.search(done.stdout)
    found = {names[row.source_id]: tuple(_persons(row)) for row in rows}
    return (ran[1] if ran else "unknown backend"), found


def site_document(
    site: SiteSettings, sources: Sequence[str], folder: Path, *, port: int
) -> dict[str, Any]:
    """The site with pictures for cameras, and nothing that reaches its broker or its disk."""
    document = site.model_dump(mode="json", exclude_none=True, exclude=set(_REPLACED))
    return {
        **document,
        "sources": [{"id": name, "uri": str(folder / f"{name}.y4m")} for name in sources],
        "mqtt": {"host": "127.0.0.1", "port": port},
        "recording": str(folder / "recording.jsonl"),
    }


def _persons(row: RecordedFrame) -> list[Person]:
    """Those that the detector gave; where the tracker alone says someone is, nothing compares."""
    persons = []
    for person in row.persons:
        if person.confidence is None:
            continue
        left, top, right, bottom = ltwh_to_xyxy(np.array([person.box_ltwh_px]))[0].tolist()
        crop = person.crop_ltwh_px
        persons.append(
            Person(
                (left, top, right, bottom),
                person.confidence,
                person.score,
                None if crop is None else (crop[0], crop[1], crop[2], crop[3]),
            )
        )
    return persons


def _last(said: str) -> str:
    return "\n".join(f"  {line}" for line in said.splitlines()[-12:])
