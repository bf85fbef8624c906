"""scripts/setup as an ordinary user, with recording stand-ins where it would change things."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT

TOOLS = ("bash", "cat", "dirname", "flock", "grep", "mktemp", "mkdir", "rm", "sed")
PACKAGES = re.findall(
    r"^  ([a-z0-9.+-]+)$",
    (ROOT / "scripts" / "setup").read_text("utf-8").partition("PACKAGES=(")[2].partition(")")[0],
    re.MULTILINE,
)
NOBODY = [shutil.which("setpriv") or "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Machine:
    """A folder with a checkout and a PATH of our own making; every stub notes its call."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.setup = self.checkout / "scripts" / "setup"
        self._bin = folder / "bin"
        self._calls = folder / "calls"
        for made in (self.setup.parent, self._bin):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "setup", self.setup)
        for tool in TOOLS:
            (self._bin / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
        self._calls.touch()
        self._calls.chmod(0o666)
        # The folders that mkdtemp makes are closed to others, and `nobody` runs the script.
        folder.chmod(0o755)

    def install(self, name: str, body: str) -> None:
        stub = self._bin / name
        stub.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >> {self._calls}\n{body}\n')
        stub.chmod(0o755)

    def has_packages(self, packages: list[str]) -> None:
        self.install("dpkg-query", "\n".join(f"echo installed {name}" for name in packages))

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        user = NOBODY if os.geteuid() == 0 else []
        return subprocess.run(
            [*user, str(self._bin / "bash"), str(self.setup), *arguments],
            check=False,
            env={"PATH": str(self._bin)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

    def calls(self, name: str) -> list[str]:
        lines = self._calls.read_text("utf-8").splitlines()
        return [line for line in lines if line.split()[0] == name]


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        made = Machine(Path(folder))
        made.has_packages([name for name in PACKAGES if name != "mosquitto"])
        made.install("apt-get", 'echo "Need to get 1 MB of archives."')
        yield made


def test_packages_were_found_in_the_script() -> None:
    assert {"mosquitto", "python3-gi", "g++"} <= set(PACKAGES)


def test_without_sudo_setup_prints_size_and_command_and_fails(machine: Machine) -> None:
    done = machine.run()

    assert done.returncode == 1
    assert "missing system packages: mosquitto\n  Need to get 1 MB of archives." in done.stdout
    assert "apt-get install --yes --no-install-recommends mosquitto\n" in done.stdout
    assert f"no sudo on this machine; run as root: {machine.setup} --system\n" in done.stdout


def test_sudo_is_called_after_the_size_is_shown(machine: Machine) -> None:
    machine.install("sudo", '[[ $1 == -n ]] || { echo "sudo was called"; exit 7; }')

    done = machine.run()

    assert done.returncode == 7
    assert machine.calls("sudo") == ["sudo -n true", f"sudo {machine.setup} --system"]
    assert done.stdout.index("Need to get") < done.stdout.index("sudo was called")


def test_without_terminal_a_sudo_that_wants_a_password_is_not_waited_for(machine: Machine) -> None:
    machine.install("sudo", "exit 1")

    done = machine.run()

    assert done.returncode == 1
    assert f"there is no terminal; run: sudo {machine.setup} --system" in done.stdout


def test_sudo_is_not_called_when_nothing_is_missing(machine: Machine) -> None:
    machine.install("sudo", "exit 0")
    machine.has_packages(PACKAGES)
    (machine.checkout / ".venv").mkdir()

    done = machine.run()

    assert "remove it and run again" in done.stdout
    assert machine.calls("sudo") + machine.calls("apt-get") == []


def test_system_part_is_refused_to_an_ordinary_user(machine: Machine) -> None:
    done = machine.run("--system")

    assert (done.returncode, machine.calls("apt-get")) == (1, [])
    assert "want root" in done.stdout


def test_unknown_argument_is_named(machine: Machine) -> None:
    done = machine.run("--exprot")

    assert done.returncode == 1
    assert "--exprot: unknown argument, want --export, --system or none" in done.stdout


def test_setup_of_a_ready_checkout_is_silent_and_quick() -> None:
    if not (ROOT / ".venv" / ".ropewatch-base").is_file():
        pytest.skip("this checkout was not made ready by scripts/setup")
    begin_s = time.monotonic()

    done = subprocess.run(
        [ROOT / "scripts" / "setup"], check=False, capture_output=True, text=True, timeout=300
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begin_s < 10
