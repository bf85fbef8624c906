"""A box that decides as fast as it can until somebody kills it. Run by test_outbox_kills.py.

Arguments: state folder, port of the broker, diary, seconds until it ends by itself.
The diary has a line for what is about to be decided and one for what was handed over: what a
process has written is in the file even if it is killed a moment later.
"""

import os
import random
import sys
import time
from pathlib import Path

from ulid import ULID

from deepstream.dispatcher import Decided
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from deepstream.reporter import Reporter
from ropewatch.incidents import Phase
from ropewatch.settings import MqttSettings
from ropewatch.wire import Wire
from tests.deepstream.posts import incident_event

MAX_OPEN = 8


def main(folder: str, port: str, diary: str, seconds: str) -> None:
    """Start, update and end incidents at random."""
    file = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(*words: str) -> None:
        os.write(file, (" ".join(words) + "\n").encode())

    settings = MqttSettings(host="127.0.0.1", port=int(port))
    outbox = Outbox(Path(folder), settings.outbox)
    wire = Wire(site="s", box="b", boot_id=outbox.boot_id)
    write("boot", wire.boot_id)
    publisher = Publisher(settings, outbox, client_id="killed", will=wire.will())
    reporter = Reporter(wire, outbox, backend="cpu", versions={}, status_every_s=30)
    publisher.start()
    reporter.hello(["cam"])
    revisions: dict[str, int] = {}
    until_s = time.monotonic() + float(seconds)

    def decide(incident_id: str, phase: Phase) -> None:
        revisions[incident_id] = revisions.get(incident_id, 0) + 1
        event = incident_event(incident_id, phase, revisions[incident_id])
        write("deciding", phase.value, incident_id)
        reporter.take(Decided("cam", None, (event,)))
        write("kept", phase.value, incident_id)
        if phase is Phase.END:
            del revisions[incident_id]

    while time.monotonic() < until_s:
        if len(revisions) < random.randint(1, MAX_OPEN):
            decide(str(ULID()), Phase.START)
        else:
            decide(random.choice(list(revisions)), random.choice([Phase.UPDATE, Phase.END]))
        time.sleep(random.random() / 200)
    for incident_id in list(revisions):
        decide(incident_id, Phase.END)
    outbox.drain(20.0)
    publisher.stop()
    outbox.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
