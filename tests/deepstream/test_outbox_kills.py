"""A box killed at random moments: every start ends once, nothing is lost and nothing invented."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.incidents import EndReason, Phase
from ropewatch.payloads import IncidentMessage
from ropewatch.reading import parse_incident

pytestmark = [pytest.mark.broker, pytest.mark.slow]

# More of them: ROPEWATCH_KILLS=1000 pytest tests/deepstream/test_outbox_kills.py --timeout 7200
KILLS = int(os.environ.get("ROPEWATCH_KILLS", "30"))
BOX = Path(__file__).with_name("killed_box.py")


class Diary:
    """What the boxes have decided, and what they have handed over before they were killed."""

    def __init__(self, path: Path) -> None:
        self.boots: list[str] = []
        self.deciding: set[tuple[str, str]] = set()
        self.kept: set[tuple[str, str]] = set()
        for line in path.read_text().splitlines():
            what, *words = line.split(" ")
            if what == "boot":
                self.boots.append(words[0])
            else:
                phase, incident_id = words
                (self.kept if what == "kept" else self.deciding).add((phase, incident_id))


def run_box(folder: Path, broker: PrivateBroker, seconds: float) -> "subprocess.Popen[bytes]":
    arguments = [str(folder / "state"), str(broker.port), str(folder / "diary"), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(BOX.parents[2])}
    return subprocess.Popen([sys.executable, str(BOX), *arguments], env=environment)


def kill_again_and_again(folder: Path, broker: PrivateBroker, rng: random.Random) -> None:
    diary = folder / "diary"
    diary.touch()
    for _ in range(KILLS):
        boots = diary.read_text().count("boot ")
        box = run_box(folder, broker, 60.0)
        # Most kills come while it decides, some while it starts and recovers.
        while rng.random() > 0.002 and box.poll() is None:
            if diary.read_text().count("boot ") > boots:
                time.sleep(rng.random() * 0.4)
                break
            time.sleep(0.005)
        assert box.poll() is None, "the box ended by itself"
        box.kill()
        box.wait()
    assert run_box(folder, broker, 0.2).wait(60) == 0


def test_every_start_has_exactly_one_end_however_often_the_box_is_killed(tmp_path: Path) -> None:
    got: list[IncidentMessage] = []

    with (
        # Whatever the broker has taken reaches the subscriber, however slow that is.
        PrivateBroker(extra_config="max_queued_messages 0") as broker,
        Subscriber(broker.host, broker.port, ("ropewatch/#",)) as subscriber,
    ):

        def collect() -> None:
            got.extend(
                parse_incident(message.payload)
                for message in subscriber.messages(30.0)
                if message.topic.endswith("/incident")
            )

        collector = threading.Thread(target=collect, daemon=True)
        collector.start()
        kill_again_and_again(tmp_path, broker, random.Random(KILLS))
        deadline_s = time.monotonic() + 20
        diary = Diary(tmp_path / "diary")
        while time.monotonic() < deadline_s and not complete(got, diary):
            time.sleep(0.1)

    unique = {message.id: message for message in got}
    starts = Counter(m.subject for m in unique.values() if m.data.phase is Phase.START)
    ends = Counter(m.subject for m in unique.values() if m.data.phase is Phase.END)
    print(
        f"kills {KILLS}, incidents {len(starts)}, messages {len(unique)}, copies {len(got)}, "
        f"recovered {sum(is_recovery(m) for m in unique.values())}"
    )
    assert len(starts) > KILLS
    assert any(is_recovery(message) for message in unique.values())
    # Nothing lost, nothing invented, once each.
    assert {name for phase, name in diary.kept if phase == "start"} <= set(starts)
    assert set(starts) <= {name for phase, name in diary.deciding if phase == "start"}
    assert ends == starts == Counter(dict.fromkeys(starts, 1))
    said = {
        (m.data.phase.value, m.subject)
        for m in unique.values()
        if not is_recovery(m) and m.data.phase is Phase.END
    }
    assert {(phase, name) for phase, name in diary.kept if phase == "end"} <= said
    assert said <= diary.deciding
    check_order(unique, diary)


def complete(got: list[IncidentMessage], diary: Diary) -> bool:
    ended = {message.subject for message in got if message.data.phase is Phase.END}
    return {name for phase, name in diary.kept if phase == "start"} <= ended


def is_recovery(message: IncidentMessage) -> bool:
    return message.data.end_reason is EndReason.RESTART_RECOVERY


def check_order(unique: dict[str, IncidentMessage], diary: Diary) -> None:
    """Boot id and sequence tell the order, and a gap would show."""
    assert diary.boots == sorted(set(diary.boots))
    sequences = defaultdict(list)
    for message in unique.values():
        sequences[message.data.boot_id].append(message.data.sequence)
    assert set(sequences) <= set(diary.boots)
    for numbers in sequences.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
    in_order = sorted(unique.values(), key=lambda m: (m.data.boot_id, m.data.sequence))
    phases = defaultdict(list)
    for message in in_order:
        phases[message.subject].append((message.data.phase, message.data.revision))
    for history in phases.values():
        first, *middle, last = history
        assert (first[0], last[0]) == (Phase.START, Phase.END)
        assert all(phase is Phase.UPDATE for phase, _ in middle)
        assert [revision for _, revision in history] == list(range(1, len(history) + 1))
