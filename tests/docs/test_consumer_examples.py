"""The Python examples of docs/consumer.md as they stand, with a real broker and a box's words."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber, incident_topic
from ropewatch.incidents import Phase
from ropewatch.moment import Moment
from ropewatch.wire import Wire
from tests.core.incident_messages import BOOT_1, message
from tests.house.tree import ROOT
from tests.publishing import publish

pytestmark = pytest.mark.broker

_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIREN, LOG, DASHBOARD = _EXAMPLE.findall((ROOT / "docs" / "consumer.md").read_text("utf-8"))


@contextmanager
def listening(code: str, broker: PrivateBroker) -> Iterator[IO[str]]:
    """Run an example; what it prints."""
    assert '"127.0.0.1", 1883' in code
    code = code.replace("1883", str(broker.port))
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


def said_by(code: str, broker: PrivateBroker, *, lines: int) -> str:
    """Run an example until it has printed so many lines."""
    with listening(code, broker) as said:
        return "".join(said.readline() for _ in range(lines))


def state(*open_incidents: str) -> tuple[str, bytes]:
    said = Wire("north-tower", "box-1", BOOT_1).camera_state(
        "gate", now=Moment(0, 0), open_incidents=open_incidents, safe=0, unsafe=0, unknown=0
    )
    return said.topic, said.payload


def test_the_siren_sounds_for_what_is_open_before_it_came(broker: PrivateBroker) -> None:
    """The start was late, or came while the siren was away: nobody has heard it."""
    code, want = SIREN
    end = message(3, Phase.END)
    publish(broker.host, broker.port, [state("01INCIDENT")], retain=True)

    with listening(code, broker) as siren:
        assert siren.readline() == want.splitlines(keepends=True)[0]
        publish(broker.host, broker.port, [(end.topic, end.payload), state()])
        assert siren.readline() == want.splitlines(keepends=True)[1]


def test_the_siren_is_no_all_clear_where_one_of_two_is_gone(broker: PrivateBroker) -> None:
    """It stays on for the second one, whose rope is seen in the end."""
    publish(broker.host, broker.port, [state("01GONE", "01INCIDENT")], retain=True)
    end = message(3, Phase.END)

    with listening(SIREN[0], broker) as siren:
        assert siren.readline() == "siren on: gate\n"
        pairs = [state("01INCIDENT"), (end.topic, end.payload), state()]
        publish(broker.host, broker.port, pairs)
        assert siren.readline() == "siren off: gate, nobody knows\n"


def test_the_log_has_what_came_while_it_was_away(broker: PrivateBroker) -> None:
    code, want = LOG
    with Subscriber(broker.host, broker.port, (incident_topic(),), client_id="log-1"):
        pass
    sent = [message(1, Phase.START), message(2), message(3, Phase.END)]
    publish(broker.host, broker.port, [(each.topic, each.payload) for each in sent])

    assert said_by(code, broker, lines=len(want.splitlines())) == want


def test_the_dashboard_shows_what_is_retained(broker: PrivateBroker) -> None:
    code, want = DASHBOARD
    wire, now = Wire("north-tower", "box-1", "01BOOT"), Moment(0, 0)
    sent = [
        wire.status("online", now=now, backend="cpu"),
        wire.camera_status("gate", now=now),
        wire.camera_state("gate", now=now, open_incidents=(), safe=4, unsafe=1, unknown=2),
    ]
    pairs = [(each.topic, each.payload) for each in sent]
    publish(broker.host, broker.port, pairs, retain=True)

    assert said_by(code, broker, lines=len(want.splitlines())) == want
