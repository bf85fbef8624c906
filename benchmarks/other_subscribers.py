"""Subscribers of other makes at the broker of scripts/demo: mosquitto_sub, and MQTT.js on Node.

Each must have every incident message that the demo itself received, and no other.
Node's is installed into a temporary folder, from npm.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from ropewatch.topics import INCIDENT

HERE: Final = Path(__file__).resolve().parent
MQTT_JS: Final = "mqtt@5.16.0"
READY_TIMEOUT_S: Final = 30.0
ENDED_TIMEOUT_S: Final = 10.0


class MissingError(Exception):
    """A program that is not installed, and how to come by it."""


class OtherSubscriber:
    """A program that prints a JSON line for each incident message.

    Args:
        name: for people.
        command: starts it; it says something as soon as it is subscribed.
    """

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.lines: list[dict[str, object]] = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._changed = threading.Condition()
        self._ready = False
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def wait_until_subscribed(self) -> None:
        """Return once nothing can be missed any more."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready, READY_TIMEOUT_S):
                raise TimeoutError(f"{self.name}: not subscribed within {READY_TIMEOUT_S:g} s")

    def wait_for(self, count: int) -> None:
        """Return once so many messages are there, or after a while without them."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.lines) >= count, ENDED_TIMEOUT_S)

    def stop(self) -> None:
        """End the program; what it has printed is in `lines`."""
        self._process.terminate()
        self._process.wait(ENDED_TIMEOUT_S)
        self._reader.join(ENDED_TIMEOUT_S)

    def ids(self) -> list[object]:
        """Return the ids of the messages in the order in which they came."""
        return [line["id"] for line in self.lines]

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            with self._changed:
                with contextlib.suppress(ValueError):
                    content = json.loads(line)
                    if isinstance(content, dict) and "id" in content:
                        self.lines.append(content)
                # mosquitto_sub's "Subscribed (mid: 1): 1", or subscriber.mjs's {"ready":true}.
                self._ready = self._ready or "Subscribed" in line or "ready" in line
                self._changed.notify_all()


def mosquitto_sub(host: str, port: int) -> OtherSubscriber:
    """Start mosquitto_sub.

    Raises:
        MissingError: it is not installed.
    """
    program = shutil.which("mosquitto_sub")
    if program is None:
        raise MissingError("mosquitto_sub is not installed (apt-get install mosquitto-clients)")
    where = ["-h", host, "-p", str(port), "-V", "mqttv5", "-q", "1", "-t", INCIDENT.filter]
    return OtherSubscriber("mosquitto_sub", ["stdbuf", "-oL", program, *where, "-d"])


def install_mqtt_js(folder: Path) -> Path:
    """Install MQTT.js into a folder; return the script that uses it.

    Raises:
        MissingError: there is no Node, or npm cannot install.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingError("node and npm are not installed (apt-get install nodejs npm)")
    options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        ["npm", "install", *options, MQTT_JS], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise MissingError(f"npm install {MQTT_JS} failed: {done.stderr.strip()[-200:]}")
    return Path(shutil.copy(HERE / "subscriber.mjs", folder))


def mqtt_js(script: Path, host: str, port: int) -> OtherSubscriber:
    """Start the script of `install_mqtt_js`."""
    return OtherSubscriber("MQTT.js on Node", ["node", str(script), host, str(port)])


def _started(host: str, port: int, script: Path | None) -> Iterator[OtherSubscriber]:
    if script is not None:
        yield mqtt_js(script, host, port)
    try:
        yield mosquitto_sub(host, port)
    except MissingError as missing:
        print(f"not run   {missing}")


def main() -> int:
    """Run the demo with the others beside it, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = None
        try:
            script = install_mqtt_js(folder)
        except MissingError as missing:
            print(f"not run   {missing}")
        command = [sys.executable, "-u", "-m", "demo", "--output", str(folder / "demo")]
        with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as demo:
            assert demo.stdout is not None
            found = re.search(r" on (\S+):(\d+)", demo.stdout.readline())
            assert found is not None
            others = list(_started(found[1], int(found[2]), script))
            for other in others:
                other.wait_until_subscribed()
            print(demo.stdout.read(), end="")
        text = (folder / "demo" / "incidents.jsonl").read_text("utf-8")
        wanted = [json.loads(line)["id"] for line in text.splitlines()]
        for other in others:
            other.wait_for(len(wanted))
            other.stop()
    same = {other.name: other.ids() == wanted for other in others}
    for other in others:
        verdict = "the same" if same[other.name] else "NOT the same"
        print(f"{other.name}: {len(other.lines)} messages, {verdict} as the demo's {len(wanted)}")
    return 0 if demo.returncode == 0 and others and all(same.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
