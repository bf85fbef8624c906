"""A broker, a box under load, a bad network between them, and a witness behind them."""

import multiprocessing
import os
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from typing_extensions import Self

from demo.broker import PrivateBroker
from tests.faults import box
from tests.faults.judge import Diary, Judgement, judge
from tests.faults.proxy import Proxy
from tests.faults.witness import Testimony, Witness

# `scripts/test --faults long` sets it.
LONG = os.environ.get("ROPEWATCH_FAULTS") == "long"
LONG_ONLY = pytest.mark.skipif(not LONG, reason="in the long form: scripts/test --faults long")

# A box begins in the time of a fork, so that a thousand can be killed.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.box"])
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 90.0
SETTLE_TIMEOUT_S = 20.0
CHECKOUT = Path(__file__).parents[2]

# A witness that reads slowly loses nothing, and what the broker has acknowledged is on its way.
# Not 0, no limit, for the queue: mosquitto 2.0.11 then ends a connection with each PUBLISH that
# its access list denies.
PATIENT = "max_queued_messages 1000000\nmax_inflight_messages 0\n"


class Rig:
    """Use it in a `with` block.

    Args:
        folder: for the boxes' state and diaries.
        broker_config: further lines of mosquitto.conf.
    """

    def __init__(self, folder: Path, broker_config: str = PATIENT) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.broker = PrivateBroker(extra_config=broker_config)
        self.witness = Witness()
        self._runs = 0
        self._boxes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.broker)
            self.proxy = stack.enter_context(Proxy(self.broker.host, self.broker.port))
            self.witness.listen(self.broker)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._boxes:
            process.kill()
        self.witness.leave()
        self._stack.close()

    @property
    def diary(self) -> Path:
        """Return where the newest run of the box writes."""
        return self.folder / f"diary-{self._runs:05d}"

    @property
    def counts(self) -> Counter[str]:
        """What the boxes that ended in an orderly way have counted."""
        return self._read().counts

    @property
    def testimony(self) -> Testimony:
        """What the witness has."""
        return self.witness.testimony

    def load(self, **changes: Any) -> box.Load:
        """Return the load of the next run of the box, behind the proxy."""
        self._runs += 1
        given: dict[str, Any] = {
            "state": str(self.state),
            "diary": str(self.diary),
            "host": self.proxy.host,
            "port": self.proxy.port,
        }
        return box.Load(**(given | changes))

    def start(self, **changes: Any) -> BaseProcess:
        """Start a box."""
        process = FORKS.Process(target=box.run, args=(self.load(**changes),), daemon=True)
        process.start()
        self._boxes.append(process)
        return process

    def wait_for_box(self) -> None:
        """Wait until the newest run of the box has written its first line."""
        until_s = time.monotonic() + START_TIMEOUT_S
        while not (self.diary.exists() and self.diary.stat().st_size):
            assert time.monotonic() < until_s, "the box does not start"
            time.sleep(0.002)

    def wait_for_reason(self, part: str) -> None:
        """Wait until the box has said that it is degraded, with these words in a reason."""
        until_s = time.monotonic() + START_TIMEOUT_S
        while not any(part in reason for reason in tuple(self.testimony.reasons)):
            assert time.monotonic() < until_s, f"not said: {part}: {self.testimony.reasons}"
            time.sleep(0.05)

    def watch(self, process: BaseProcess, seconds: float) -> None:
        """Let a box work."""
        process.join(seconds)
        assert process.exitcode is None, f"the box ended by itself: {process.exitcode}"

    def end(self, process: BaseProcess) -> int | None:
        """End a box in an orderly way; 0 when the broker has everything."""
        process.terminate()
        process.join(END_TIMEOUT_S)
        return process.exitcode

    def kill(self, process: BaseProcess) -> None:
        """End a box as a power cut would, but for the disk's cache."""
        process.kill()
        process.join()
        self._boxes.remove(process)

    def restart_broker(self, *, away_s: float, orderly: bool = False, config: str = "") -> None:
        """End the broker and start it again; no box is let in before the witness listens.

        The box loses its connection first. What a broker has acknowledged and not passed on
        dies with it, and no box could do anything about that.

        Args:
            away_s: between the two.
            orderly: let it end by itself, rather than as in a power cut.
            config: further lines of mosquitto.conf, from now on.
        """
        self.proxy.hold()
        self.witness.wait_until_quiet()
        if orderly:
            self.broker.stop()
        else:
            self.broker.kill()
        self.witness.leave()
        time.sleep(away_s)
        self.broker.extra_config = config or self.broker.extra_config
        self.broker.start()
        self.witness.listen(self.broker)
        self.proxy.release()

    def judge(self, *, recover: bool = False) -> Judgement:
        """Wait until nothing comes any more, and judge.

        Args:
            recover: let one more run of the box send what is left.
        """
        if recover:
            last = self.start(watches=False)
            last.join(END_TIMEOUT_S)
            assert last.exitcode == 0, f"the last run left messages: {last.exitcode}"
        diary = self._read()
        until_s = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            with self.testimony.lock:
                verdict = judge(diary, self.testimony)
            if not verdict.faults or time.monotonic() > until_s:
                break
            time.sleep(0.5)
        assert self.witness.trouble is None
        return verdict

    def _read(self) -> Diary:
        return Diary.read(sorted(self.folder.glob("diary-*")))


def start_program(load: box.Load, environment: dict[str, str], *prefix: str) -> Any:
    """Start a box as a program of its own, with other surroundings."""
    return subprocess.Popen(
        [*prefix, *box.command(load)], cwd=CHECKOUT, env={**os.environ, **environment}
    )
