"""Random incidents on a disk that fails at random: what is lost, doubled or invented.

Run with `failing_disk.so` preloaded: python -m tests.deepstream.failing_disk FIRST LAST FOLDER.
"""

import ctypes
import errno
import json
import logging
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from deepstream.outbox import Outbox
from ropewatch.incidents import Phase
from ropewatch.wire import Wire
from tests.deepstream.posts import Time, incident_post, make_outbox

WIRE = Wire(site="s", box="b", boot_id="01BOOT")
KINDS = 5
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NEVER = (0.0,) * KINDS


class Trial:
    """One box on one disk, and what is true of its incidents."""

    def __init__(self, library: ctypes.CDLL, seed: int, folder: Path) -> None:
        self.faults: list[str] = []
        self.rng = random.Random(seed)
        self.shares = [self.rng.choice([0, 0, 0.02, 0.1, 0.5, 1]) for _ in range(KINDS)]
        self.number = self.rng.choice(ERRORS)
        self.library, self.folder, self.time = library, folder, Time()
        self.sequence = 0
        self.alerts: list[str] = []
        self.open: set[str] = set()
        self.heard: Counter[str] = Counter()
        self.fail(self.rng.random() < 0.5)
        self.outbox = make_outbox(folder, self.time)

    def fail(self, on: bool) -> None:
        shares = (ctypes.c_double * KINDS)(*(self.shares if on else NEVER))
        self.library.set_failures(shares, self.number, self.rng.randrange(1 << 30))

    def decide(self) -> None:
        self.sequence += 1
        incident_id, phase = f"incident-{self.sequence}", Phase.START
        if self.open and self.rng.random() < 0.6:
            incident_id = self.rng.choice(sorted(self.open))
            phase = self.rng.choice([Phase.UPDATE, Phase.END])
        self.outbox.offer(incident_post(WIRE, incident_id, phase, self.sequence))
        if phase is not Phase.UPDATE:
            self.alerts.append(f"b:01BOOT:{self.sequence}")
        if phase is Phase.END:
            self.open.remove(incident_id)
        else:
            self.open.add(incident_id)

    def send(self) -> None:
        found = self.outbox.take(20)
        if found is not None:
            self.heard[json.loads(found[1].payload)["id"]] += 1
            if self.rng.random() < 0.7:
                self.outbox.delivered(found[0])
            else:
                self.outbox.connection_lost()

    def wait(self) -> None:
        self.time.pass_s(self.rng.choice([0, 1, 3, 11]))
        self.outbox.tick()

    def kill(self) -> None:
        """Look at a copy of the files, which is what a killed box leaves."""
        is_on_disk = not any("memory only" in each for each in self.outbox.troubles())
        self.fail(on=False)
        copy = self.folder.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy)
        if is_on_disk:
            self.judge(make_outbox(copy, self.time), "killed")

    def restart(self) -> None:
        self.fail(on=False)
        self.time.pass_s(11)
        self.outbox.tick()
        if any("memory only" in each for each in self.outbox.troubles()):
            self.faults.append("the disk works and is not used")
        self.outbox.close()
        copy = self.folder.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy)
        self.judge(make_outbox(copy, self.time), "ended")
        self.outbox = make_outbox(self.folder, self.time)

    def judge(self, after: Outbox, how: str) -> None:
        left, found = set(after.left_open()), set()
        while (each := after.take(1000)) is not None:
            found.add(json.loads(each[1].payload)["id"])
        after.close()
        lost = [each for each in self.alerts if each not in found and not self.heard[each]]
        known = {f"b:01BOOT:{number + 1}" for number in range(self.sequence)}
        wrong = {"open": left ^ self.open, "lost": set(lost), "invented": found - known}
        self.faults += [f"{how}: {what}: {sorted(ids)}" for what, ids in wrong.items() if ids]
        if after.databases_set_aside:
            self.faults.append(f"{how}: a sound database was set aside")

    def run(self) -> list[str]:
        steps = (
            [self.decide] * 35
            + [self.send] * 20
            + [self.wait] * 15
            + [lambda: self.fail(on=True)] * 10
            + [lambda: self.fail(on=False)] * 10
            + [self.kill] * 5
            + [self.restart] * 5
        )
        for _ in range(self.rng.randrange(5, 60)):
            self.rng.choice(steps)()
        self.restart()
        self.outbox.close()
        if self.outbox.databases_set_aside:
            self.faults.append("a sound database was set aside")
        return self.faults


def main() -> None:
    """Print what failed, and what went wrong in consequence."""
    first, last, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    logging.disable(logging.CRITICAL)
    library = ctypes.CDLL(None)
    library.count_failures.restype = ctypes.c_long
    wrong = []
    for seed in range(first, last):
        place = folder / str(seed) / "state"
        place.mkdir(parents=True)
        wrong += [f"{seed}: {fault}" for fault in Trial(library, seed, place).run()]
        shutil.rmtree(place.parent)
    print(json.dumps({"failures": library.count_failures(), "wrong": wrong}))


if __name__ == "__main__":
    main()
