"""A private mosquitto on a free loopback port, for the demo and the tests."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from ropewatch.errors import BrokerError

START_TIMEOUT_S: Final = 30.0
DEBIAN_PATH: Final = "/usr/sbin/mosquitto"  # not on the PATH of ordinary users


def free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PrivateBroker:
    """Runs mosquitto for as long as the `with` block lasts; nothing of it stays behind.

    Args:
        port: TCP port; None takes a free one.
        extra_config: further lines of mosquitto.conf.
    """

    def __init__(self, port: int | None = None, extra_config: str = "") -> None:
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.extra_config = extra_config
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="ropewatch-broker-")
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        assert self._folder is not None
        self._folder.cleanup()

    def start(self) -> None:
        """Start the broker and wait until it takes connections.

        Raises:
            BrokerError: mosquitto is not installed, or did not start.
        """
        program = shutil.which("mosquitto") or DEBIAN_PATH
        if not Path(program).exists():
            raise BrokerError("mosquitto: not installed, want it on the PATH; run scripts/setup")
        assert self._folder is not None
        folder = Path(self._folder.name)
        config = folder / "mosquitto.conf"
        anonymous = "" if "allow_anonymous" in self.extra_config else "allow_anonymous true\n"
        config.write_text(
            f"listener {self.port} {self.host}\n{anonymous}{self.extra_config}\n",
            encoding="utf-8",
        )
        # A fresh log at each start: "running" must be this start's word.
        log = (folder / "mosquitto.log").open("wb")
        with log:
            self._process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        self._wait_until_ready(folder / "mosquitto.log")

    def pause(self) -> None:
        """Stop the broker as it is: it holds its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """Have the broker read its files of rights anew; it does so within a moment."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End the broker in an orderly way; what it is to keep, it writes."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the broker at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_until_ready(self, log: Path) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        assert self._process is not None
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                break
            # Not a connection: another broker on the port would take it.
            if " running" in log.read_text(encoding="utf-8", errors="replace"):
                return
            time.sleep(0.02)
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise BrokerError(
            f"mosquitto: did not start on port {self.port}: {said[-1] if said else 'no word'}, "
            "want a free loopback port; end what uses it"
        )
