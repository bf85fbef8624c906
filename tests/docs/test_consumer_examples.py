"""The Python examples of docs/consumer.md as they stand, with a real broker and a box's words."""

import re
import subprocess
import sys

import pytest

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber, incident_topic
from ropewatch.incidents import Phase
from ropewatch.moment import Moment
from ropewatch.wire import Wire
from tests.core.incident_messages import message
from tests.house.tree import ROOT
from tests.publishing import publish

pytestmark = pytest.mark.broker

_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIREN, DASHBOARD = _EXAMPLE.findall((ROOT / "docs" / "consumer.md").read_text("utf-8"))


def said_by(code: str, broker: PrivateBroker, *, lines: int) -> str:
    """Run an example until it has printed so many lines."""
    assert '"127.0.0.1", 1883' in code
    code = code.replace("1883", str(broker.port))
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(lines))
        process.kill()
    return said


def test_the_siren_sounds_for_what_is_now(broker: PrivateBroker) -> None:
    code, want = SIREN
    with Subscriber(broker.host, broker.port, (incident_topic(),), client_id="siren-1"):
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
