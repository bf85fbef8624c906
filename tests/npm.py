"""Node programs of other makes, for tests: pinned in tests/node/package.json, fetched once."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "node"
CACHE = Path(__file__).parents[1] / "build" / "node"
INSTALL_TIMEOUT_S = 200


def run_node(script: str, *arguments: str, timeout_s: float = 60) -> str:
    """Run a script of tests/node with its packages; return what it printed.

    Skips the test where there is no npm, and where its registry cannot be reached. In CI the
    latter fails: what was checked yesterday must not go unseen today.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("no node and npm on this machine")
    folder = _installed()
    done = subprocess.run(
        ["node", script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _installed() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256((SOURCE / "package.json").read_bytes()).hexdigest()[:16]
    folder, complete = CACHE / digest, CACHE / digest / "complete"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
        if complete.exists():
            return folder
        # No package's own install scripts: they run with our rights.
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            subprocess.run(
                command,
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            if "CI" in os.environ:
                raise
            pytest.skip(f"npm install failed: {error}")
        complete.touch()
    return folder
